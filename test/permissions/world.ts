import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";
import type { Asked, DnsChange, Usage } from "../../policy/asked.ts";
import { loadPolicy } from "../../policy/parse.ts";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import { awsPermissions, boundaryOf, type Rendered } from "../../policy/permissions/aws/render.ts";
import { type Document, documentOf } from "../../policy/permissions/aws/statement.ts";
import type { Policy } from "../../policy/policy.ts";
import { SIGNERS } from "../policy/deploy-world.ts";

/** Rendered permissions, and an IAM that we did not write to judge calls by them: @cloud-copilot/iam-simulate over AWS's own reference. */

export const EXAMPLE_PATH = new URL("./aws.yaml", import.meta.url).pathname;
export const EXAMPLE = readFileSync(EXAMPLE_PATH, "utf8");
/** The example with a rule that lets releases be deployed. */
export const DEPLOYING = EXAMPLE.replace("signers: {}", `signers: { release: ${SIGNERS[0]} }`).replace(
  "tests: []",
  `  - id: brokers-release
    why: New versions of the brokers.
    allow: deploy
    group: prod-eu-1-brokers
    signers: { by: [release], need: 1 }
    version: { min: 4.1.0, max: 4.999999.999999 }
    unavailable: 1
    rate: 2 per day
    when: always
    approval: { by: [alice], need: 1, within: 2h }
tests: []`,
);
export const ACCOUNT = "111122223333";
export const REGION = "eu-west-1";
/** As AWS draws it: nobody knows it from the group's name. */
const GROUP_ID = "8f2f1c1e-6c2b-4c43-9b1e-0b6ad0a4c5f1";

export function policyOf(text: string): Policy {
  const loaded = loadPolicy(new TextEncoder().encode(text));
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.policy;
}

export function renderedOf(policy: Policy): Rendered {
  const rendered = awsPermissions(policy, AWS_OPERATIONS);
  if (rendered === null || "faults" in rendered) throw new Error(JSON.stringify(rendered));
  return rendered;
}

/** What AWS would be given: parsed again from its text. */
export function documents(policy: Policy): { readonly identity: Document; readonly boundary: Document } {
  const rendered = renderedOf(policy);
  const copy = (document: Document): Document => JSON.parse(JSON.stringify(document)) as Document;
  return { identity: copy(documentOf(rendered.statements)), boundary: copy(documentOf(boundaryOf(rendered))) };
}

export type Call = {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<string, string | readonly string[]>>;
};

