import { SILENT_SECONDS } from "../fleet.ts";
import { SILENT } from "../rollout/decide.ts";
import { CLUSTER_STATES, type ClusterState, type Phase, type RolloutState } from "../rollout/schema.ts";
import { nowSeconds, type Sql } from "../store.ts";

/** How far a rollout is, as the page and the numbers show it. */
export type RolloutShown = {
  readonly id: number;
  readonly state: RolloutState;
  readonly phase: Phase;
  readonly version: string;
  /** Of the content that it brings. */
  readonly checksum: string;
  /** The lane that is on, from 0. */
  readonly lane: number;
  /** Unix seconds. */
  readonly started: number;
  readonly by: string;
  readonly why: string;
  /** Why it stopped; null when it has not. */
  readonly because: string | null;
  /** Clusters that it touched and of which nothing is heard now. */
  readonly silent: number;
  readonly lanes: readonly LaneShown[];
};
export type LaneShown = {
  /** From 0, as in `lane`. */
  readonly lane: number;
  /** Of all its clusters, how many are to have it when this lane is over. */
  readonly percent: number;
  readonly clusters: number;
  /** How many of its clusters are in each state; states without one are left out. */
  readonly states: Readonly<Partial<Record<ClusterState, number>>>;
};
const ROLLOUTS_SHOWN = 20;

/** Those that are not over, and the newest: newest first. */
export async function readRollouts(sql: Sql): Promise<RolloutShown[]> {
  const rows = await sql.rows<Omit<RolloutShown, "lanes" | "silent">>(
    `select id, state, phase, version, checksum, lane, started_at as started, said_by as "by", why, because from rollouts
     where open = 1 or state = 'stopped' or id > (select coalesce(max(id), 0) from rollouts) - ${ROLLOUTS_SHOWN} order by id desc`,
  );
  const shown: RolloutShown[] = [];
  for (const row of rows)
    shown.push({ ...row, silent: await countSilent(sql, row.id), lanes: await readLanes(sql, row.id) });
  return shown;
}

async function countSilent(sql: Sql, rollout: number): Promise<number> {
  const [row] = await sql.rows<{ times: number }>(
    `select count(*) as times from rollout_clusters m join clusters c on c.cluster = m.cluster
     where m.rollout = $1 and m.state in ('cut-off', 'failed') and m.code = $2 and (c.last_seen is null or c.last_seen < $3)`,
    rollout,
    SILENT,
    nowSeconds() - SILENT_SECONDS,
  );
  return row?.times ?? 0;
}

async function readLanes(sql: Sql, rollout: number): Promise<LaneShown[]> {
  const lanes = await sql.rows<Omit<LaneShown, "states">>(
    "select lane, percent, clusters from rollout_lanes where rollout = $1 order by lane",
    rollout,
  );
  const members = await sql.rows<{ lane: number; state: ClusterState; times: number }>(
    "select lane, state, count(*) as times from rollout_clusters where rollout = $1 group by lane, state",
    rollout,
  );
  return lanes.map((one) => {
    const found = CLUSTER_STATES.flatMap((state) => {
      const times = members.find((member) => member.lane === one.lane && member.state === state)?.times ?? 0;
      return times === 0 ? [] : [[state, times] as const];
    });
    return { ...one, states: Object.fromEntries(found) };
  });
}

/** How many rollouts there are in each state, those that are long over too. */
export async function countRollouts(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql.rows<{ state: string; times: number }>(
    "select state, count(*) as times from rollouts group by state order by state",
  );
  return new Map(rows.map(({ state, times }) => [state, times]));
}

/** Somebody or something has still to do with it. */
export function isUnderWay({ state }: Pick<RolloutShown, "state">): boolean {
  return state === "running" || state === "paused" || state === "stopped";
}
