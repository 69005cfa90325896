import { hash } from "node:crypto";
import { verifyConsistency } from "../../agent/audit/consistency.ts";
import { cosign } from "../../agent/audit/cosignature.ts";
import { type Checkpoint, parseCheckpoint, parseNote, verifyNote } from "../../agent/audit/note.ts";
import { nowSeconds, type Sql } from "../store.ts";
import type { WitnessKey } from "./key.ts";
import type { Submission } from "./request.ts";
import { type KeyRow, keepRefusal, type LogRow, type RefusalKind, readKeys, readLog } from "./state.ts";

/** An answer of `add-checkpoint` (c2sp.org/tlog-witness). */
export type Added =
  | { readonly status: 200; readonly lines: string }
  /** The size that is known here. */
  | { readonly status: 409; readonly size: number }
  | { readonly status: 400 | 403 | 404 | 422; readonly because: string };

/**
 * Judges a checkpoint and cosigns it, in the caller's transaction: what is compared is what is replaced, so that of two requests at once
 * neither takes the other's leaves back. What the log's own key signed and is no continuation is kept as evidence. Durable before the
 * answer leaves, because the transaction is.
 */
export async function addCheckpoint(sql: Sql, witness: WitnessKey, asked: Submission): Promise<Added> {
  const checkpoint = parseCheckpoint(asked.note);
  if (checkpoint === null) return { status: 400, because: "this is no checkpoint of such a log" };
  const log = await readLog(sql, checkpoint.origin);
  if (log === null) return { status: 404, because: "this log is not known here" };
  const signer = signerOf(asked.note, checkpoint, await readKeys(sql, checkpoint.origin));
  const refuse = (kind: RefusalKind, words: string): Promise<void> =>
    keepRefusal(sql, {
      origin: log.origin,
      kind,
      about: `${checkpoint.size} ${checkpoint.root.toString("base64")}`,
      words,
      note: asked.note,
    });
  if ("older" in signer) await refuse("older-key", OLDER_KEY);
  if ("older" in signer || "because" in signer)
    return { status: 403, because: "older" in signer ? OLDER_KEY : signer.because };
  if (log.ended_by !== null) {
    await refuse("older-epoch", `a checkpoint of ${checkpoint.size} entries came after ${log.ended_by} had begun`);
    return { status: 403, because: `${log.ended_by} has taken this log's place` };
  }
  const fault = againstKnown(checkpoint, log);
  if (fault !== null) await refuse(fault.kind, fault.words);
  if (asked.old > checkpoint.size) return { status: 400, because: "the old size is beyond the checkpoint" };
  if (asked.old !== log.size) return { status: 409, size: log.size };
  const rejected = rejection(asked, checkpoint, log);
  if (rejected !== null) {
    // Signed by the log's own key, from the very size that is known here: no wrong guess, but another history.
    if (asked.old > 0) await refuse("forked", rejected);
    return { status: 422, because: rejected };
  }
  const seconds = nowSeconds();
  const text = parseNote(asked.note)?.text ?? "";
  const lines = cosign(text, witness.name, witness.privateKey, seconds);
  await sql.run(
    "update witnessed_logs set size = $1, root = $2, note = $3, at = $4 where origin = $5",
    checkpoint.size,
    checkpoint.root.toString("base64"),
    `${ownLines(asked.note, log.origin)}${lines}`,
    seconds,
    log.origin,
  );
  return { status: 200, lines };
}

const OLDER_KEY = "a key whose range was over signed a head of this size";
type Signer = KeyRow | { readonly because: string } | { readonly older: true };

/** The key that may sign a head of this size, if it signed this one; or that one did whose successor is known. */
function signerOf(note: string, { origin, size }: Checkpoint, keys: readonly KeyRow[]): Signer {
  const signed = ({ log_key }: KeyRow): boolean => verifyNote(note, origin, Buffer.from(log_key, "base64")) !== null;
  const due = keys.findLast(({ position }) => size > position) ?? keys[0];
  if (due === undefined) return { because: "no key of this log is known here" };
  if (signed(due)) return due;
  if (keys.some((key) => key.position < due.position && signed(key))) return { older: true };
  return { because: "the key that may sign a head of this size did not sign this one" };
}

/** What is wrong with a checkpoint that the log signed, whatever size it was sent for: it goes back behind what was cosigned here. */
function againstKnown(
  checkpoint: Checkpoint,
  log: LogRow,
): { readonly kind: "forked" | "rolled-back"; readonly words: string } | null {
  const known = parseCheckpoint(log.note);
  if (known === null) return null;
  if (checkpoint.size === known.size && !checkpoint.root.equals(known.root))
    return { kind: "forked", words: `two heads of ${known.size} entries were signed` };
  // An older head that is merely late was signed before the one that is known.
  if (checkpoint.size < known.size && checkpoint.time > known.time)
    return {
      kind: "rolled-back",
      words: `a head of ${checkpoint.size} entries was signed after one of ${known.size}`,
    };
  return null;
}

const EMPTY_ROOT = hash("sha256", "", "buffer");

function rejection({ old, proof }: Submission, checkpoint: Checkpoint, log: LogRow): string | null {
  if (checkpoint.size === 0 && !checkpoint.root.equals(EMPTY_ROOT)) return "the root of no entries is another";
  if (old === 0) return proof.length === 0 ? null : "there is a proof where there is nothing to prove";
  const known = { size: old, root: Buffer.from(log.root, "base64") };
  return verifyConsistency(known, checkpoint, proof) ? null : `it does not go on from the ${old} entries known here`;
}

/** The note with the log's own signatures alone: others' lines are not this witness's to hand on. */
function ownLines(note: string, origin: string): string {
  const gap = note.lastIndexOf("\n\n");
  const lines = note.slice(gap + 2).split(/(?<=\n)/);
  return `${note.slice(0, gap + 2)}${lines.filter((line) => line.startsWith(`\u2014 ${origin} `)).join("")}`;
}
