import type { Disk } from "../../host/host.ts";
import { COSIGNATURE, cosignedAt } from "../cosignature.ts";
import { CHECKPOINTS, COSIGNED, readCheckpoints } from "../folder.ts";
import { type Checkpoint, keyId, parseCheckpoint, parseNote, verifyNote } from "../note.ts";
import { rootOfTree } from "../tree.ts";
import { placeOf, type Source } from "./sources.ts";
import { Found, type Progress, type Witness } from "./verdict.ts";

/** `00000000000000035666.checkpoint`: the newest head of entries below that index; `.cosigned`: the newest that witnesses cosigned. */
const HEAD_FILE = /^\d{20}\.(?:checkpoint|cosigned)$/;
const MAX_HEAD_FILE_BYTES = 64 * 1024;

export type Head = { readonly note: string; readonly at: Checkpoint; readonly file: string };

/** Heads of a log's folder by size. Their signatures are checked when the lines have said by which key. Throws Found. */
export function headsOf(disk: Disk, folder: string, remarks: string[]): Head[] {
  const own = notesIn(disk, folder, CHECKPOINTS, remarks);
  for (const [number, { at }] of own.entries()) {
    const before = own[number - 1]?.at;
    if (before !== undefined && (at.size < before.size || at.time < before.time || at.origin !== before.origin))
      throw badHead("reordered", CHECKPOINTS, at.size, `note ${number} goes back behind the one before it`);
  }
  const cosigned = notesIn(disk, folder, COSIGNED, remarks);
  return [...own, ...cosigned, ...fetched(disk, folder)].sort(
    (one, other) => one.at.size - other.at.size || one.at.time - other.at.time,
  );
}

function notesIn(disk: Disk, folder: string, file: string, remarks: string[]): Head[] {
  const { notes, torn, bad } = readCheckpoints(disk, folder, file);
  if (bad !== null) throw badHead("edited", file, 0, `note ${bad} is no checkpoint`);
  if (torn > 0)
    remarks.push(`${file} ends in ${torn} bytes of a note that was cut off; the agent replaces it when it starts`);
  return notes.map((note) => {
    const at = parseCheckpoint(note);
    if (at === null) throw badHead("edited", file, 0, "a note is no checkpoint");
    return { note, at, file };
  });
}

/** A copy out of the owner's bucket has each head in a file of its own. */
function fetched(disk: Disk, folder: string): Head[] {
  return disk
    .list(folder)
    .filter((name) => HEAD_FILE.test(name))
    .map((file) => {
      const note = Buffer.from(disk.read(`${folder}/${file}`, MAX_HEAD_FILE_BYTES).bytes).toString("utf8");
      const at = parseCheckpoint(note);
      if (at === null) throw badHead("edited", file, 0, "it is no checkpoint");
      return { note, at, file };
    });
}

export function badHead(
  kind: "edited" | "reordered" | "resigned" | "removed",
  file: string,
  size: number,
  because: string,
): Found {
  return new Found({ kind, index: size, to: size, file, line: null, what: "checkpoint", because });
}

/** What a head is held with: every key that a line of the log names, and all heads, to tell a fork from an edit. */
export type Holding = {
  readonly heads: readonly Head[];
  readonly keys: readonly string[];
  readonly sources: readonly Source[];
  readonly witnesses: readonly Witness[];
};

/** Holds a head to the tree of its size and to the key of that place. Throws Found. */
export function holdTo(head: Head, progress: Progress, holding: Holding): void {
  const { note, at, file } = head;
  const { heads, keys, witnesses } = holding;
  const key = progress.memory.logKey;
  const fail = (kind: "edited" | "resigned", because: string): Found =>
    badHead(kind, file, at.size, `the checkpoint of size ${at.size} ${because}`);
  if (key === null) throw fail("edited", "is of a log whose key nothing names");
  const isOf = (one: Head): boolean => one.at.origin === progress.origin && isSigned(one, key.key);
  if (!isOf(head)) {
    if (at.origin === progress.origin && keys.some((one) => one !== key.key && isSigned(head, one)))
      throw fail("resigned", "is signed by a key of this log that may not sign a head of this size");
    // The head was changed, or the line that names log and key: where that key signed another head, the line is as it was.
    const isNamed = key.from < progress.good || heads.some((one) => one !== head && isOf(one));
    if (!isNamed && !at.root.equals(rootOfTree(progress.tree))) throw otherRoot(head, progress, holding, key.key);
    throw fail("edited", `is not one of ${progress.origin ?? "this log"}, signed by its key`);
  }
  if (!at.root.equals(rootOfTree(progress.tree))) throw otherRoot(head, progress, holding, key.key);
  progress.good = at.size;
  // Right after a gap it is of entries that are not here, by a key that only the line after it names.
  if (at.size > progress.after) {
    progress.checked += 1;
    progress.head = head;
  }
  for (const witness of witnesses) {
    const seconds = cosignedAt(note, witness);
    if (seconds !== null) progress.witnessed.set(witness, newer(progress.witnessed.get(witness), at.size, seconds));
    else if (names(note, witness)) throw fail("edited", `has a line of ${witness.name} that is not its cosignature`);
  }
}

/** A head may be cosigned again, later, while nothing is added. */
function newer(before: { size: number; seconds: number } | undefined, size: number, seconds: number) {
  return { size, seconds: before?.size === size ? Math.max(before.seconds, seconds) : seconds };
}

function names(note: string, { name, publicKey }: Witness): boolean {
  const id = keyId(name, publicKey, COSIGNATURE);
  return parseNote(note)?.signatures.some((line) => line.name === name && line.id.equals(id)) === true;
}

function isSigned({ note, at }: Head, key: string): boolean {
  return verifyNote(note, at.origin, Buffer.from(key, "base64")) !== null;
}

function otherRoot({ at, file }: Head, progress: Progress, { heads, sources }: Holding, key: string): Found {
  const twin = heads.find((one) => one.at.size === at.size && !one.at.root.equals(at.root) && isSigned(one, key));
  if (twin !== undefined)
    return new Found({
      kind: "forked",
      index: at.size - 1,
      to: at.size - 1,
      file,
      line: null,
      what: "root",
      because: `two heads of ${at.size} entries with different roots were signed by the log's key`,
    });
  return new Found({
    kind: "edited",
    ...placeOf(sources, progress.good),
    to: at.size - 1,
    what: "root",
    because: `entries ${progress.good} to ${at.size - 1} are not those that the checkpoint of size ${at.size} was signed over`,
  });
}
