import type { Usage } from "../../asked.ts";
import type { Policy, RuleFor } from "../../policy.ts";
import { certificateNeeds } from "../acme.ts";
import type { Fault, Operations } from "../cloud.ts";
import {
  type AwsPlace,
  awsPlace,
  changeArn,
  groupArn,
  launchTemplateArn,
  resourceFault,
  templateArn,
  zoneArn,
} from "./arn.ts";
import { launching } from "./launching.ts";
import type { AwsOperation, Scope } from "./operations.ts";
import { challengeConditions, recordConditions } from "./records.ts";
import { type Condition, merged, type Statement, sidOf } from "./statement.ts";

/** The least permissions of a policy file on AWS: every call that some rule permits in some state, and no other that IAM can tell apart. */
export type Rendered = {
  readonly place: AwsPlace;
  readonly statements: readonly Statement[];
  /** What the file's actions call, whatever the resources. */
  readonly operations: readonly AwsOperation[];
};

/**
 * The base end-entity template of each set of usages: subject, key and names come from the request that the policy judged, nothing else.
 * docs.aws.amazon.com, AWS Private CA, certificate template definitions.
 */
export function templateOf(usages: readonly Usage[]): string {
  if (usages.includes("server") && usages.includes("client")) return "EndEntityCertificate";
  return usages.includes("server") ? "EndEntityServerAuthCertificate" : "EndEntityClientAuthCertificate";
}

/** The templates of all that a rule lets be asked for: any of its usages, or both. */
function templatesOf(rule: RuleFor<"issue-certificate">): readonly string[] {
  const asked: readonly (readonly Usage[])[] = [["server"], ["client"], ["server", "client"]];
  return asked.filter((usages) => usages.every((usage) => rule.usages.includes(usage))).map(templateOf);
}

function unique(items: readonly string[]): readonly string[] {
  return [...new Set(items)].sort();
}

function byId<R extends { readonly id: string }>(rules: readonly R[]): readonly R[] {
  return rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function rulesOf<A extends "scale" | "update-dns" | "deploy">(policy: Policy, allow: A) {
  return byId(policy.rules.filter((rule): rule is RuleFor<A> => rule.allow === allow));
}

function operationsOf(policy: Policy, table: Operations<AwsOperation>): readonly AwsOperation[] {
  const used = certificateNeeds(policy).actions;
  return used.length === 0 ? [] : [...table.identity, ...used.flatMap((action) => table[action])];
}

function allow(
  sid: string,
  actions: readonly string[],
  resources: readonly string[],
  conditions: readonly Condition[] = [],
  rules: readonly string[] = [],
): Statement[] {
  if (actions.length === 0 || resources.length === 0) return [];
  return [{ sid, effect: "Allow", about: "these", actions, resources, conditions, rules }];
}

/** Permissions for a policy whose place is AWS, by what the provider calls; null for another cloud's. */
export function awsPermissions(
  policy: Policy,
  table: Operations<AwsOperation>,
): Rendered | { readonly faults: readonly Fault[] } | null {
  const place = awsPlace(policy);
  if (place === null) return null;
  const faults = policy.rules.map((rule) => resourceFault(place, rule)).filter((fault) => fault !== null);
  if (faults.length > 0) return { faults };
  const operations = operationsOf(policy, table);
  // What AWS asks of the caller besides is judged by other resources.
  const own = ({ permissions }: AwsOperation): readonly string[] => permissions.slice(0, 1);
  const on = (scope: Scope, rows = operations): readonly string[] =>
    unique(rows.filter((row) => row.scope === scope).flatMap(own));
  const [scale, dns, deploy] = [rulesOf(policy, "scale"), rulesOf(policy, "update-dns"), rulesOf(policy, "deploy")];
  const { own: issuing, challenges } = certificateNeeds(policy);
  const issue = byId(issuing);
  const proving = byId(challenges.map((records) => ({ ...records, id: records.rule })));
  const inRegion: Condition = { test: "StringEquals", key: "aws:RequestedRegion", values: [place.region] };
  const ids = (rules: readonly { readonly id: string }[]): readonly string[] => rules.map(({ id }) => id);
  const groups = (rules: readonly { readonly group: string }[]): readonly string[] =>
    unique(rules.map(({ group }) => groupArn(place, group)));
  const authorities = unique(issue.map(({ authority }) => authority));
  const inZones = [...dns, ...proving];
  const zones = unique(inZones.map(({ zone }) => zoneArn(place, zone)));
  const statements = [
    ...allow("ReadInRegion", on("region"), ["*"], [inRegion]),
    ...allow("ScaleGroups", on("group", table.scale), groups(scale), [], ids(scale)),
    ...allow("DeployGroups", on("group", table.deploy), groups(deploy), [], ids(deploy)),
    ...allow("MakeTemplateVersions", on("launch-template"), [launchTemplateArn(place)], [], ids(deploy)),
    ...launching(place, table.deploy, ids(deploy)),
    ...allow("ReadAuthorities", on("authority"), authorities, [], ids(issue)),
    ...issue.flatMap((rule) => {
      const values = templatesOf(rule).map((template) => templateArn(place, template));
      const template: Condition = { test: "StringEquals", key: "acm-pca:TemplateArn", values };
      return allow(sidOf("Issue", rule.id), on("template"), [rule.authority], [template], [rule.id]);
    }),
    ...allow("ReadZones", on("zone"), zones, [], ids(inZones)),
    ...allow("ReadChanges", on("change"), inZones.length === 0 ? [] : [changeArn(place)], [], ids(inZones)),
    // One statement a rule: names of one must not meet types of another.
    ...dns.flatMap((rule) =>
      recordConditions(rule).flatMap((conditions) =>
        allow(sidOf("Change", rule.id), on("records"), [zoneArn(place, rule.zone)], conditions, [rule.id]),
      ),
    ),
    // Certificates by ACME: the records that prove their names, and nothing of an authority.
    ...proving.flatMap((records) =>
      challengeConditions(records).flatMap((conditions) =>
        allow(sidOf("Prove", records.id), on("records"), [zoneArn(place, records.zone)], conditions, [records.id]),
      ),
    ),
  ];
  // A document must state something: where nothing is permitted, it denies.
  return { place, operations, statements: statements.length === 0 ? [nothingElse([])] : merged(statements) };
}

/** Every action but these is denied, whatever else grants it. */
function nothingElse(actions: readonly string[]): Statement {
  return {
    sid: "NothingElse",
    effect: "Deny",
    about: "others",
    actions: unique(["sts:GetCallerIdentity", ...actions]),
    resources: ["*"],
    conditions: [],
    rules: [],
  };
}

/**
 * The boundary: the same permissions as a ceiling, whatever else is attached to the role later, and a plain denial of every other action,
 * which also holds against resource policies that name the role's session. It grants nothing by itself.
 */
export function boundaryOf({ statements, operations }: Rendered): readonly Statement[] {
  const granting = statements.filter(({ effect }) => effect === "Allow");
  const needed = operations.flatMap(({ permissions }) => permissions);
  return [...granting, nothingElse([...needed, ...granting.flatMap(({ actions }) => actions)])];
}
