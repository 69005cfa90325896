import type { Manifest } from "../../agent/wire/manifest.ts";

/** A command's arguments as its entry says them. */
export type Asked = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;
export type Change = { readonly what: string; readonly from: string | null; readonly to: string | null };

/** `image`: where the group's image lies; null: not known here. */
export type Group = { readonly image: string | null; readonly count: number | null };
export type Groups = Readonly<Record<string, Group>>;
export const NO_GROUPS: Groups = {};

/** A cluster as its line of revisions leaves it. */
export type ClusterState = {
  readonly groups: Groups;
  /** By `zone/name type`; those that reeve has set. */
  readonly records: Readonly<Record<string, { readonly values: readonly string[]; readonly ttl: number }>>;
  /** By authority: how many certificates were issued, and the newest one as its outcome names it. */
  readonly certificates: Readonly<Record<string, { readonly issued: number; readonly newest: string | null }>>;
};

/** A manifest says of its groups which image and how many; what it does not name stays as it was. */
export function declared(groups: Groups, { parameters }: Manifest): Groups {
  const named = Object.entries(parameters.groups).map(
    ([group, { image, count }]) => [group, { image: parameters.images[image] ?? null, count }] as const,
  );
  return { ...groups, ...Object.fromEntries(named) };
}

/** What a command's outcome leaves of the groups. `image`: where a deployed manifest says that the group's image lies. */
export function changedGroups(groups: Groups, action: string, asked: Asked, image: string | null): Groups {
  const { group, count } = asked;
  if (typeof group !== "string") return groups;
  const before = groups[group] ?? { image: null, count: null };
  if (action === "scale" && typeof count === "number") return { ...groups, [group]: { ...before, count } };
  if (action === "deploy") return { ...groups, [group]: { ...before, image } };
  return groups;
}

/** Whether the groups run what a manifest says, all of them. Counts are not content. */
export function runs(groups: Groups, { parameters }: Manifest): boolean {
  return Object.entries(parameters.groups).every(([group, { image }]) => {
    const wanted = parameters.images[image];
    return wanted !== undefined && groups[group]?.image === wanted;
  });
}

type Step = {
  readonly action: string;
  readonly result: string;
  readonly asked: Asked;
  readonly changed: readonly Change[];
  readonly groups: Groups;
};

/** The state after a line of revisions, oldest first. Pure. What failed or is not known leaves records as they were. */
export function stateAfter(line: readonly Step[]): ClusterState {
  const records = new Map<string, ClusterState["records"][string]>();
  const certificates = new Map<string, ClusterState["certificates"][string]>();
  for (const { action, result, asked, changed } of line) {
    if (result !== "succeeded") continue;
    if (action === "update-dns") setRecord(records, asked);
    if (action === "issue-certificate" && typeof asked["authority"] === "string") {
      const issued = (certificates.get(asked["authority"])?.issued ?? 0) + 1;
      certificates.set(asked["authority"], { issued, newest: changed[0]?.to ?? null });
    }
  }
  return {
    groups: line.at(-1)?.groups ?? NO_GROUPS,
    records: Object.fromEntries(records),
    certificates: Object.fromEntries(certificates),
  };
}

function setRecord(records: Map<string, ClusterState["records"][string]>, asked: Asked): void {
  const { zone, name, type, change, values, ttl } = asked;
  const key = `${String(zone)}/${String(name)} ${String(type)}`;
  if (change === "delete") records.delete(key);
  else if (Array.isArray(values) && typeof ttl === "number") records.set(key, { values, ttl });
}
