import { expect, setDefaultTimeout, test } from "bun:test";
import { AWS } from "../../policy/permissions/aws/aws.ts";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import { awsPermissions } from "../../policy/permissions/aws/render.ts";
import { AZURE } from "../../policy/permissions/azure/azure.ts";
import { AZURE_OPERATIONS } from "../../policy/permissions/azure/operations.ts";
import { GCP } from "../../policy/permissions/gcp/gcp.ts";
import { GCP_OPERATIONS } from "../../policy/permissions/gcp/operations.ts";
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

const RULE = DEPLOYING.slice(DEPLOYING.indexOf("  - id: brokers-release"), DEPLOYING.indexOf("tests: []"));
function placed(place: string): ReturnType<typeof policyOf> {
  const head = DEPLOYING.slice(0, DEPLOYING.indexOf("  - id:")).replace(/^place: .*$/m, `place: ${place}`);
  return policyOf(`${head}${RULE}tests: []\n`);
}
type Roles = {
  readonly roles: readonly { readonly name: string; readonly includedPermissions: readonly string[] }[];
  readonly bindings: readonly { readonly role: string; readonly resource: string }[];
};

test("on Google Cloud the right to act as a machine's account is a role of its own, to be bound on that account alone", () => {
  const permissions = GCP.render(placed("{ cloud: gcp, project: example, region: europe-west1 }"), null);
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions.faults));
  const { text, notes } = permissions.print({ format: "gcp", boundary: false, head: "" });
  const { roles, bindings } = JSON.parse(text) as Roles;
  const [groups, accounts] = roles.map(({ includedPermissions }) => includedPermissions);
  expect(accounts).toEqual(["iam.serviceAccounts.actAs"]);
  const needed = GCP_OPERATIONS.deploy.flatMap((row) => row.permissions).filter((one) => !one.startsWith("iam."));
  // A regional group's operations are regional: the zone's are not asked for.
  expect(groups?.toSorted()).toEqual([...new Set(needed)].filter((one) => !one.includes(".zoneOperations.")).sort());
  expect(bindings.map(({ resource }) => resource)).toEqual(["projects/example", "projects/example"]);
  expect(notes.join("\n")).toContain("bind it on that one account instead");
  expect(permissions.print({ format: "terraform", boundary: false, head: "x" }).text).toContain("prod_eu_1_accounts");
  const audited = permissions.audit(new TextEncoder().encode(text), null);
  expect("because" in audited ? audited : audited.excess).toEqual([]);
});

test("on Azure a scale set is deployed to by name, and images are read in the place's resource group", () => {
  const id = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
  const permissions = AZURE.render(placed(`{ cloud: azure, subscription: ${id}, resource_group: prod-eu-1 }`), null);
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions.faults));
  const { text } = permissions.print({ format: "azure", boundary: false, head: "" });
  const { roleDefinitions } = JSON.parse(text) as { roleDefinitions: { Name: string; Actions: string[] }[] };
  expect(roleDefinitions.map(({ Name }) => Name)).toEqual(["reeve-prod-eu-1-deploy", "reeve-prod-eu-1-images"]);
  const needed = AZURE_OPERATIONS.deploy.flatMap((row) => row.permissions);
  expect(roleDefinitions.flatMap(({ Actions }) => Actions).sort()).toEqual([...new Set(needed)].sort());
  expect(text).toContain(`/virtualMachineScaleSets/prod-eu-1-brokers`);
  const audited = permissions.audit(new TextEncoder().encode(text), null);
  expect("because" in audited ? audited : audited.excess).toEqual([]);
});
