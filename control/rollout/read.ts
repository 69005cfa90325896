import type { Sql } from "../store.ts";
import { CLUSTER_STATES, type ClusterState, type MemberRow, PARKED, type RolloutRow } from "./schema.ts";
import { readRollout } from "./steer.ts";

export type LaneSummary = {
  /** Cumulative. */
  readonly percent: number;
  readonly clusters: number;
  readonly states: Readonly<Record<ClusterState, number>>;
};
/** A rollout as it is shown, and as `--json` prints it. */
export type Summary = {
  readonly rollout: number;
  readonly state: RolloutRow["state"];
  readonly phase: RolloutRow["phase"];
  /** False: nothing of it changes any more. */
  readonly open: boolean;
  readonly because: string | null;
  /** What is being rolled out. */
  readonly says: string;
  readonly version: string;
  readonly checksum: string;
  readonly by: string;
  readonly why: string;
  /** Unix seconds. */
  readonly started_at: number;
  readonly ended_at: number | null;
  /** From 1. */
  readonly lane: number;
  readonly clusters: number;
  readonly lanes: readonly LaneSummary[];
  readonly states: Readonly<Record<ClusterState, number>>;
  /** Of a rollout that is over: those that could not act and were left as they are. */
  readonly left_behind: number;
};

type Count = Pick<MemberRow, "lane" | "state"> & { readonly count: number };

function tally(rows: readonly Count[]): Record<ClusterState, number> {
  const states = Object.fromEntries(CLUSTER_STATES.map((state) => [state, 0])) as Record<ClusterState, number>;
  for (const { state, count } of rows) states[state] += count;
  return states;
}

/** Going back, only those that go back are counted: the others were never touched. */
export async function summaryOf(sql: Sql, id: number): Promise<Summary> {
  const rollout = await readRollout(sql, id);
  const lanes = await sql.rows<{ lane: number; percent: number; clusters: number }>(
    "select lane, percent, clusters from rollout_lanes where rollout = $1 order by lane",
    id,
  );
  const rows = await sql.rows<Count>(
    "select lane, state, count(*) as count from rollout_clusters where rollout = $1 and phase = $2 group by lane, state",
    id,
    rollout.phase,
  );
  const states = tally(rows);
  const over = rollout.state === "finished";
  return {
    rollout: id,
    state: rollout.state,
    phase: rollout.phase,
    open: rollout.open === 1,
    because: rollout.because,
    says: rollout.says,
    version: rollout.version,
    checksum: rollout.checksum,
    by: rollout.said_by,
    why: rollout.why,
    started_at: rollout.started_at,
    ended_at: rollout.ended_at,
    lane: rollout.lane + 1,
    clusters: rows.reduce((sum, { count }) => sum + count, 0),
    lanes: lanes.map(({ lane, percent, clusters }) => ({
      percent,
      clusters,
      states: tally(rows.filter((row) => row.lane === lane)),
    })),
    states,
    left_behind: over ? PARKED.reduce((sum, state) => sum + states[state], 0) : 0,
  };
}

export async function summaries(sql: Sql): Promise<Summary[]> {
  const rows = await sql.rows<{ id: number }>("select id from rollouts order by id desc");
  const all: Summary[] = [];
  for (const { id } of rows) all.push(await summaryOf(sql, id));
  return all;
}

export type Shown = Pick<MemberRow, "cluster" | "lane" | "canary" | "state" | "code" | "was" | "target" | "attempts">;
/** Its clusters in their order, those in `states` only, if any are named. */
export async function membersOf(sql: Sql, id: number, states: readonly string[]): Promise<Shown[]> {
  const rows = await sql.rows<Shown>(
    `select cluster, lane, canary, state, code, was, target, attempts from rollout_clusters where rollout = $1 order by position`,
    id,
  );
  return states.length === 0 ? rows : rows.filter(({ state }) => states.includes(state));
}

/** Null while it is open. 0: done; 1: stopped, aborted, or something failed; 8: some were left behind. */
export function exitOfRollout({ open, state, states, left_behind }: Summary): 0 | 1 | 8 | null {
  if (open) return null;
  if (state !== "finished") return 1;
  if (states.failed > 0) return 1;
  return left_behind > 0 ? 8 : 0;
}
