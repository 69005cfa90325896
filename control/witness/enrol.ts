import { z } from "zod";
import { type Entry, Entry as EntrySchema } from "../../agent/audit/entry.ts";
import { parseCheckpoint, verifyNote } from "../../agent/audit/note.ts";
import { leafHash, verifyInclusion } from "../../agent/audit/tree.ts";
import { vouch } from "../../agent/audit/vouch.ts";
import { MAX_ENTRY_BYTES } from "../../agent/limits.ts";
import { parseCanonical } from "../../agent/wire/canonical.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import { namesPrototype } from "../../agent/wire/parse.ts";
import type { Sql } from "../store.ts";
import { keepRefusal, type LogRow, readKeys, readLog } from "./state.ts";

/**
 * `add-log`, which is ours (c2sp.org/tlog-witness leaves to each witness how it learns its logs): a line of the log that names a log key,
 * byte for byte, and its inclusion proof in a head that this key signed. Hashes in base64.
 */
export const AddLog = z.strictObject({
  entry: z.string().min(2).max(MAX_ENTRY_BYTES),
  proof: z.array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/)).max(63),
  checkpoint: z.string().max(8192),
});
export type AddLog = z.infer<typeof AddLog>;
export type Enrolled = { readonly status: 200 } | { readonly status: 400 | 403 | 409; readonly because: string };

type Naming = Extract<Entry, { kind: "epoch" }>;
const no = (status: 400 | 403 | 409, because: string): Enrolled => ({ status, because });

/** What can be judged without the store: that the CA vouches for the key that the line names, and that the head which it signed holds the line. */
export async function judgeNaming(asked: AddLog, ca: string): Promise<{ readonly naming: Naming } | Enrolled> {
  const read = parseCanonical(asked.entry);
  if ("fault" in read || namesPrototype(read.value)) return no(400, "the line is not canonical JSON");
  const entry = EntrySchema.safeParse(read.value);
  if (!entry.success || entry.data.kind !== "epoch") return no(400, "the line names no log key");
  const naming = entry.data;
  if (naming.index !== 0) return no(400, "entry 0 stands at another index");
  const { key, from } = naming.log_keys[0] ?? { key: "", from: -1 };
  if (from !== 0) return no(400, "entry 0 names a key for later entries");
  const checkpoint = parseCheckpoint(asked.checkpoint);
  if (checkpoint === null || checkpoint.origin !== naming.origin) return no(400, "the checkpoint is of another log");
  if (verifyNote(asked.checkpoint, naming.origin, Buffer.from(key, "base64")) === null)
    return no(403, "the key that the line names did not sign the checkpoint");
  const path = asked.proof.map((hash) => Buffer.from(hash, "base64"));
  if (!verifyInclusion(leafHash(asked.entry), naming.index, checkpoint.size, path, checkpoint.root))
    return no(403, "the checkpoint does not hold the line");
  const vouched = await vouch(naming, ca);
  return "not" in vouched ? no(403, vouched.not) : { naming };
}

/** Takes a log under its first key. One that is known stays as it is; a later epoch of the same agent ends the ones before it, for good. */
export async function addLog(sql: Sql, asked: AddLog, naming: Naming): Promise<Enrolled> {
  const { origin, epoch } = naming;
  const agent = origin.slice(0, -`/epoch/${epoch}`.length);
  const known = await readLog(sql, origin);
  const evidence = { origin, about: digestOf(asked.entry), note: asked.checkpoint };
  if (known !== null) {
    if (known.first === asked.entry) return { status: 200 };
    const words = "another entry 0 of this log was shown, vouched for like the first";
    await keepRefusal(sql, { ...evidence, kind: "second-key", words });
    return no(409, words);
  }
  const later = await laterEpoch(sql, agent, epoch);
  if (later !== null) {
    const words = `a log of epoch ${epoch} was shown after ${later.origin} had begun`;
    await keepRefusal(sql, { ...evidence, kind: "older-epoch", words });
    return no(403, words);
  }
  await noteCut(sql, asked, naming);
  await sql.run("update witnessed_logs set ended_by = $1 where agent = $2 and ended_by is null", origin, agent);
  await sql.run(
    "insert into witnessed_logs (origin, agent, epoch, first, size, root, note, at, ended_by) values ($1, $2, $3, $4, 0, '', '', 0, null)",
    origin,
    agent,
    epoch,
    asked.entry,
  );
  await sql.run(
    "insert into witnessed_keys (origin, position, log_key, line) values ($1, 0, $2, $3)",
    origin,
    naming.log_keys[0]?.key ?? "",
    asked.entry,
  );
  return { status: 200 };
}

async function laterEpoch(sql: Sql, agent: string, epoch: number): Promise<LogRow | null> {
  const [row] = await sql.rows<LogRow>(
    "select * from witnessed_logs where agent = $1 and epoch > $2 order by epoch desc limit 1",
    agent,
    epoch,
  );
  return row ?? null;
}

/** The new epoch says what the one before came to. Less than was cosigned here means that entries were dropped between the two. */
async function noteCut(sql: Sql, asked: AddLog, naming: Naming): Promise<void> {
  const before = naming.before === null ? null : parseCheckpoint(naming.before);
  if (before === null || naming.before === null) return;
  const older = await readLog(sql, before.origin);
  if (older === null || older.size <= before.size) return;
  const keys = await readKeys(sql, before.origin);
  if (
    !keys.some(({ log_key }) => verifyNote(naming.before ?? "", before.origin, Buffer.from(log_key, "base64")) !== null)
  )
    return;
  await keepRefusal(sql, {
    origin: before.origin,
    kind: "epoch-cut",
    about: digestOf(asked.entry),
    words: `${naming.origin} says that this log ended with ${before.size} entries, and ${older.size} were cosigned`,
    note: naming.before,
  });
}
