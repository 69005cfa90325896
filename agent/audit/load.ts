import type { Disk } from "../host/host.ts";
import type { Entry } from "./entry.ts";
import { LogDamaged } from "./fault.ts";
import {
  type Carry,
  CHECKPOINTS,
  COSIGNED,
  type Line,
  linesOf,
  readCarry,
  readCheckpoints,
  segmentName,
  segmentsIn,
  textOf,
} from "./folder.ts";
import { collectLeaves, type Leaves } from "./leaves.ts";
import { readLine } from "./line.ts";
import { keyOfEpoch, type LogKeyRange } from "./logKeys.ts";
import { emptyMemory, fold } from "./memory.ts";
import { type Checkpoint, parseCheckpoint, verifyNote } from "./note.ts";
import { openingFault } from "./opening.ts";
import { timeOf } from "./time.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "./tree.ts";

const HINT =
  "Keep the folder as it is and look: `reeve audit verify --log FOLDER --ca FILE`. Restore it from a copy, or `reeve leave` and join anew.";

/** Bytes at the end of the last segment that are no entry: a write that was cut off before its sync returned. */
export type TornTail = { readonly segment: number; readonly offset: number };
export type Loaded = Carry & {
  /** Whole notes of the checkpoints file, oldest first. */
  readonly notes: readonly string[];
  readonly torn: TornTail | null;
  /** The checkpoints file ends in a write that was cut off. It is never synced, so that is no damage. */
  readonly checkpointTorn: boolean;
  /** First index of the last segment; null when there is none. */
  readonly segment: number | null;
  /** When the last segment's first entry was written, milliseconds since 1970; null while it has none. */
  readonly began: number | null;
  /** Leaf hashes of the last segment's entries. */
  readonly leaves: Leaves;
};
/** Whose log it must be. `holds`: whether the private key of a log key (base64) is ours. Null to take the log as it is. */
export type Whose = { readonly origin: string; holds(publicKey: string): boolean } | null;

type Head = { readonly note: string; readonly at: Checkpoint; readonly file: string };

/**
 * Reads what the agent must know of its log, from the newest carry on that the newest head covers. What heads cover is held to their
 * roots and to the log's key of that place, what comes after to the schema. A head that a witness cosigned counts as our own do, once
 * our own key signed it: a log that is shorter is not ours to go on with. Throws LogDamaged and DiskError.
 */
export function loadLog(disk: Disk, folder: string, whose: Whose, since: number | null): Loaded {
  const { notes, torn, bad } = readCheckpoints(disk, folder);
  if (bad !== null) throw new LogDamaged(`note ${bad} of ${folder}/${CHECKPOINTS} is no checkpoint`, HINT);
  const segments = segmentsIn(disk, folder);
  const heads = [
    ...headIn(notes.slice(-1), CHECKPOINTS, whose, folder),
    ...headIn(ownAmong(disk, folder, segments, whose, since), COSIGNED, whose, folder),
  ].sort((one, other) => one.at.size - other.at.size);
  const newest = heads.at(-1)?.at ?? null;
  const leaves = collectLeaves();
  const start = startOf(disk, folder, segments, newest, since);
  if (start === null) {
    if (newest !== null && newest.size > 0) throw shorter(0, newest, folder);
    const nothing = { tree: emptyTree(), memory: emptyMemory(since), began: null, leaves };
    return { ...nothing, notes, torn: null, checkpointTorn: torn > 0, segment: null };
  }
  const end = walk(disk, folder, segments.slice(start.at), start.carry, heads, leaves);
  const { logKey } = start.carry.memory;
  if (whose !== null && logKey !== null && !whose.holds(logKey.key))
    throw new LogDamaged(
      `${folder} is signed with the log key ${logKey.key}, which this agent does not hold`,
      "The identity folder and the audit folder must be of the same machine: restore both, or `reeve leave` and join anew.",
    );
  const { memory, tree } = start.carry;
  return { tree, memory, notes, ...end, leaves, checkpointTorn: torn > 0, segment: segments.at(-1) ?? null };
}

