import { type AwsPlace, launchTemplateArn } from "./arn.ts";
import type { AwsOperation } from "./operations.ts";
import type { Statement } from "./statement.ts";

/** What a launch is judged by, of the account: AWS, Service Authorization Reference, RunInstances. */
const LAUNCHED = [
  "capacity-reservation",
  "instance",
  "key-pair",
  "launch-template",
  "network-interface",
  "placement-group",
  "security-group",
  "subnet",
  "volume",
] as const;
/** Of nobody's account, or of everybody's. */
const PUBLIC = ["image", "snapshot"] as const;
/** What is made, and gets the template's tags. */
const TAGGED = ["instance", "network-interface", "volume"] as const;

/**
 * What AWS asks of whoever has a group launched from another version of its launch template: the right to launch what the version says, to tag it,
 * and to pass it its role. docs.aws.amazon.com, "Control Amazon EC2 launch template usage in Auto Scaling groups". Which machines, networks and
 * role these are stands in the template, which no policy file names: conditions hold what IAM can hold of it.
 */
function grantOf(place: AwsPlace, permission: string): Pick<Statement, "sid" | "resources" | "conditions"> {
  const { partition, region, account } = place;
  switch (permission) {
    case "ec2:RunInstances":
      return {
        sid: "LaunchFromTemplates",
        resources: [
          ...PUBLIC.map((type) => `arn:${partition}:ec2:${region}::${type}/*`),
          ...LAUNCHED.map((type) => `arn:${partition}:ec2:${region}:${account}:${type}/*`),
        ],
        conditions: [{ test: "ArnLike", key: "ec2:LaunchTemplate", values: [launchTemplateArn(place)] }],
      };
    case "ec2:CreateTags":
      return {
        sid: "TagWhatIsLaunched",
        resources: TAGGED.map((type) => `arn:${partition}:ec2:${region}:${account}:${type}/*`),
        conditions: [{ test: "StringEquals", key: "ec2:CreateAction", values: ["RunInstances"] }],
      };
    case "iam:PassRole":
      return {
        sid: "PassRolesToMachines",
        resources: [`arn:${partition}:iam::${account}:role/*`],
        conditions: [{ test: "StringEquals", key: "iam:PassedToService", values: [machines(partition)] }],
      };
    default:
      throw new Error(`it is not known where ${permission} is granted`);
  }
}

/** EC2's own name as a service. */
function machines(partition: string): string {
  return partition === "aws-cn" ? "ec2.amazonaws.com.cn" : "ec2.amazonaws.com";
}

/** `rules`: ids of those that deploy; none: nothing. */
export function launching(place: AwsPlace, rows: readonly AwsOperation[], rules: readonly string[]): Statement[] {
  if (rules.length === 0) return [];
  const besides = [
    ...new Set(rows.flatMap(({ operation, permissions }) => permissions.filter((one) => one !== operation))),
  ];
  return besides.map((permission) => ({
    ...grantOf(place, permission),
    effect: "Allow",
    about: "these",
    actions: [permission],
    rules,
  }));
}
