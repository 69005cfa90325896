import { inDns } from "../../acme.ts";
import type { Policy, Rule } from "../../policy.ts";
import { GCP_OPERATIONS, type Scope } from "./operations.ts";

/** What a rule needs and where it is granted: a role of exactly these permissions, bound on one resource. */
export type Binding = {
  readonly scope: Exclude<Scope, "records"> | "account" | "bucket";
  /** `projects/P`, a CA pool's name, `projects/P/managedZones/Z`, or `gs://BUCKET`. */
  readonly resource: string;
  /** In CEL, where the resource takes conditions and there is something to say; null: none. */
  readonly condition: { readonly title: string; readonly expression: string } | null;
  /** Sorted, each once. */
  readonly permissions: readonly string[];
  readonly rules: readonly string[];
};
export type GcpPlace = Extract<Policy["place"], { cloud: "gcp" }>;

const OF_CHANGE = {
  create: "dns.resourceRecordSets.create",
  replace: "dns.resourceRecordSets.update",
  delete: "dns.resourceRecordSets.delete",
} as const;

/** A group of a zone is asked about by the zonal calls alone, one of the region by the regional ones. */
function isUsed(rule: Rule, permission: string): boolean {
  if (rule.allow === "scale" || rule.allow === "deploy") {
    const zonal = rule.group.includes("/");
    return !permission.startsWith(zonal ? "compute.regionOperations." : "compute.zoneOperations.");
  }
  if (rule.allow !== "update-dns" || !Object.values<string>(OF_CHANGE).includes(permission)) return true;
  return rule.changes.some((change) => OF_CHANGE[change] === permission);
}

/** Of a machine's service account, which no policy file names: it may be granted on that one account as well. */
function isOfAccount(permission: string): boolean {
  return permission.startsWith("iam.serviceAccounts.");
}

function every(rule: Rule): readonly string[] {
  const all = GCP_OPERATIONS[rule.allow].flatMap(({ permissions }) => permissions);
  return [...new Set(all)].filter((permission) => isUsed(rule, permission)).sort();
}

/** Every permission that some command of the rule needs on what the rule names, and no other. Sorted. */
export function permissionsOf(rule: Rule): readonly string[] {
  return every(rule).filter((permission) => !isOfAccount(permission));
}

function whereOf(
  { project }: GcpPlace,
  rule: Rule,
): { readonly scope: Exclude<Scope, "records">; readonly resource: string } {
  switch (rule.allow) {
    case "scale":
    case "deploy":
      return { scope: "project", resource: `projects/${project}` };
    case "issue-certificate":
      return { scope: "pool", resource: rule.authority };
    case "update-dns":
      return { scope: "zone", resource: `projects/${project}/managedZones/${rule.zone}` };
  }
}

/** One binding a resource, for all rules about it, in the order of their names. A rule whose certificates are proven in DNS (ACME) needs the zone. */
export function bindingsOf(place: GcpPlace, rules: readonly Rule[]): readonly Binding[] {
  const found = new Map<string, Binding>();
  const add = (where: Pick<Binding, "scope" | "resource">, rule: Rule, needed: readonly string[]): void => {
    if (needed.length === 0) return;
    const key = `${where.resource} ${where.scope === "account"}`;
    const before = found.get(key) ?? { ...where, condition: null, permissions: [], rules: [] };
    const permissions = [...new Set([...before.permissions, ...needed])].sort();
    found.set(key, { ...before, permissions, rules: [...before.rules, rule.id] });
  };
  for (const rule of rules.map(inDns).sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const where = whereOf(place, rule);
    add(where, rule, permissionsOf(rule));
    add({ ...where, scope: "account" }, rule, every(rule).filter(isOfAccount));
  }
  return [...found.values()].sort((a, b) => (a.resource < b.resource ? -1 : 1));
}
