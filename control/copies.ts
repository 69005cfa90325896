import { parseCheckpoint } from "../agent/audit/note.ts";
import { closeCommandsInHand } from "./epoch.ts";
import { Faulted } from "./fault.ts";
import { isAfter, moment } from "./moment.ts";
import type { Peer } from "./peer.ts";
import { bumpChanges, nowSeconds, raiseAlarm, type Sql } from "./store.ts";

/**
 * Two that hold one identity (DESIGN section 4, One process). An agent that is alone never shows what was replaced, and its log never gets
 * shorter; but what it sent before it died may come late. So what speaks against it counts only on a connection that was accepted after
 * the replacement was on record: nobody finishes a handshake who is dead.
 */

/** Why this epoch is fenced; null when it is not. */
export async function copiesOf(sql: Sql, of: Pick<Peer, "cluster" | "epoch">): Promise<string | null> {
  const text = "select why from copies where cluster = $1 and epoch = $2";
  const [row] = await sql.rows<{ why: string }>(text, of.cluster, of.epoch);
  return row?.why ?? null;
}

/** Both are fenced, for good: which of the two is the one that was enrolled nobody here can tell. Returned, not thrown, so that it is kept. */
export async function fenceCopies(sql: Sql, of: Pick<Peer, "cluster" | "epoch">, why: string): Promise<Faulted> {
  await sql.run(
    "insert into copies (cluster, epoch, at, why) values ($1, $2, $3, $4) on conflict (cluster, epoch) do nothing",
    of.cluster,
    of.epoch,
    nowSeconds(),
    why,
  );
  await raiseAlarm(sql, of.cluster, "copy", String(of.epoch), `two hold the identity of epoch ${of.epoch}: ${why}`);
  await closeCommandsInHand(sql, of.cluster, of.epoch);
  await bumpChanges(sql, of.cluster);
  return copied(of.epoch, why);
}

export function copied(epoch: number, why: string): Faulted {
  return new Faulted("fenced", `two hold the identity of epoch ${epoch}: ${why}`);
}

/** The operator said that this epoch acts again. */
export async function forgetCopies(sql: Sql, cluster: string, epoch: number): Promise<void> {
  await sql.run("delete from copies where cluster = $1 and epoch = $2", cluster, epoch);
}

type Seen = { readonly size: number; readonly at: string };

/** The longest head of this log that was shown. */
async function seenOf(sql: Sql, of: Peer): Promise<Seen | null> {
  const text = "select size, at from seen_heads where cluster = $1 and epoch = $2";
  const [row] = await sql.rows<Seen>(text, of.cluster, of.epoch);
  return row ?? null;
}

/**
 * A head that nothing which is known contradicts. A shorter one than was seen, on a connection that was made
 * after that, is another's: an agent reads its head when it has the connection.
 */
export async function noteHead(sql: Sql, of: Peer, note: string): Promise<Faulted | null> {
  const size = parseCheckpoint(note)?.size ?? 0;
  const seen = await seenOf(sql, of);
  if (seen !== null && size < seen.size) {
    if (!isAfter(of.accepted, seen.at)) return null;
    return fenceCopies(sql, of, `a log of ${size} entries was shown after one of ${seen.size}`);
  }
  if (seen !== null && size === seen.size) return null;
  await sql.run(
    `insert into seen_heads (cluster, epoch, size, at) values ($1, $2, $3, $4)
     on conflict (cluster, epoch) do update set size = excluded.size, at = excluded.at`,
    of.cluster,
    of.epoch,
    size,
    await moment(sql),
  );
  return null;
}

/**
 * A poll by another process than the last: it takes the place for good, when its head goes at least as far as what was seen. Null when it
 * has the place; a fault that ends the connection when it cannot be told.
 */
export async function takePlace(
  sql: Sql,
  of: Peer,
  before: string | null,
  poll: { readonly process: string; readonly checkpoint: string },
): Promise<Faulted | null> {
  if (before === poll.process) return null;
  const known = "select at from replaced_processes where cluster = $1 and epoch = $2 and process = $3";
  const [replaced] = await sql.rows<{ at: string }>(known, of.cluster, of.epoch, poll.process);
  if (replaced !== undefined)
    return isAfter(of.accepted, replaced.at)
      ? fenceCopies(sql, of, "a process that another had replaced spoke again")
      : late();
  const seen = await seenOf(sql, of);
  if (seen !== null && (parseCheckpoint(poll.checkpoint)?.size ?? 0) < seen.size) return late();
  if (before === null) return null;
  await sql.run(
    "insert into replaced_processes (cluster, epoch, process, at) values ($1, $2, $3, $4) on conflict (cluster, epoch, process) do nothing",
    of.cluster,
    of.epoch,
    before,
    await moment(sql),
  );
  await bumpChanges(sql, of.cluster);
  return null;
}

/** Whoever still lives comes again, by a connection that says so. */
export function late(): Faulted {
  return new Faulted("unavailable", "another process of this agent has spoken since; connect again", true);
}
