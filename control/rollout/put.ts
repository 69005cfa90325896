import { keepPackages, storeNote } from "../manifest/inventory.ts";
import { queueFor, type SignedCommand } from "../send.ts";
import { bumpChanges, type Sql } from "../store.ts";
import { whyStop } from "./decide.ts";
import { holdRollout } from "./lock.ts";
import type { Wish } from "./look.ts";
import type { Order } from "./order.ts";
import type { Phase, RolloutRow } from "./schema.ts";
import { closeRollout, hasUnseenFailure, troublesOf } from "./turn.ts";

/** `note`: the cluster's own manifest, signed, where it is a new one. */
export type Signed = { readonly wish: Wish; readonly note: string | null; readonly commands: readonly SignedCommand[] };

/**
 * One transaction: queues what was signed, all of it or nothing, unless the rollout is not as it was when it was looked at: paused, stopped, a
 * failure that nobody has looked at yet, another driver that was there first, another agent in the cluster. If we stop before it resolves
 * nothing was sent, and the lease runs out. Says whether more may follow.
 */
export async function put(
  sql: Sql,
  id: number,
  order: Order,
  phase: Phase,
  signed: readonly Signed[],
): Promise<boolean> {
  const rollout = await holdRollout(sql, id);
  if (rollout === null || rollout.state !== "running" || rollout.phase !== phase) return false;
  if (await hasUnseenFailure(sql, id)) {
    await giveBack(sql, rollout, signed);
    return false;
  }
  const because = whyStop(rollout, await troublesOf(sql, rollout));
  if (because !== null) {
    await closeRollout(sql, rollout, "stopped", because);
    return false;
  }
  for (const one of signed) if ((await putOne(sql, rollout, order, one)) > 0) await bumpChanges(sql, one.wish.cluster);
  return true;
}

/** They are looked at again at once. */
async function giveBack(sql: Sql, rollout: RolloutRow, signed: readonly Signed[]): Promise<void> {
  for (const { wish } of signed)
    await sql.run(
      "update rollout_clusters set due = $1 where rollout = $2 and cluster = $3 and changes = $4",
      rollout.elapsed,
      rollout.id,
      wish.cluster,
      wish.changes,
    );
}

/** The number of commands that were queued. */
async function putOne(sql: Sql, rollout: RolloutRow, order: Order, { wish, note, commands }: Signed): Promise<number> {
  const { cluster, fresh } = wish;
  const row = "where rollout = $1 and cluster = $2 and changes = $3";
  const [mine] = await sql.rows(`select cluster from rollout_clusters ${row}`, rollout.id, cluster, wish.changes);
  if (mine === undefined) return 0;
  for (const command of commands) if (!(await queueFor(sql, command))) return 0;
  for (const [at, command] of commands.entries())
    await sql.run(
      `insert into rollout_commands (rollout, cluster, grp, attempt, phase, command, sent_ms) values ($1, $2, $3, $4, $5, $6, $7)`,
      rollout.id,
      cluster,
      wish.groups[at] ?? "",
      wish.attempt,
      rollout.phase,
      command.id,
      rollout.elapsed,
    );
  if (fresh !== null && note !== null) {
    await keepPackages(sql, rollout.checksum, order.manifest);
    await storeNote(sql, { digest: wish.digest, cluster, checksum: rollout.checksum, note });
    await sql.run(
      `update rollout_clusters set was = $4, target = $5, wanted = $6 ${row}`,
      rollout.id,
      cluster,
      wish.changes,
      fresh.was,
      wish.digest,
      JSON.stringify(wish.groups),
    );
  }
  // What there is nothing to change in is looked at next, and begins to soak.
  const next = commands.length === 0 ? "pending" : "sent";
  await sql.run(
    `update rollout_clusters set state = $4, code = null, since = $5, due = $5, attempts = $6, changes = changes + 1 ${row}`,
    rollout.id,
    cluster,
    wish.changes,
    next,
    rollout.elapsed,
    wish.attempt,
  );
  return commands.length;
}