/**
 * The cosigned notes that this log's own key of their size signed. What else is in that file came from others, and stops nobody. Where no
 * line is left that names a key, each note of this log counts: entries are gone that it covers.
 */
function ownAmong(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  whose: Whose,
  since: number | null,
): readonly string[] {
  const { notes } = readCheckpoints(disk, folder, COSIGNED);
  const keys = notes.length === 0 ? [] : keysNamed(disk, folder, segments, since);
  return notes.filter((note) => {
    const at = parseCheckpoint(note);
    if (at === null || (whose !== null && at.origin !== whose.origin)) return false;
    if (segments.length === 0) return true;
    const key = keys.findLast(({ from }) => from < at.size);
    return key !== undefined && verifyNote(note, at.origin, Buffer.from(key.key, "base64")) !== null;
  });
}

/** The log's keys as the first lines of the segments name them, and the carry of the first one that is here. Not yet held to any head. */
function keysNamed(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  since: number | null,
): readonly Pick<LogKeyRange, "key" | "from">[] {
  const [first = 0] = segments;
  const carried = first === 0 ? null : (readCarry(disk, folder, first, since)?.memory.logKey ?? null);
  const named = segments.flatMap((segment) => {
    const line = linesOf(disk, `${folder}/${segmentName(segment)}`).next();
    const entry = line.done === true ? "none" : checkedEntry(line.value);
    if (typeof entry === "string") return [];
    if (entry.kind === "segment") return [{ key: entry.key, from: entry.index }];
    const range = entry.kind === "epoch" ? keyOfEpoch(entry) : null;
    return range === null ? [] : [range];
  });
  return carried === null ? named : [carried, ...named];
}

/** The newest of some notes: none where there is none. */
function headIn(notes: readonly string[], file: string, whose: Whose, folder: string): Head[] {
  const heads = notes.map((note) => {
    const at = parseCheckpoint(note);
    if (at === null || (whose !== null && at.origin !== whose.origin))
      throw new LogDamaged(`a note of ${folder}/${file} is of another log`, HINT);
    return { note, at, file };
  });
  const newest = Math.max(...heads.map(({ at }) => at.size));
  return heads.filter(({ at }) => at.size === newest).slice(0, 1);
}

/** The newest segment to begin with: one whose past is known and, where there is one, is covered by the checkpoint. */
function startOf(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  newest: Checkpoint | null,
  since: number | null,
): { at: number; carry: Carry & { readonly digest: string | null } } | null {
  let second: { at: number; carry: Carry & { readonly digest: string | null } } | null = null;
  for (let at = segments.length - 1; at >= 0; at--) {
    const first = segments[at] as number;
    const carry =
      first === 0
        ? { tree: emptyTree(), memory: emptyMemory(since), digest: null }
        : readCarry(disk, folder, first, since);
    if (carry === null) continue;
    if (newest === null || first <= newest.size) return { at, carry };
    second ??= { at, carry };
  }
  // Checkpoints are not synced: after a power cut the newest may be behind the last segment, whose carry is.
  if (second === null && segments.length > 0)
    throw new LogDamaged(
      `${folder} has segments from entry ${segments[0]} on, but no whole carry file that says what came before them`,
      HINT,
    );
  return second;
}

function shorter(size: number, newest: Checkpoint, folder: string): LogDamaged {
  return new LogDamaged(`${folder} holds ${size} entries, but its newest head covers ${newest.size}`, HINT);
}

