/**
 * A rollout: one content, taken to clusters lane by lane. Times named _ms and `elapsed`, `since`, `due`, `lane_since` are milliseconds of the
 * rollout's own time: it runs only while a driver looks at it, and no clock that is set moves it (clock.ts).
 * `state`: running · paused · stopped · aborted · finished; `phase`: forward · back. `open`: 1 while a driver has work with it.
 * `note`: the signed manifest that it was started with. `lanes`: ascending percentages, as JSON. `lane`: the one that is on, from 0.
 */
const ROLLOUTS = `create table if not exists rollouts (id bigint primary key, checksum text not null, version text not null, says text not null,
    note text not null, lanes text not null, soak_ms bigint not null, wait_ms bigint not null, max_failed text not null,
    max_refused text not null, signer text not null, images text not null, said_by text not null, why text not null,
    started_at bigint not null, ended_at bigint, state text not null, phase text not null, open bigint not null, lane bigint not null,
    lane_since bigint not null, elapsed bigint not null, because text, clusters bigint not null)`;

/**
 * Each cluster of a rollout. `lane` is written at the start, and is an earlier one where that was widened. `was`: digest of the manifest before, `target`: of its own one with the
 * rollout's content, `wanted`: the groups that it changes, as JSON; all null until it is first touched. `attempts`: the number of the last one.
 * `failures`: the cluster's failed commands when its soak began. `news`: what was heard since the last look: 1 something, 2 a failure;
 * `gap`: it was not there, or not as it was, for a while. `due`: when to look next. `changes`: rises with each write by a driver.
 * `claimed`: 1 while no other rollout may touch the cluster.
 */
const CLUSTERS = `create table if not exists rollout_clusters (rollout bigint not null, cluster text not null, lane bigint not null,
    position bigint not null, canary bigint not null, state text not null, code text, phase text not null, was text, target text,
    wanted text, attempts bigint not null, since bigint not null, failures bigint not null, news bigint not null, gap bigint not null,
    due bigint not null, changes bigint not null, claimed bigint not null, primary key (rollout, cluster))`;

export const ROLLOUT_SCHEMA: readonly string[] = [
  ROLLOUTS,
  CLUSTERS,
  `create table if not exists rollout_lanes (rollout bigint not null, lane bigint not null, percent bigint not null, clusters bigint not null,
    primary key (rollout, lane))`,
  "create unique index if not exists rollout_clusters_claimed on rollout_clusters (cluster) where claimed = 1",
  "create index if not exists rollout_clusters_due on rollout_clusters (rollout, due)",
  "create index if not exists rollout_clusters_states on rollout_clusters (rollout, state, lane, canary)",
  "create index if not exists rollout_clusters_failed on rollout_clusters (rollout) where news = 2",
  // One command for each attempt, whatever dies: `sent_ms` in the rollout's own time.
  `create table if not exists rollout_commands (rollout bigint not null, cluster text not null, grp text not null, attempt bigint not null,
    phase text not null, command text not null, sent_ms bigint not null, primary key (rollout, cluster, grp, attempt))`,
  "create index if not exists rollout_commands_by_cluster on rollout_commands (cluster)",
];

export type RolloutState = "running" | "paused" | "stopped" | "aborted" | "finished";
export type Phase = "forward" | "back";
export const CLUSTER_STATES = [
  "pending",
  "sent",
  "soaking",
  "healthy",
  "failed",
  "waiting",
  "suspended",
  "refused",
  "cut-off",
] as const;
export type ClusterState = (typeof CLUSTER_STATES)[number];
/** Under way: a lane is not over while one of its clusters is in one of these. */
export const ACTIVE: readonly ClusterState[] = ["pending", "sent", "soaking"];
/** Cannot act: counted apart, and waited for only so long. */
export const PARKED: readonly ClusterState[] = ["waiting", "suspended", "refused", "cut-off"];
/** After every moment. */
export const NEVER = Number.MAX_SAFE_INTEGER;

export type RolloutRow = {
  readonly id: number;
  readonly checksum: string;
  readonly version: string;
  readonly says: string;
  readonly note: string;
  readonly lanes: string;
  readonly soak_ms: number;
  readonly wait_ms: number;
  readonly max_failed: string;
  readonly max_refused: string;
  readonly signer: string;
  readonly images: string;
  readonly said_by: string;
  readonly why: string;
  /** Unix seconds. */
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly state: RolloutState;
  readonly phase: Phase;
  readonly open: number;
  readonly lane: number;
  readonly lane_since: number;
  readonly elapsed: number;
  /** Why it stopped. */
  readonly because: string | null;
  readonly clusters: number;
};

export type MemberRow = {
  readonly rollout: number;
  readonly cluster: string;
  readonly lane: number;
  readonly position: number;
  readonly canary: number;
  readonly state: ClusterState;
  readonly code: string | null;
  readonly phase: Phase;
  readonly was: string | null;
  readonly target: string | null;
  readonly wanted: string | null;
  readonly attempts: number;
  readonly since: number;
  readonly failures: number;
  readonly news: number;
  readonly gap: number;
  readonly due: number;
  readonly changes: number;
  readonly claimed: number;
};

export function lanesOf(rollout: Pick<RolloutRow, "lanes">): number[] {
  // Only `start` writes them.
  return JSON.parse(rollout.lanes) as number[];
}
