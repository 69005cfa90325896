import type { DnsChange } from "../../asked.ts";
import type { Policy, RuleFor } from "../../policy.ts";
import { certificateNeeds } from "../acme.ts";
import type { Fault, Operations } from "../cloud.ts";
import type { AzureOperation, Scope } from "./operations.ts";
import {
  type AzurePlace,
  groupScope,
  keyScope,
  nameFault,
  outsideZone,
  recordScope,
  setScope,
  subscriptionScope,
  zoneScope,
} from "./place.ts";

/** A role of its own for each set of actions that goes to the same scopes, and where it is assigned. Both lists sorted. */
export type Role = {
  readonly name: string;
  readonly about: string;
  readonly actions: readonly string[];
  readonly dataActions: readonly string[];
  readonly scopes: readonly string[];
  /** The rules that it is for; none when it is for all. */
  readonly rules: readonly string[];
  /** Of each assignment, in version 2.0; null where the scopes say it all. */
  readonly condition: string | null;
};
export type Rendered = { readonly place: AzurePlace; readonly roles: readonly Role[] };

type Grant = {
  readonly name: string;
  readonly about: string;
  readonly rows: readonly AzureOperation[];
  readonly scopes: readonly string[];
  readonly rules: readonly string[];
};

function sorted(items: readonly string[]): readonly string[] {
  return [...new Set(items)].sort();
}

function roleOf({ name, about, rows, scopes, rules }: Grant): Role[] {
  if (rows.length === 0 || scopes.length === 0) return [];
  const of = (data: boolean) =>
    sorted(rows.filter((row) => row.data === data).flatMap(({ permissions }) => permissions));
  return [
    {
      name,
      about,
      actions: of(false),
      dataActions: of(true),
      scopes: sorted(scopes),
      rules: sorted(rules),
      condition: null,
    },
  ];
}

/** What a rule does to records: one of update-dns, or one whose certificates are proven by them (ACME). */
type Records = Pick<RuleFor<"update-dns">, "id" | "zone" | "types" | "changes" | "names">;

/** Names below another are proven by records anywhere in the zone: they have no scope of their own. */
function provingOf(policy: Policy): Records[] {
  return certificateNeeds(policy).challenges.map(({ rule: id, zone, records }) => ({
    ...{ id, zone, types: ["TXT"], changes: ["create", "replace", "delete"] },
    names: "exactly" in records ? { exactly: [...records.exactly] } : { below: records.below },
  }));
}

/** Writing makes and replaces, deleting deletes. */
const VERBS: Readonly<Record<DnsChange, string>> = { create: "write", replace: "write", delete: "delete" };

/** What a rule's changes need of the records of its types. */
function recordRows(rule: Records, rows: readonly AzureOperation[]): readonly AzureOperation[] {
  const verbs = new Set(["read", ...rule.changes.map((change) => VERBS[change])]);
  return rows.filter(
    ({ type, operation }) => type !== null && rule.types.includes(type) && verbs.has(operation.split("/").at(-1) ?? ""),
  );
}

/** Record sets that a rule names one by one are scopes of their own; names below another are anywhere in the zone. */
function recordScopes(place: AzurePlace, rule: Records): readonly string[] {
  if ("below" in rule.names) return [zoneScope(place, rule.zone)];
  const { exactly } = rule.names;
  return rule.types.flatMap((type) => exactly.map((name) => recordScope(place, rule.zone, type, name)));
}

/** The least permissions of a policy file on Azure: every call that some rule permits in some state, and no other that Azure can tell apart. */
export function azurePermissions(
  policy: Policy,
  table: Operations<AzureOperation>,
): Rendered | { readonly faults: readonly Fault[] } | null {
  const { place } = policy;
  if (place.cloud !== "azure") return null;
  const faults = policy.rules.map((rule) => nameFault(rule) ?? outsideZone(rule)).filter((fault) => fault !== null);
  if (faults.length > 0) return { faults };
  const rulesOf = <A extends Policy["rules"][number]["allow"]>(allow: A) =>
    policy.rules.filter((rule): rule is RuleFor<A> => rule.allow === allow);
  const [scale, deploy, issue] = [rulesOf("scale"), rulesOf("deploy"), certificateNeeds(policy).own];
  const dns: readonly Records[] = [...rulesOf("update-dns"), ...provingOf(policy)];
  const on = (rows: readonly AzureOperation[], scope: Scope) => rows.filter((row) => row.scope === scope);
  const ids = (rules: readonly { readonly id: string }[]) => rules.map(({ id }) => id);
  const name = (what: string): string => `reeve-${policy.cluster}-${what}`;
  const [sets, keys, records] = [table.scale, table["issue-certificate"], table["update-dns"]];
  const following = [...(scale.length === 0 ? [] : sets), ...(deploy.length === 0 ? [] : table.deploy)];
  const grants: readonly Grant[] = [
    {
      ...{ name: name("scale"), about: "sets the capacity of scale sets", rows: on(sets, "set"), rules: ids(scale) },
      scopes: scale.map(({ group }) => setScope(place, group)),
    },
    {
      ...{ name: name("deploy"), about: "takes scale sets to another image", rows: on(table.deploy, "set") },
      ...{ scopes: deploy.map(({ group }) => setScope(place, group)), rules: ids(deploy) },
    },
    {
      ...{ name: name("images"), about: "reads images of releases", rows: on(table.deploy, "image") },
      ...{ scopes: deploy.length === 0 ? [] : [groupScope(place)], rules: ids(deploy) },
    },
    {
      ...{ name: name("operations"), about: "reads how long-running operations end" },
      ...{ rows: on(following, "subscription"), scopes: [subscriptionScope(place)], rules: ids([...scale, ...deploy]) },
    },
    {
      ...{
        name: name("sign"),
        about: "signs certificates with keys of a vault",
        rows: on(keys, "key"),
        rules: ids(issue),
      },
      scopes: issue.map(({ authority }) => keyScope(place, authority)),
    },
    {
      ...{ name: name("zones"), about: "reads zones", rows: on(records, "zone"), rules: ids(dns) },
      scopes: dns.map(({ zone }) => zoneScope(place, zone)),
    },
    // One role a rule: types of one must not meet names of another.
    ...dns.map((rule) => ({
      ...{
        name: name(`records-${rule.id}`),
        about: "changes record sets",
        rows: recordRows(rule, on(records, "records")),
      },
      ...{ scopes: recordScopes(place, rule), rules: [rule.id] },
    })),
  ];
  return { place, roles: grants.flatMap(roleOf) };
}

/** Where a role may be assigned at all: Azure takes subscriptions and resource groups. */
export function assignableScopes(place: AzurePlace, { scopes }: Role): readonly string[] {
  return scopes.includes(subscriptionScope(place)) ? [subscriptionScope(place)] : [groupScope(place)];
}
