import { bumpChanges, nowSeconds, type Sql } from "../store.ts";
import { type Counts, decideLane, SILENT, type Troubles } from "./decide.ts";
import { holdRollout } from "./lock.ts";
import { ACTIVE, type MemberRow, PARKED, type RolloutRow } from "./schema.ts";

/** What there is in the lanes so far that can stop it, by the index. */
export async function troublesOf(sql: Sql, rollout: RolloutRow): Promise<Troubles> {
  const rows = await sql.rows<Pick<MemberRow, "state" | "canary"> & { readonly count: number }>(
    `select state, canary, count(*) as count from rollout_clusters
     where rollout = $1 and state in ('failed', 'refused') and lane <= $2 and phase = $3 group by 1, 2`,
    rollout.id,
    rollout.lane,
    rollout.phase,
  );
  const [begun] = await sql.rows<{ count: number }>(
    "select cast(sum(clusters) as bigint) as count from rollout_lanes where rollout = $1 and lane <= $2",
    rollout.id,
    rollout.lane,
  );
  return {
    begun: begun?.count ?? 0,
    failed: sum(rows, ({ state }) => state === "failed"),
    failedCanaries: sum(rows, ({ state, canary }) => state === "failed" && canary === 1),
    refused: sum(rows, ({ state }) => state === "refused"),
  };
}

/** How many clusters of the lanes so far are how: by the index, and of those that are well only whether there is one. */
export async function countsOf(sql: Sql, rollout: RolloutRow): Promise<Counts> {
  const rows = await sql.rows<Pick<MemberRow, "state" | "lane"> & { readonly silent: number; readonly count: number }>(
    `select state, lane, case when code = '${SILENT}' then 1 else 0 end as silent, count(*) as count from rollout_clusters
     where rollout = $1 and state in ('pending', 'sent', 'soaking', 'waiting', 'suspended', 'refused', 'cut-off')
     and lane <= $2 and phase = $3 group by 1, 2, 3`,
    rollout.id,
    rollout.lane,
    rollout.phase,
  );
  const well = await sql.rows(
    "select cluster from rollout_clusters where rollout = $1 and state = 'healthy' and lane <= $2 and phase = $3 limit 1",
    rollout.id,
    rollout.lane,
    rollout.phase,
  );
  return {
    ...(await troublesOf(sql, rollout)),
    healthy: well.length,
    active: sum(rows, ({ state, silent }) => ACTIVE.includes(state) || (state === "cut-off" && silent === 1)),
    parked: sum(rows, ({ state, lane }) => PARKED.includes(state) && lane === rollout.lane),
  };
}

function sum<Row extends { readonly count: number }>(rows: readonly Row[], of: (row: Row) => boolean): number {
  return rows.filter(of).reduce((total, { count }) => total + count, 0);
}

/** One transaction: the next lane, the end, or a stop, when it is time. If we stop before it resolves, it is decided again. */
export async function turn(sql: Sql, id: number): Promise<void> {
  const rollout = await holdRollout(sql, id);
  if (rollout === null || rollout.open === 0) return;
  if (rollout.state === "stopped" || rollout.state === "aborted") return settle(sql, rollout);
  if (rollout.state !== "running" || (await hasUnseenFailure(sql, id))) return;
  const decided = decideLane(rollout, await countsOf(sql, rollout));
  if (decided.step === "stop") return closeRollout(sql, rollout, "stopped", decided.because);
  if (decided.step === "finish") return closeRollout(sql, rollout, "finished", null);
  if (decided.step === "stay" || (decided.step === "widen" && (await widen(sql, rollout)))) return;
  await sql.run(
    "update rollouts set lane = $1, lane_since = $2 where id = $3 and lane = $4",
    rollout.lane + 1,
    rollout.elapsed,
    id,
    rollout.lane,
  );
  await beginLane(sql, rollout, rollout.lane + 1);
}

