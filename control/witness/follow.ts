import type { LogKeyRange } from "../../agent/audit/logKeys.ts";
import { parseCheckpoint, verifyNote } from "../../agent/audit/note.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import type { Sql } from "../store.ts";
import { handoverFault, type Judged, type Named } from "./enrol.ts";
import { type Refused, refused } from "./refused.ts";
import { keepRefusal, type LogRow, type RefusalKind, readKeys, readLog } from "./state.ts";

/**
 * Takes a log's keys, in the caller's transaction. A log is begun with the first line that is shown; of a known one each further key must be
 * handed over to by the last one known here: one successor, and no other. A later epoch of the same agent ends the ones before it, for
 * good: it must be one of the next few, and vouched for by a certificate that is valid now. Null when it is taken, or was already.
 */
export async function follow(sql: Sql, judged: Judged, checkpoint: string): Promise<Refused | null> {
  const { named } = judged;
  const [first] = named;
  if (first === undefined) throw new Error("no line was judged");
  const known = await readLog(sql, first.naming.origin);
  if (known === null) return begin(sql, judged, first, checkpoint);
  const evidence = (kind: RefusalKind, line: string, words: string): Promise<void> =>
    keepRefusal(sql, { origin: known.origin, kind, about: digestOf(line), words, note: checkpoint });
  if (known.ended_by !== null) {
    const words = `a key was shown after ${known.ended_by} had begun`;
    await evidence("older-epoch", first.line, words);
    return refused(403, words);
  }
  const rows = await readKeys(sql, known.origin);
  let last = rows.at(-1);
  for (const one of named) {
    // Older than what this log was begun with here: archived segments were moved back. Nobody here compares them with anything.
    if (one.range.from < (rows[0]?.position ?? 0)) continue;
    const same = rows.find(({ position }) => position === one.range.from);
    if (last === undefined) throw new Error("a log is known without a key");
    if (same?.log_key === one.range.key) continue;
    if (same !== undefined || one.range.from <= last.position) {
      const words = `another key from entry ${one.range.from} on was shown, vouched for like the one that is known`;
      await evidence("second-key", one.line, words);
      return refused(409, words);
    }
    const fault = handoverFault({ origin: known.origin, key: last.log_key, from: last.position }, one);
    if (fault !== null) return refused(403, `entry ${one.range.from}: ${fault}`);
    await keepKey(sql, one);
    last = { origin: known.origin, position: one.range.from, log_key: one.range.key };
  }
  return null;
}

/** An agent that joins anew gets the next epoch; some of them may never have been shown here. */
const MAX_EPOCHS_AHEAD = 16;

async function begin(sql: Sql, { named, current }: Judged, first: Named, checkpoint: string): Promise<Refused | null> {
  const { origin, epoch } = first.naming;
  const agent = origin.slice(0, -`/epoch/${epoch}`.length);
  const [newest] = await sql.rows<LogRow>(
    "select * from witnessed_logs where agent = $1 order by epoch desc limit 1",
    agent,
  );
  if (newest !== undefined && newest.epoch > epoch) {
    const words = `a log of epoch ${epoch} was shown after ${newest.origin} had begun`;
    await keepRefusal(sql, { origin, kind: "older-epoch", about: digestOf(first.line), words, note: checkpoint });
    return refused(403, words);
  }
  if (newest !== undefined && epoch > newest.epoch + MAX_EPOCHS_AHEAD)
    return refused(403, `epoch ${epoch} is too far beyond ${newest.origin}`);
  // Lines say themselves when they were written: an old certificate's key must not take the place of a log that goes on.
  if (newest !== undefined && !current)
    return refused(403, `the certificate beside its newest key is not valid any more, and ${newest.origin} is known`);
  let last: LogKeyRange = first.range;
  for (const one of named.slice(1)) {
    const fault = handoverFault(last, one);
    if (fault !== null) return refused(403, `entry ${one.range.from}: ${fault}`);
    last = one.range;
  }
  await noteCut(sql, first);
  await sql.run("update witnessed_logs set ended_by = $1 where agent = $2 and ended_by is null", origin, agent);
  await sql.run(
    "insert into witnessed_logs (origin, agent, epoch, first, size, root, note, at, ended_by) values ($1, $2, $3, $4, 0, '', '', 0, null)",
    origin,
    agent,
    epoch,
    first.line,
  );
  for (const one of named) await keepKey(sql, one);
  return null;
}

async function keepKey(sql: Sql, { line, range }: Named): Promise<void> {
  await sql.run(
    "insert into witnessed_keys (origin, position, log_key, line) values ($1, $2, $3, $4)",
    range.origin,
    range.from,
    range.key,
    line,
  );
}

/** The new epoch says what the one before came to. Less than was cosigned here means that entries were dropped between the two. */
async function noteCut(sql: Sql, { line, naming }: Named): Promise<void> {
  const note = naming.kind === "epoch" ? naming.before : null;
  const before = note === null ? null : parseCheckpoint(note);
  if (note === null || before === null) return;
  const older = await readLog(sql, before.origin);
  if (older === null || older.size <= before.size) return;
  const keys = await readKeys(sql, before.origin);
  if (!keys.some(({ log_key }) => verifyNote(note, before.origin, Buffer.from(log_key, "base64")) !== null)) return;
  await keepRefusal(sql, {
    origin: before.origin,
    kind: "epoch-cut",
    about: digestOf(line),
    words: `${naming.origin} says that this log ended with ${before.size} entries, and ${older.size} were cosigned`,
    note,
  });
}
