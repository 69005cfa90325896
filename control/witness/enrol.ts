import { z } from "zod";
import { Entry } from "../../agent/audit/entry.ts";
import { keyOfEpoch, type LogKeyRange, maySign, successorOf } from "../../agent/audit/logKeys.ts";
import { parseCheckpoint, verifyNote } from "../../agent/audit/note.ts";
import { leafHash, verifyInclusion } from "../../agent/audit/tree.ts";
import { type Naming, vouch } from "../../agent/audit/vouch.ts";
import { MAX_ENTRY_BYTES } from "../../agent/limits.ts";
import { namesPrototype, parseCanonical } from "../../agent/wire/canonical.ts";
import { nowSeconds } from "../store.ts";
import { type Refused, refused } from "./refused.ts";

/**
 * `add-log`, which is ours (c2sp.org/tlog-witness leaves to each witness how it learns its logs): lines of the log that name its keys, byte
 * for byte and in order, each with its inclusion proof in one head that the last of these keys signed. Hashes in base64.
 */
export const MAX_NAMINGS = 256;
export const AddLog = z.strictObject({
  namings: z
    .array(
      z.strictObject({
        entry: z.string().min(2).max(MAX_ENTRY_BYTES),
        proof: z.array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/)).max(63),
      }),
    )
    .min(1)
    .max(MAX_NAMINGS),
  checkpoint: z.string().max(8192),
});
export type AddLog = z.infer<typeof AddLog>;

/** A line that names a key, and that key with its range: the CA vouches for it, and the head holds it. */
export type Named = { readonly line: string; readonly naming: Naming; readonly range: LogKeyRange };

/** `current`: a certificate that is valid at this moment vouches for the newest key. */
export type Judged = { readonly named: readonly Named[]; readonly current: boolean };

/** What can be judged without the store. Each line is judged by itself; that one key handed over to the next, by what is known here. */
export async function judgeNamings(asked: AddLog, ca: string): Promise<Judged | Refused> {
  const head = parseCheckpoint(asked.checkpoint);
  if (head === null) return refused(400, "the checkpoint cannot be read");
  const named: Named[] = [];
  for (const { entry, proof } of asked.namings) {
    const one = readNaming(entry);
    if ("status" in one) return one;
    const before = named.at(-1);
    const { naming } = one;
    if (naming.origin !== head.origin) return refused(400, "a line and the checkpoint are of different logs");
    if (before !== undefined && naming.index <= before.naming.index) return refused(400, "the lines are not in order");
    const path = proof.map((hash) => Buffer.from(hash, "base64"));
    if (!verifyInclusion(leafHash(entry), naming.index, head.size, path, head.root))
      return refused(403, `the checkpoint does not hold line ${naming.index}`);
    const vouched = await vouch(naming, ca);
    if ("not" in vouched) return refused(403, vouched.not);
    named.push(one);
  }
  const last = named.at(-1);
  const signed =
    last !== undefined && verifyNote(asked.checkpoint, head.origin, Buffer.from(last.range.key, "base64")) !== null;
  if (last === undefined || !signed || !maySign(last.range, head.size))
    return refused(403, "the last key that the lines name did not sign the checkpoint");
  return { named, current: !("not" in (await vouch(last.naming, ca, nowSeconds() * 1000))) };
}

function readNaming(line: string): Named | Refused {
  const read = parseCanonical(line);
  if ("fault" in read || namesPrototype(read.value)) return refused(400, "a line is not canonical JSON");
  const entry = Entry.safeParse(read.value);
  if (!entry.success || (entry.data.kind !== "epoch" && entry.data.kind !== "segment"))
    return refused(400, "a line names no log key");
  const naming = entry.data;
  if (naming.kind === "segment")
    return { line, naming, range: { origin: naming.origin, key: naming.key, from: naming.index } };
  const range = keyOfEpoch(naming);
  if (naming.index !== 0 || range?.from !== 0) return refused(400, "entry 0 names no key from entry 0 on");
  return { line, naming, range };
}

/** Why one key did not hand over to the next; null when it did. */
export function handoverFault(before: LogKeyRange, { naming }: Named): string | null {
  if (naming.kind !== "segment") return "only entry 0 begins a log";
  const next = successorOf(before, naming);
  return "fault" in next ? next.fault : null;
}
