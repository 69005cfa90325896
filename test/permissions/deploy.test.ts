import { expect, setDefaultTimeout, test } from "bun:test";
import { AWS } from "../../policy/permissions/aws/aws.ts";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import { awsPermissions } from "../../policy/permissions/aws/render.ts";
import {
  allowed,
  type Call,
  DEPLOYING,
  documents,
  EXAMPLE,
  groupResource,
  LAUNCHED,
  launching,
  passing,
  policyOf,
  readsOf,
  refreshing,
  TEMPLATE,
  tagging,
} from "./world.ts";

/** What a rule that lets releases be deployed needs on AWS, judged by an IAM that we did not write. */
setDefaultTimeout(60_000);

const { identity, boundary } = documents(policyOf(DEPLOYING));
const without = documents(policyOf(EXAMPLE));
const GROUP = "prod-eu-1-brokers";
const EC2 = "ec2.amazonaws.com";
const making = (resource: string): Call => ({ action: "ec2:CreateLaunchTemplateVersion", resource });

const PERMITTED: Readonly<Record<string, Call>> = {
  "a version of a template is made": making(TEMPLATE),
  "the group's machines are replaced": refreshing(GROUP),
  "and put back": { action: "autoscaling:RollbackInstanceRefresh", resource: groupResource(GROUP) },
  "what is launched gets the template's tags": tagging("RunInstances"),
  "machines get the template's role": passing("brokers", EC2),
  ...Object.fromEntries(LAUNCHED.map((resource) => [`a launch from a template: ${resource}`, launching(resource)])),
  ...Object.fromEntries(
    readsOf({ action: "deploy", args: { group: GROUP, manifest: "" } }).map((call) => [call.action, call]),
  ),
};
const elsewhere = (text: string): string => text.replace("eu-west-1", "eu-west-2");
const SIBLINGS: Readonly<Record<string, Call>> = {
  "another group": refreshing("prod-eu-1-brokers-2"),
  "the group in another region": { ...refreshing(""), resource: elsewhere(groupResource(GROUP)) },
  "another change of the group": { action: "autoscaling:UpdateAutoScalingGroup", resource: groupResource(GROUP) },
  "a template of another region": making(elsewhere(TEMPLATE)),
  "a template of another account": making(TEMPLATE.replace("111122223333", "444455556666")),
  "another default version": { action: "ec2:ModifyLaunchTemplate", resource: TEMPLATE },
  "a launch without a template": launching(LAUNCHED[1] ?? "", ""),
  "a launch from another account's template": launching(
    LAUNCHED[1] ?? "",
    TEMPLATE.replace("111122223333", "444455556666"),
  ),
  "a launch in another region": launching(elsewhere(LAUNCHED[1] ?? ""), elsewhere(TEMPLATE)),
  "tags on what is there": tagging(""),
  "tags on what something else makes": tagging("CreateVolume"),
  "a role for another service": passing("brokers", "lambda.amazonaws.com"),
  "another account's role": passing("brokers", EC2, "444455556666"),
  "a machine ended": { action: "ec2:TerminateInstances", resource: LAUNCHED[1] ?? "" },
};

test.each(Object.entries(PERMITTED))(
  "allowed, within the boundary too, and only with the rule: %s",
  async (_, call) => {
    expect(await allowed(identity, call)).toBe(true);
    expect(await allowed(identity, call, boundary)).toBe(true);
    const always = call.action === "autoscaling:DescribeAutoScalingGroups";
    expect(await allowed(without.identity, call)).toBe(always);
  },
);

test.each(Object.entries(SIBLINGS))("denied: %s", async (_, call) => {
  expect(await allowed(identity, call)).toBe(false);
});

test("a rule to deploy to a group permits no scaling of it, and a rule to scale it no deploy", async () => {
  const scaling: Call = { action: "autoscaling:SetDesiredCapacity", resource: groupResource(GROUP) };
  const only = documents(policyOf(DEPLOYING.replace(/ {2}- id: brokers-grow[\s\S]*?(?= {2}- id: broker-cert)/, "")));
  expect(await allowed(only.identity, refreshing(GROUP))).toBe(true);
  expect(await allowed(only.identity, scaling)).toBe(false);
  expect(await allowed(without.identity, scaling)).toBe(true);
  expect(await allowed(without.identity, refreshing(GROUP))).toBe(false);
});

test("what AWS asks for besides is rendered whole: a permission without a place is our own mistake", () => {
  const policy = policyOf(DEPLOYING);
  const rendered = awsPermissions(policy, AWS_OPERATIONS);
  if (rendered === null || "faults" in rendered) throw new Error("not rendered");
  const needed = AWS_OPERATIONS.deploy.flatMap(({ permissions }) => permissions);
  const granted = rendered.statements.flatMap(({ actions }) => actions);
  expect(needed.filter((action) => !granted.includes(action))).toEqual([]);
  const [first] = AWS_OPERATIONS.deploy;
  if (first === undefined) throw new Error("an empty table");
  const table = { ...AWS_OPERATIONS, deploy: [{ ...first, permissions: [first.operation, "ec2:Unheard"] }] };
  expect(() => awsPermissions(policy, table)).toThrow("it is not known where ec2:Unheard is granted");
});

test("the notes say what the stars of a launch are and what the agent alone holds; the audit finds nothing beyond in what is rendered", () => {
  const permissions = AWS.render(policyOf(DEPLOYING), null);
  if ("faults" in permissions) throw new Error("not rendered");
  const printed = permissions.print({ format: "iam", boundary: false, head: "" });
  const notes = printed.notes.join("\n");
  for (const words of ["launch-template/*", "iam:PassRole", "signers and version of what is deployed"])
    expect(notes).toContain(words);
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const own = permissions.audit(bytes(printed.text), null);
  if ("because" in own) throw new Error(own.because);
  expect(own.excess).toEqual([]);
  // The vendor's usual role has no conditions: both are beyond, as a way to more permissions.
  const vendors = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["iam:PassRole", "ec2:RunInstances"], Resource: "*" }],
  };
  const theirs = permissions.audit(bytes(JSON.stringify(vendors)), null);
  if ("because" in theirs) throw new Error(theirs.because);
  expect(theirs.excess.map(({ group }) => group)).toEqual(["escalation", "escalation"]);
});