/** Adds the segments' lines to `carry`, and the last one's to `leaves`. Returns how the last one begins and ends. */
function walk(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  carry: Carry & { readonly digest: string | null },
  heads: readonly Head[],
  leaves: Leaves,
): { torn: TornTail | null; began: number | null } {
  const { tree, memory } = carry;
  const newest = heads.at(-1)?.at ?? null;
  const holdToRoots = (): void => {
    for (const head of heads) if (head.at.size === tree.size) holdTo(head, carry, folder);
  };
  let torn: TornTail | null = null;
  let began: number | null = null;
  holdToRoots();
  for (const [at, segment] of segments.entries()) {
    const path = `${folder}/${segmentName(segment)}`;
    if (segment !== tree.size)
      throw new LogDamaged(`entries ${tree.size} to ${segment - 1} are missing before ${path}`, HINT);
    leaves.clear();
    began = null;
    const lines = linesOf(disk, path);
    for (let next = lines.next(); !next.done; next = lines.next()) {
      const line = next.value;
      const covered = newest !== null && tree.size < newest.size;
      const entry = covered ? coveredEntry(line) : checkedEntry(line);
      if (typeof entry === "string") {
        const { offset } = line;
        const last = at === segments.length - 1 && (!line.ended || lines.next().done === true);
        if (covered || !last) throw new LogDamaged(`entry ${tree.size} in ${path} is damaged (${entry})`, HINT);
        torn = { segment, offset };
        break;
      }
      const opens = segment > 0 && tree.size === segment;
      const fault =
        misplaced(entry, tree.size, memory.newest, memory.first ?? entry) ??
        openingFault(entry, opens, { tree, memory, carry: at === 0 ? carry.digest : null })?.because ??
        null;
      if (fault !== null) throw new LogDamaged(`entry ${tree.size} in ${path} is damaged (${fault})`, HINT);
      const leaf = leafHash(line.bytes);
      leaves.add(leaf);
      grow(tree, leaf);
      fold(memory, entry);
      began ??= memory.newest;
      holdToRoots();
    }
  }
  if (newest !== null && tree.size < newest.size) throw shorter(tree.size, newest, folder);
  return { torn, began };
}

/** A head of the tree's size is of its root, and signed by the log's key whose range its newest entry falls into. */
function holdTo({ note, at, file }: Head, { tree, memory }: Carry, folder: string): void {
  const { logKey } = memory;
  if (logKey === null || verifyNote(note, at.origin, Buffer.from(logKey.key, "base64")) === null)
    throw new LogDamaged(`the newest note of ${folder}/${file} is not signed by the log's key of that place`, HINT);
  if (!rootOfTree(tree).equals(at.root))
    throw new LogDamaged(
      `the entries below ${tree.size} of ${folder} are not those of the newest note of ${file}`,
      HINT,
    );
}

/** A line that a checkpoint covers: its root vouches for the bytes, which were of the schema when they were written. */
function coveredEntry(line: Line): Entry | string {
  if (!line.ended) return "cut-off";
  try {
    const value: unknown = JSON.parse(line.bytes.toString("utf8"));
    if (typeof value !== "object" || value === null) return "schema";
    // What names a key is looked at before any head can vouch for it.
    return (value as Entry).kind === "segment" ? checkedEntry(line) : (value as Entry);
  } catch {
    return "not-json";
  }
}

function checkedEntry(line: Line): Entry | string {
  if (!line.ended) return "cut-off";
  const text = textOf(line.bytes);
  if (text === null) return "not-utf8";
  const read = readLine(text);
  return "entry" in read ? read.entry : read.fault;
}

export type Misplaced = "index" | "time" | "epoch" | "cluster" | "first";
/** What is wrong with an entry's place in its log. `newest`: milliseconds of the entry before. */
export function misplaced(
  entry: Entry,
  index: number,
  newest: number,
  first: { epoch: number; cluster: string },
): Misplaced | null {
  const time = timeOf(entry.time);
  if (entry.index !== index) return "index";
  if (time === null || time < newest) return "time";
  if (entry.epoch !== first.epoch) return "epoch";
  if (entry.cluster !== first.cluster) return "cluster";
  if ((entry.kind === "epoch") !== (index === 0)) return "first";
  return null;
}
