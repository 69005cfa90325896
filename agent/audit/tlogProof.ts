import { canonical, parseCanonical } from "../wire/canonical.ts";
import { decodeUtf8 } from "../wire/jws.ts";
import type { Entry } from "./entry.ts";
import { readLine } from "./line.ts";
import { keyOfEpoch, maySign } from "./logKeys.ts";
import { type Checkpoint, parseCheckpoint, verifyNote } from "./note.ts";
import { leafHash, verifyInclusion } from "./tree.ts";
import type { Naming } from "./vouch.ts";

/**
 * A proof that one entry stands in the log, c2sp.org/tlog-proof. Its extra data, which that format leaves to us, is canonical JSON of
 * {entry, key, path, v}: the entry's line, the line (entry 0, or a segment's first) that names the key that signed the head, and that
 * line's own audit path.
 */
const FIRST_LINE = "c2sp.org/tlog-proof@v1";
const MAX_HASHES = 63;
/** Two lines, twice in base64, and a note. */
export const MAX_PROOF_BYTES = 512 * 1024;

export type TlogProof = {
  readonly index: number;
  /** From the leaf's sibling up. */
  readonly hashes: readonly Buffer[];
  /** The head as a note, with all its signature lines. */
  readonly note: string;
  /** The lines, without newline. */
  readonly entry: string;
  readonly key: string;
  /** Of the line that names the key. */
  readonly keyPath: readonly Buffer[];
};

export function tlogProofText({ index, hashes, note, entry, key, keyPath }: TlogProof): string {
  const lines = { entry, key, path: keyPath.map((hash) => hash.toString("base64")), v: 1 };
  const extra = Buffer.from(canonical(lines), "utf8").toString("base64");
  const path = hashes.map((hash) => `${hash.toString("base64")}\n`).join("");
  return `${FIRST_LINE}\nextra ${extra}\nindex ${index}\n${path}\n${note}`;
}

/** Reads what tlogProofText writes; null for anything else. */
export function parseTlogProof(text: string): TlogProof | null {
  const gap = text.indexOf("\n\n");
  if (text.length > MAX_PROOF_BYTES || gap < 0) return null;
  const [first, extraLine, indexLine, ...path] = text.slice(0, gap).split("\n");
  const extra = /^extra ([A-Za-z0-9+/]+={0,2})$/.exec(extraLine ?? "")?.[1];
  const index = /^index (0|[1-9]\d{0,15})$/.exec(indexLine ?? "")?.[1];
  if (first !== FIRST_LINE || extra === undefined || index === undefined || path.length > MAX_HASHES) return null;
  const lines = extraOf(extra);
  const hashes = hashesFrom(path);
  if (lines === null || hashes === null) return null;
  return { index: Number(index), hashes, note: text.slice(gap + 2), ...lines };
}

function hashesFrom(texts: readonly unknown[]): Buffer[] | null {
  const hashes = texts.map((text) => Buffer.from(typeof text === "string" ? text : "", "base64"));
  const fits = hashes.every((hash, at) => hash.length === 32 && hash.toString("base64") === texts[at]);
  return fits && hashes.length <= MAX_HASHES ? hashes : null;
}

function extraOf(base64: string): Pick<TlogProof, "entry" | "key" | "keyPath"> | null {
  const bytes = Buffer.from(base64, "base64");
  const text = decodeUtf8(bytes);
  const parsed = text === null ? null : parseCanonical(text);
  if (bytes.toString("base64") !== base64 || parsed === null || !("value" in parsed)) return null;
  const { entry, key, path, v, ...more } = parsed.value as Record<string, unknown>;
  if (v !== 1 || typeof entry !== "string" || typeof key !== "string" || Object.keys(more).length > 0) return null;
  const keyPath = Array.isArray(path) ? hashesFrom(path) : null;
  return keyPath === null ? null : { entry, key, keyPath };
}

export type Proven = {
  readonly entry: Entry;
  readonly at: Checkpoint;
  readonly note: string;
  /** Who vouches for its key is vouch()'s to say. */
  readonly naming: Naming;
};

/** What a proof proves, but for whose key it is and who cosigned; or why it proves nothing. */
export function provenBy(proof: TlogProof): Proven | { readonly fault: string } {
  const entry = readLine(proof.entry);
  const naming = readLine(proof.key);
  if (!("entry" in entry)) return { fault: `its line is no entry (${entry.fault})` };
  if (!("entry" in naming) || !isNaming(naming.entry)) return { fault: "the line that should name its key names none" };
  if (entry.entry.index !== proof.index) return { fault: `its line is of entry ${entry.entry.index}` };
  const at = parseCheckpoint(proof.note);
  if (at === null) return { fault: "its head is no checkpoint" };
  const key = rangeOf(naming.entry);
  if (key === null || key.origin !== at.origin || entry.entry.epoch !== naming.entry.epoch)
    return { fault: "its head, its key and its line are not of one log" };
  if (!maySign(key, at.size) || verifyNote(proof.note, at.origin, Buffer.from(key.key, "base64")) === null)
    return { fault: "its head is not signed by the key that its line names" };
  if (!verifyInclusion(leafHash(proof.key), naming.entry.index, at.size, proof.keyPath, at.root))
    return { fault: "the line that names its key is not of that head" };
  if (!verifyInclusion(leafHash(proof.entry), proof.index, at.size, proof.hashes, at.root))
    return { fault: `its line is not entry ${proof.index} of that head` };
  return { entry: entry.entry, at, note: proof.note, naming: naming.entry };
}

function isNaming(entry: Entry): entry is Naming {
  return entry.kind === "epoch" || entry.kind === "segment";
}

function rangeOf(naming: Naming) {
  return naming.kind === "epoch" ? keyOfEpoch(naming) : { origin: naming.origin, key: naming.key, from: naming.index };
}
