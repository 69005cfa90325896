import { inDns } from "../../acme.ts";
import type { DnsChange, Usage } from "../../asked.ts";
import type { Rule, RuleFor } from "../../policy.ts";
import { type AwsPlace, groupArn, launchTemplateArn, resourceFault, templateArn, zoneArn } from "./arn.ts";
import { ACTIONS_KEY, NAMES_KEY, TYPES_KEY } from "./records.ts";
import { templateOf } from "./render.ts";

/** A change as IAM would judge it, the context as lists of values. */
export type JudgedChange = {
  readonly action: string;
  readonly resource: string;
  readonly context: Readonly<Record<string, readonly string[]>>;
  /** What it is, in a few words. */
  readonly words: string;
};

/** What is sent for each change of a record, in one batch. */
const BATCH: Readonly<Record<DnsChange, readonly string[]>> = {
  create: ["CREATE"],
  replace: ["DELETE", "CREATE"],
  delete: ["DELETE"],
};

function issuing(place: AwsPlace, { authority, usages }: RuleFor<"issue-certificate">): JudgedChange[] {
  return usages.map((usage: Usage) => ({
    action: "acm-pca:IssueCertificate",
    resource: authority,
    context: { "acm-pca:TemplateArn": [templateArn(place, templateOf([usage]))] },
    words: `${usage} certificates by ${authority}`,
  }));
}

function records(place: AwsPlace, { zone, names, types, changes }: RuleFor<"update-dns">): JudgedChange[] {
  const name = "below" in names ? `reeve.${names.below}` : (names.exactly[0] ?? "");
  return changes.map((change) => ({
    action: "route53:ChangeResourceRecordSets",
    resource: zoneArn(place, zone),
    context: { [NAMES_KEY]: [name], [TYPES_KEY]: types.slice(0, 1), [ACTIONS_KEY]: BATCH[change] },
    words: `${change} ${types[0]} ${name} in ${zone}`,
  }));
}

function deploying(place: AwsPlace, resource: string, group: string): JudgedChange[] {
  const template = launchTemplateArn(place).replace("*", "lt-00000000000000000");
  return [
    {
      action: "ec2:CreateLaunchTemplateVersion",
      resource: template,
      context: {},
      words: "a version of a launch template",
    },
    { action: "autoscaling:StartInstanceRefresh", resource, context: {}, words: `the machines of ${group}` },
  ];
}

/** Changes that a rule permits, one of each kind, as examples; none for a rule whose resource is none of AWS's. */
export function changesOf(place: AwsPlace, permitting: Rule): readonly JudgedChange[] {
  const rule = inDns(permitting);
  if (resourceFault(place, rule) !== null) return [];
  if (rule.allow === "issue-certificate") return issuing(place, rule);
  if (rule.allow === "update-dns") return records(place, rule);
  const resource = groupArn(place, rule.group);
  if (rule.allow === "deploy") return deploying(place, resource, rule.group);
  return [{ action: "autoscaling:SetDesiredCapacity", resource, context: {}, words: rule.group }];
}
