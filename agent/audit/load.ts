import type { Disk } from "../host/host.ts";
import type { Entry } from "./entry.ts";
import { LogDamaged } from "./fault.ts";
import {
  type Carry,
  type Line,
  linesOf,
  readCarry,
  readCheckpoints,
  segmentName,
  segmentsIn,
  textOf,
} from "./folder.ts";
import { readLine } from "./line.ts";
import { emptyMemory, fold } from "./memory.ts";
import { type Checkpoint, parseCheckpoint, verifyNote } from "./note.ts";
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
};
/** Whose log it must be. `publicKey`: the log's key, 32 bytes; null to take the signature as it is. */
export type Whose = { readonly origin: string; readonly publicKey: Uint8Array } | null;

/**
 * Reads what the agent must know of its log, from the newest carry on that the newest checkpoint covers. What the checkpoint covers is
 * held to its root, what comes after it to the schema. Throws LogDamaged and DiskError.
 */
export function loadLog(disk: Disk, folder: string, whose: Whose, since: number | null): Loaded {
  const { notes, torn, bad } = readCheckpoints(disk, folder);
  if (bad !== null) throw new LogDamaged(`note ${bad} of ${folder}/checkpoints is no checkpoint`, HINT);
  const newest = newestCheckpoint(notes, whose, folder);
  const segments = segmentsIn(disk, folder);
  const start = startOf(disk, folder, segments, newest, since);
  if (start === null) {
    if (newest !== null && newest.size > 0) throw shorter(0, newest, folder);
    const nothing = { tree: emptyTree(), memory: emptyMemory(since) };
    return { ...nothing, notes, torn: null, checkpointTorn: torn > 0, segment: null };
  }
  const tail = walk(disk, folder, segments.slice(start.at), start.carry, newest);
  return { ...start.carry, notes, torn: tail, checkpointTorn: torn > 0, segment: segments.at(-1) ?? null };
}

function newestCheckpoint(notes: readonly string[], whose: Whose, folder: string): Checkpoint | null {
  const note = notes.at(-1);
  if (note === undefined) return null;
  if (whose !== null && verifyNote(note, whose.origin, whose.publicKey) === null)
    throw new LogDamaged(`the newest note of ${folder}/checkpoints is not signed by this agent's log key`, HINT);
  const checkpoint = parseCheckpoint(note);
  if (checkpoint === null || (whose !== null && checkpoint.origin !== whose.origin))
    throw new LogDamaged(`the newest note of ${folder}/checkpoints is of another log`, HINT);
  return checkpoint;
}

/** The newest segment to begin with: one whose past is known and, where there is one, is covered by the checkpoint. */
function startOf(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  newest: Checkpoint | null,
  since: number | null,
): { at: number; carry: Carry } | null {
  let second: { at: number; carry: Carry } | null = null;
  for (let at = segments.length - 1; at >= 0; at--) {
    const first = segments[at] as number;
    const carry =
      first === 0 ? { tree: emptyTree(), memory: emptyMemory(since) } : readCarry(disk, folder, first, since);
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
  return new LogDamaged(`${folder} holds ${size} entries, but its newest checkpoint covers ${newest.size}`, HINT);
}

/** Adds the segments' lines to `carry`. Returns the torn tail. */
function walk(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  carry: Carry,
  newest: Checkpoint | null,
): TornTail | null {
  const { tree, memory } = carry;
  const holdToRoot = (): void => {
    if (newest === null || tree.size !== newest.size) return;
    if (!rootOfTree(tree).equals(newest.root))
      throw new LogDamaged(`the entries below ${tree.size} of ${folder} are not those of its newest checkpoint`, HINT);
  };
  let torn: TornTail | null = null;
  holdToRoot();
  for (const [at, segment] of segments.entries()) {
    const path = `${folder}/${segmentName(segment)}`;
    if (segment !== tree.size)
      throw new LogDamaged(`entries ${tree.size} to ${segment - 1} are missing before ${path}`, HINT);
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
      const fault = misplaced(entry, tree.size, memory.newest, memory.first ?? entry);
      if (fault !== null) throw new LogDamaged(`entry ${tree.size} in ${path} is damaged (${fault})`, HINT);
      grow(tree, leafHash(line.bytes));
      fold(memory, entry);
      holdToRoot();
    }
  }
  if (newest !== null && tree.size < newest.size) throw shorter(tree.size, newest, folder);
  return torn;
}

/** A line that a checkpoint covers: its root vouches for the bytes, which were of the schema when they were written. */
function coveredEntry(line: Line): Entry | string {
  if (!line.ended) return "cut-off";
  try {
    const value: unknown = JSON.parse(line.bytes.toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Entry) : "schema";
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
