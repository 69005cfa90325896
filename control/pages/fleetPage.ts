import { FLEET_STATES, type FleetState } from "../fleet.ts";
import type { Sql } from "../store.ts";
import { readWitnessed, type Witnessed } from "../witnessed.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Standing } from "./standings.ts";

/** The part of the fleet that is looked at: what `/` shows and `/api/fleet` answers. */
export type FleetFilter = {
  readonly state: FleetState | null;
  /** What a cluster's name contains. */
  readonly name: string;
  /** From 1 on. */
  readonly page: number;
};
export type FleetPage = {
  readonly at: number;
  readonly states: Snapshot["states"];
  readonly filter: FleetFilter;
  readonly found: number;
  readonly pages: number;
  readonly clusters: readonly (Standing & { readonly witnessed: Witnessed })[];
};
export const ROWS_AT_ONCE = 50;

/** Null for a state or a page that there is none of. */
export function filterFrom(query: Readonly<Record<string, string>>): FleetFilter | null {
  const { state = "", name = "", page = "1" } = query;
  const known = FLEET_STATES.find((one) => one === state) ?? null;
  if ((state !== "" && known === null) || !/^[1-9]\d{0,5}$/.test(page) || name.length > 64) return null;
  return { state: known, name: name.trim().toLowerCase(), page: Number(page) };
}

/** Witnessed heads are read for the rows that are shown, and no others. */
export async function readFleetPage(sql: Sql, snapshot: Snapshot, filter: FleetFilter): Promise<FleetPage> {
  const found = snapshot.standings.filter(
    ({ cluster, state }) =>
      (filter.state === null || state === filter.state) && (filter.name === "" || cluster.includes(filter.name)),
  );
  const pages = Math.max(1, Math.ceil(found.length / ROWS_AT_ONCE));
  const page = Math.min(filter.page, pages);
  const clusters: (Standing & { witnessed: Witnessed })[] = [];
  for (const one of found.slice((page - 1) * ROWS_AT_ONCE, page * ROWS_AT_ONCE))
    clusters.push({ ...one, witnessed: await readWitnessed(sql, one.cluster, one.epoch) });
  const { at, states } = snapshot;
  return { at, states, filter: { ...filter, page }, found: found.length, pages, clusters };
}