/** The first cluster of the lanes to come is of this one from now on, and waited for as long. False: there is none. */
async function widen(sql: Sql, rollout: RolloutRow): Promise<boolean> {
  const [next] = await sql.rows<Pick<MemberRow, "cluster" | "lane">>(
    "select cluster, lane from rollout_clusters where rollout = $1 and lane > $2 order by position limit 1",
    rollout.id,
    rollout.lane,
  );
  if (next === undefined) return false;
  const { id, lane, elapsed } = rollout;
  const row = "where rollout = $2 and cluster = $3";
  await sql.run(`update rollout_clusters set lane = $1, due = $4 ${row}`, lane, id, next.cluster, elapsed);
  const size = "update rollout_lanes set clusters = clusters + $1 where rollout = $2 and lane = $3";
  await sql.run(size, 1, id, lane);
  await sql.run(size, -1, id, next.lane);
  await sql.run("update rollouts set lane_since = $1 where id = $2", elapsed, id);
  return true;
}

/** A failure that no driver has looked at yet: what it means is decided before anything else. */
export async function hasUnseenFailure(sql: Sql, id: number): Promise<boolean> {
  const unseen = await sql.rows("select cluster from rollout_clusters where rollout = $1 and news = 2 limit 1", id);
  return unseen.length > 0;
}

/** From now on the clusters of a lane are looked at. */
export async function beginLane(sql: Sql, rollout: Pick<RolloutRow, "id" | "elapsed" | "phase">, lane: number) {
  await sql.run(
    "update rollout_clusters set due = $1 where rollout = $2 and lane = $3 and state = 'pending' and phase = $4",
    rollout.elapsed,
    rollout.id,
    lane,
    rollout.phase,
  );
}

/**
 * Nothing more is sent. What nobody has begun is taken back. What an agent has begun goes on, and is still looked at; until it is over its
 * cluster is no other rollout's.
 */
export async function closeRollout(
  sql: Sql,
  rollout: Pick<RolloutRow, "id">,
  state: "stopped" | "aborted" | "finished",
  because: string | null,
): Promise<void> {
  await takeBack(sql, rollout.id);
  await sql.run(
    "update rollouts set state = $1, because = $2, ended_at = $3, open = $4 where id = $5",
    state,
    because,
    nowSeconds(),
    state === "finished" ? 0 : 1,
    rollout.id,
  );
  await sql.run("update rollout_clusters set claimed = 0 where rollout = $1 and state <> 'sent'", rollout.id);
}

/** Commands that wait, for an agent or for people, are taken back; an agent that has one in hand is asked to leave it, unless it has begun. */
export async function takeBack(sql: Sql, id: number): Promise<void> {
  const ours = "id in (select command from rollout_commands where rollout = $1)";
  const queued = `update commands set state = 'cancelled', code = 'rollout' where ${ours} and state = 'queued'`;
  await sql.run(queued, id);
  const asked = `update commands set cancel = 1 where ${ours} and state in ('handed-out', 'waiting') returning cluster`;
  const told = await sql.rows<{ cluster: string }>(asked, id);
  await sql.run(
    "update rollout_clusters set due = 0 where rollout = $1 and state in ('sent', 'waiting', 'suspended', 'refused', 'cut-off')",
    id,
  );
  for (const { cluster } of told) await bumpChanges(sql, cluster);
}

/** What was under way when it was closed is over: then nobody need look at it any more. */
async function settle(sql: Sql, rollout: RolloutRow): Promise<void> {
  await sql.run(
    "update rollout_clusters set claimed = 0 where rollout = $1 and claimed = 1 and state <> 'sent'",
    rollout.id,
  );
  const left = await sql.rows(
    "select cluster from rollout_clusters where rollout = $1 and state = 'sent' limit 1",
    rollout.id,
  );
  if (left.length === 0) await sql.run("update rollouts set open = 0 where id = $1", rollout.id);
}
