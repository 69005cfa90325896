import { isAcme } from "../../acme.ts";
import type { Policy } from "../../policy.ts";
import { certificateNeeds } from "../acme.ts";
import { accountOf } from "./arn.ts";
import type { Rendered } from "./render.ts";
import { documentOf, type Statement } from "./statement.ts";

/** What one should know of the rendered permissions and cannot see in them: where a star stands and why, and what IAM cannot say. */

/** docs.aws.amazon.com, IAM and STS quotas: characters of a managed policy, white space not counted. */
export const MAX_MANAGED_POLICY_CHARS = 6_144;

export function sizeOf(statements: readonly Statement[]): number {
  return JSON.stringify(documentOf(statements)).length;
}

function provingNotes(policy: Policy): string[] {
  return certificateNeeds(policy).challenges.map(({ rule, records, zone }) => {
    const where =
      "below" in records
        ? `${records.label}*.${records.below}, where the star takes any label or labels`
        : records.exactly.join(", ");
    return `${rule}: an ACME authority needs no right of AWS's; the names are proven by TXT records in ${zone}: ${where}.`;
  });
}

function stars(policy: Policy, { place, operations }: Rendered): string[] {
  const regional = operations.filter(({ scope }) => scope === "region").map(({ operation }) => operation);
  const has = (allow: string): boolean => policy.rules.some((rule) => rule.allow === allow);
  return [
    ...(regional.length === 0
      ? []
      : [
          `${regional.join(", ")}: these take no resource-level permission, so their Resource is *; aws:RequestedRegion holds them to ${place.region}. The agent reads only what a rule names.`,
        ]),
    ...(has("scale") || has("deploy")
      ? [
          "autoScalingGroup:*: the star stands for the group's id, which AWS draws. A name holds no colon, so it matches the groups of these names only; one that is made anew under the name too. A tag would narrow nothing: whoever makes a group writes its tags.",
        ]
      : []),
    ...(has("deploy")
      ? [
          "launch-template/*: which template a group launches from is known only when the group is read. Where the groups that are deployed to keep theirs, write its id in place of the star.",
          "ec2:RunInstances and iam:PassRole: AWS asks for them whoever has a group launched from another version, and they launch any machine from any template with any role that EC2 may take: more than the file says. Write the role of the group's machines in place of role/*, and its networks in place of subnet/* (those that another account shares, too). The agent calls neither: its gate lets nothing leave but the calls of its table.",
        ]
      : []),
    ...(operations.some(({ scope }) => scope === "change")
      ? [
          "route53:GetChange, change/*: the change's id is known only from the answer that begins it. The call says PENDING or INSYNC and when it began, nothing of the records.",
        ]
      : []),
  ];
}

function perRule(policy: Policy, { place }: Rendered): string[] {
  return policy.rules.flatMap((rule) => {
    if (rule.allow === "update-dns" && "below" in rule.names) {
      const { below } = rule.names;
      return [
        `${rule.id}: below ${below} becomes StringLike *.${below}. The star takes any label or labels, and also the wildcard record (\\052.${below}), which the agent refuses.`,
      ];
    }
    if (rule.allow !== "issue-certificate" || isAcme(rule.authority)) return [];
    if (accountOf(rule.authority) === place.account) return [];
    return [
      `${rule.id}: the authority belongs to account ${accountOf(rule.authority)}, which must share it with ${place.account} (AWS RAM) and permit the same templates there.`,
    ];
  });
}

function beyondIam(policy: Policy): string[] {
  const has = (allow: string): boolean => policy.rules.some((rule) => rule.allow === allow);
  const held = [
    ...(has("scale") ? ["count and change of a group (SetDesiredCapacity has no condition for the number)"] : []),
    ...(has("issue-certificate") ? ["names, keys and validity of a certificate"] : []),
    ...(has("update-dns") ? ["values and ttl of a record"] : []),
    ...(has("deploy") ? ["signers and version of what is deployed, and machines out of service at once"] : []),
  ];
  if (held.length === 0) return [];
  return [`IAM has no condition for ${held.join(", ")}, rates, windows and approvals: the agent alone holds these.`];
}

function boundaryNotes(boundary: boolean): string[] {
  if (!boundary) return [];
  return [
    "A boundary grants nothing: attach the policy too. It also stops whatever else the machine's role is used for (a session manager, a log agent).",
  ];
}

/** One sentence or two each, in the order of the document. */
export function notesOf(
  policy: Policy,
  rendered: Rendered,
  statements: readonly Statement[],
  boundary: boolean,
): readonly string[] {
  const size = sizeOf(statements);
  return [
    ...stars(policy, rendered),
    ...perRule(policy, rendered),
    ...provingNotes(policy),
    ...beyondIam(policy),
    "sts:GetCallerIdentity needs no permission, and none can take it away.",
    ...boundaryNotes(boundary),
    ...(policy.rules.length > 0 ? [] : ["The file has no rules: nothing is permitted, so nothing is granted."]),
    size > MAX_MANAGED_POLICY_CHARS
      ? `${size} characters: over the ${MAX_MANAGED_POLICY_CHARS} that AWS takes in one managed policy. Use fewer rules, or spread the statements over several policies.`
      : `${size} of the ${MAX_MANAGED_POLICY_CHARS} characters that AWS takes in one managed policy.`,
  ];
}
