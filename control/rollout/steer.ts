import { newestRevision } from "../revisions/read.ts";
import type { Sql } from "../store.ts";
import { Complaint } from "../terminal.ts";
import { holdRollout } from "./lock.ts";
import { type MemberRow, NEVER, type RolloutRow, type RolloutState } from "./schema.ts";
import { refuseTaken } from "./start.ts";
import { beginLane, closeRollout, takeBack } from "./turn.ts";

/** What an operator says to a rollout, one transaction each. All throw a Complaint when it is not in a state for it. */
export async function readRollout(sql: Sql, id: number): Promise<RolloutRow> {
  const row = await holdRollout(sql, id);
  if (row === null)
    throw new Complaint(1, `find rollout ${id}`, "there is none with this number", "See `reeve-control rollout list`.");
  return row;
}

function need(rollout: RolloutRow, verb: string, states: readonly RolloutState[]): void {
  if (states.includes(rollout.state)) return;
  throw new Complaint(
    1,
    `${verb} rollout ${rollout.id}`,
    `it is ${rollout.state}`,
    `See \`reeve-control rollout status ${rollout.id}\`.`,
  );
}

/** Nothing new is sent. What waits for an agent or for people is taken back; what has begun is looked at. */
export async function pause(sql: Sql, id: number): Promise<void> {
  need(await readRollout(sql, id), "pause", ["running"]);
  await sql.run("update rollouts set state = 'paused' where id = $1", id);
  await takeBack(sql, id);
}

export async function resume(sql: Sql, id: number): Promise<void> {
  const rollout = await readRollout(sql, id);
  need(rollout, "resume", ["paused"]);
  await sql.run("update rollouts set state = 'running' where id = $1", id);
  await sql.run(
    `update rollout_clusters set due = 0 where rollout = $1 and lane <= $2 and phase = $3
     and state in ('pending', 'sent', 'soaking', 'waiting', 'suspended', 'refused', 'cut-off')`,
    id,
    rollout.lane,
    rollout.phase,
  );
}

/** Leaves everything as it is, and sends nothing more. Of one that has stopped itself: somebody has seen it, and nothing else becomes of it. */
export async function abort(sql: Sql, id: number): Promise<void> {
  const rollout = await readRollout(sql, id);
  need(rollout, "abort", ["running", "paused", "stopped"]);
  await closeRollout(sql, rollout, "aborted", rollout.because);
}

/**
 * Every cluster that was touched goes back to the manifest that it had, through the same lanes. Returns how many. Refused when one has got
 * another manifest since, or another rollout has it.
 */
export async function rollback(sql: Sql, id: number): Promise<number> {
  const rollout = await readRollout(sql, id);
  const cannot = `roll back rollout ${id}`;
  if (rollout.phase === "back")
    throw new Complaint(1, cannot, "it goes back, or went, already", `See \`reeve-control rollout status ${id}\`.`);
  await takeBack(sql, id);
  const touched = await touchedBy(sql, id);
  for (const { cluster, was, target } of touched) {
    const newest = (await newestRevision(sql, cluster))?.digest ?? null;
    if (newest !== was && newest !== target)
      throw new Complaint(
        1,
        cannot,
        `${cluster} has got another manifest since`,
        "Roll back what came later first, or start a rollout of the manifest that it is to have.",
      );
  }
  await sql.run("update rollout_clusters set claimed = 0 where rollout = $1", id);
  await refuseTaken(
    sql,
    touched.map(({ cluster }) => cluster),
    cannot,
  );
  for (const { cluster } of touched)
    await sql.run(
      `update rollout_clusters set phase = 'back', state = 'pending', code = null, since = $1, news = 0, gap = 0, due = $2, claimed = 1,
       changes = changes + 1 where rollout = $3 and cluster = $4`,
      rollout.elapsed,
      NEVER,
      id,
      cluster,
    );
  await sql.run(
    `update rollouts set state = 'running', phase = 'back', open = 1, lane = 0, lane_since = $1, because = null, ended_at = null where id = $2`,
    rollout.elapsed,
    id,
  );
  await beginLane(sql, { id, elapsed: rollout.elapsed, phase: "back" }, 0);
  return touched.length;
}

/** Where a command may have done something, or the newest manifest became this one without any. */
async function touchedBy(sql: Sql, id: number): Promise<Pick<MemberRow, "cluster" | "was" | "target">[]> {
  return sql.rows(
    `select m.cluster as cluster, m.was as was, m.target as target from rollout_clusters m where m.rollout = $1 and m.target is not null
     and ((m.wanted = '[]' and m.state in ('soaking', 'healthy')) or exists (select 1 from rollout_commands k join commands c on c.id = k.command
       where k.rollout = $1 and k.cluster = m.cluster and c.state not in ('cancelled', 'refused', 'expired')))
     order by m.position`,
    id,
  );
}