/** Whether IAM allows the call. Throws when the simulator does not know the action, its resource or a key of the context. */
export async function allowed(document: Document, call: Call, boundary?: Document): Promise<boolean> {
  const given = { "aws:RequestedRegion": REGION, ...call.context };
  const contextVariables = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, typeof value === "string" ? value : [...value]]),
  );
  const ran = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${ACCOUNT}:role/reeve`,
        action: call.action,
        resource: { resource: call.resource, accountId: ACCOUNT },
        contextVariables,
      },
      identityPolicies: [{ name: "reeve", policy: document }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      ...(boundary === undefined ? {} : { permissionBoundaryPolicies: [{ name: "boundary", policy: boundary }] }),
    },
    {},
  );
  if (ran.resultType === "error") throw new Error(`${JSON.stringify(call)}: ${JSON.stringify(ran.errors)}`);
  const ignored = "result" in ran ? (ran.result.ignoredContextKeys ?? []) : [];
  if (ignored.length > 0) throw new Error(`${call.action} has no ${JSON.stringify(ignored)}`);
  return ran.overallResult === "Allowed";
}

export const groupResource = (group: string, region = REGION, account = ACCOUNT): string =>
  `arn:aws:autoscaling:${region}:${account}:autoScalingGroup:${GROUP_ID}:autoScalingGroupName/${group}`;
export const zoneResource = (zone: string): string => `arn:aws:route53:::hostedzone/${zone}`;
export const template = (name: string): string => `arn:aws:acm-pca:::template/${name}`;

export const scaling = (group: string): Call => ({
  action: "autoscaling:SetDesiredCapacity",
  resource: groupResource(group),
});
export const refreshing = (group: string): Call => ({
  action: "autoscaling:StartInstanceRefresh",
  resource: groupResource(group),
});
const EC2 = `arn:aws:ec2:${REGION}:${ACCOUNT}`;
export const TEMPLATE = `${EC2}:launch-template/lt-0abcd1234abcd1234`;
/** As EC2 judges a launch: once for each resource, each with the template that it is from. */
export const launching = (resource: string, from = TEMPLATE): Call => ({
  action: "ec2:RunInstances",
  resource,
  context: from === "" ? {} : { "ec2:LaunchTemplate": from },
});
export const LAUNCHED = [
  `arn:aws:ec2:${REGION}::image/ami-0abcd1234abcd1234`,
  ...["instance/*", "network-interface/*", "volume/*", "subnet/subnet-1", "security-group/sg-1"].map(
    (part) => `${EC2}:${part}`,
  ),
  TEMPLATE,
];
export const tagging = (creating: string): Call => ({
  action: "ec2:CreateTags",
  resource: `${EC2}:instance/i-0abcd1234abcd1234`,
  context: creating === "" ? {} : { "ec2:CreateAction": creating },
});
export const passing = (role: string, to: string, account = ACCOUNT): Call => ({
  action: "iam:PassRole",
  resource: `arn:aws:iam::${account}:role/${role}`,
  context: { "iam:PassedToService": to },
});
export const issuing = (authority: string, templateArn: string | null): Call => ({
  action: "acm-pca:IssueCertificate",
  resource: authority,
  context: templateArn === null ? {} : { "acm-pca:TemplateArn": templateArn },
});
/** A key without values is as one that is not there: IAM, multivalued context keys. The simulator is told so by leaving it out. */
export const changing = (
  zone: string,
  names: readonly string[],
  types: readonly string[],
  actions: readonly string[],
): Call => {
  const keys = {
    "route53:ChangeResourceRecordSetsNormalizedRecordNames": names,
    "route53:ChangeResourceRecordSetsRecordTypes": types,
    "route53:ChangeResourceRecordSetsActions": actions,
  };
  return {
    action: "route53:ChangeResourceRecordSets",
    resource: zoneResource(zone),
    context: Object.fromEntries(Object.entries(keys).filter(([, values]) => values.length > 0)),
  };
};

/** What is sent for each change: the old value as it was read is deleted, the new one created, in one batch. */
export const BATCH: Readonly<Record<DnsChange, readonly string[]>> = {
  create: ["CREATE"],
  replace: ["DELETE", "CREATE"],
  delete: ["DELETE"],
};

export function templateFor(usages: readonly Usage[]): string {
  if (usages.length === 2) return template("EndEntityCertificate/V1");
  return template(usages[0] === "server" ? "EndEntityServerAuthCertificate/V1" : "EndEntityClientAuthCertificate/V1");
}

/** The change that a command makes, as a call; docs/PROVIDERS.md. */
export function changeOf(asked: Asked): Call {
  switch (asked.action) {
    case "scale":
      return scaling(asked.args.group);
    case "deploy":
      return refreshing(asked.args.group);
    case "issue-certificate":
      return issuing(asked.args.authority, templateFor(asked.args.usages));
    case "update-dns": {
      const { zone, name, type, change } = asked.args;
      return changing(zone, [name], [type], BATCH[change]);
    }
  }
}

/** What is read around it. */
export function readsOf(asked: Asked): readonly Call[] {
  switch (asked.action) {
    case "scale":
      return [
        { action: "autoscaling:DescribeAutoScalingGroups", resource: "*" },
        { action: "autoscaling:DescribeScalingActivities", resource: "*" },
      ];
    case "deploy":
      return [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeInstanceRefreshes",
        "ec2:DescribeLaunchTemplateVersions",
      ].map((action) => ({ action, resource: "*" }));
    case "issue-certificate":
      return ["DescribeCertificateAuthority", "GetCertificateAuthorityCertificate", "GetCertificate"].map((name) => ({
        action: `acm-pca:${name}`,
        resource: asked.args.authority,
      }));
    case "update-dns":
      return [
        { action: "route53:GetHostedZone", resource: zoneResource(asked.args.zone) },
        { action: "route53:ListResourceRecordSets", resource: zoneResource(asked.args.zone) },
        { action: "route53:GetChange", resource: "arn:aws:route53:::change/C0123456789ABCDEFGHIJ" },
      ];
  }
}
