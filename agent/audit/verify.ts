import { type Disk, DiskError } from "../host/host.ts";
import { canonical } from "../wire/canonical.ts";
import { approvedFault, signatureFault, unfencedFault } from "./approved.ts";
import type { Entry } from "./entry.ts";
import { linesOf, readCarry, readCheckpoints, segmentName, segmentsIn, textOf } from "./folder.ts";
import { readLine } from "./line.ts";
import { misplaced } from "./load.ts";
import { emptyMemory, fold, isOver, type Memory, memoryState } from "./memory.ts";
import { type Checkpoint, parseCheckpoint, verifyNote } from "./note.ts";
import { timeOf, timeText } from "./time.ts";
import { emptyTree, grow, leafHash, rootOfTree, type Tree } from "./tree.ts";
import { type Vouched, vouch } from "./vouch.ts";

/** NAMES: 0 and 10 need a witness, and nobody witnesses yet. */
export const WHOLE_UNWITNESSED = 11;
export const INCOMPLETE = 12;
export const DAMAGED = 13;
export const COULD_NOT_LOOK = 14;

export type Damage = {
  /** The first bad entry's index, or the size that a bad checkpoint or carry claims. */
  readonly index: number;
  /** The file, in the log's folder. */
  readonly file: string;
  /** One stable word. */
  readonly what: string;
  readonly because: string;
};
export type Verdict = {
  readonly exit: 11 | 12 | 13 | 14;
  /** The answer in a sentence. */
  readonly says: string;
  readonly origin: string | null;
  /** Entries that were looked at, from `from` to before `size`. */
  readonly from: number;
  readonly size: number;
  /** Root over all entries, base64; null where entries are missing and nothing says what they come to. */
  readonly root: string | null;
  readonly bytes: number;
  readonly segments: number;
  readonly oldest: string | null;
  readonly newest: string | null;
  readonly kinds: Readonly<Record<string, number>>;
  readonly checkpoints: { readonly checked: number; readonly newest: { size: number; time: string } | null };
  /** The log's key, base64, and the CA that vouches for it; null when none was given or none does. */
  readonly key: string | null;
  readonly vouched: Vouched | null;
  readonly witnesses: readonly string[];
  /** Commands whose intent has no outcome yet. */
  readonly open: readonly { command: string; intent: number }[];
  readonly damage: Damage | null;
  /** Ranges of indexes that are not there. */
  readonly missing: readonly { from: number; to: number }[];
  /** Why the key could not be held to a CA, or null. */
  readonly unvouched: string | null;
  /** What is no damage and worth knowing. */
  readonly remarks: readonly string[];
};

class Found extends Error {
  constructor(readonly damage: Damage) {
    super(damage.because);
  }
}

type Progress = {
  from: number;
  tree: Tree;
  memory: Memory;
  /** False after a gap that no carry bridges. */
  rooted: boolean;
  bytes: number;
  oldest: string | null;
  newest: string | null;
  kinds: Map<string, number>;
  missing: { from: number; to: number }[];
  remarks: string[];
  checked: number;
};

type HeldTo = { readonly note: string; readonly at: Checkpoint };

/**
 * Looks at everything in a log's folder, in order, holding one line in memory at a time. `ca`: PEM of the CA that the agent's
 * certificate must lead to; without it the log's key vouches for nothing but itself, and the answer says so. Changes nothing,
 * takes no lock, needs no network.
 */
export async function verifyLog(disk: Disk, folder: string, given: { readonly ca: string | null }): Promise<Verdict> {
  const progress: Progress = {
    from: 0,
    tree: emptyTree(),
    memory: emptyMemory(null),
    rooted: true,
    bytes: 0,
    oldest: null,
    newest: null,
    kinds: new Map(),
    missing: [],
    remarks: [],
    checked: 0,
  };
  let segments: number[] = [];
  let heads: HeldTo[] = [];
  let damage: Damage | null = null;
  try {
    // Heads first: a log that is being written to meanwhile has by then at least the entries that they cover.
    heads = headsOf(disk, folder, progress);
    segments = segmentsIn(disk, folder);
    if (segments.length === 0 && heads.length === 0)
      return verdict(progress, { ...nothing, exit: COULD_NOT_LOOK, says: `there is no log in ${folder}` });
    lookAtAll(disk, folder, segments, heads, progress);
  } catch (error) {
    if (error instanceof DiskError)
      return verdict(progress, {
        ...nothing,
        exit: COULD_NOT_LOOK,
        says: `${error.path} cannot be read (${error.code})`,
      });
    if (!(error instanceof Found)) throw error;
    damage = error.damage;
  }
  const first = progress.memory.first;
  const checked = first === null || given.ca === null ? null : await vouch(first, given.ca);
  const vouched = checked !== null && "by" in checked ? checked : null;
  const unvouched = given.ca === null ? "no CA was given" : checked !== null && "not" in checked ? checked.not : null;
  const rest = { segments: segments.length, newestHead: heads.at(-1)?.at ?? null, vouched, unvouched, damage };
  if (damage !== null) return verdict(progress, { ...rest, exit: DAMAGED, says: damageText(damage) });
  if (progress.missing.length > 0) return verdict(progress, { ...rest, exit: INCOMPLETE, says: missingText(progress) });
  if (vouched === null) return verdict(progress, { ...rest, exit: COULD_NOT_LOOK, says: unvouchedText(unvouched) });
  return verdict(progress, { ...rest, exit: WHOLE_UNWITNESSED, says: WHOLE });
}

const WHOLE =
  "whole as far as it goes, but nobody has witnessed it: whoever holds the machine could have cut off the newest entries, and signed again";

function damageText({ index, file, what, because }: Damage): string {
  return `damaged: entry ${index} in ${file}: ${because} (${what})`;
}

function missingText({ missing, tree }: Progress): string {
  const ranges = missing.map(({ from, to }) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`));
  return `incomplete: entries ${ranges.join(", ")} of ${tree.size} are not in this folder; what is here is whole`;
}

function unvouchedText(unvouched: string | null): string {
  return `cannot tell whose log this is: ${unvouched ?? "entry 0 is not here"}; a key that lies beside the log proves nothing`;
}

type Ending = {
  readonly exit: Verdict["exit"];
  readonly says: string;
  readonly segments: number;
  readonly newestHead: Checkpoint | null;
  readonly vouched: Vouched | null;
  readonly unvouched: string | null;
  readonly damage: Damage | null;
};
const nothing = { segments: 0, newestHead: null, vouched: null, unvouched: null, damage: null };

function verdict(progress: Progress, end: Ending): Verdict {
  const { tree, memory, rooted } = progress;
  const head = end.newestHead;
  return {
    exit: end.exit,
    says: end.says,
    origin: memory.first?.origin ?? null,
    from: progress.from,
    size: tree.size,
    root: rooted ? rootOfTree(tree).toString("base64") : null,
    bytes: progress.bytes,
    segments: end.segments,
    oldest: progress.oldest,
    newest: progress.newest,
    kinds: Object.fromEntries([...progress.kinds].sort(([one], [other]) => (one < other ? -1 : 1))),
    checkpoints: {
      checked: progress.checked,
      newest: head === null ? null : { size: head.size, time: timeText(head.time) },
    },
    key: memory.first?.log_keys[0]?.key ?? null,
    vouched: end.vouched,
    witnesses: [],
    open: [...memory.open.values()].map(({ command, index }) => ({ command, intent: index })),
    damage: end.damage,
    missing: progress.missing,
    unvouched: end.unvouched,
    remarks: progress.remarks,
  };
}

/** The checkpoints file's notes. Their signatures are checked when entry 0 has said by which key. */
function headsOf(disk: Disk, folder: string, progress: Progress): HeldTo[] {
  const { notes, torn, bad } = readCheckpoints(disk, folder);
  const fail = (size: number, because: string): Found =>
    new Found({ index: size, file: "checkpoints", what: "checkpoint", because });
  if (bad !== null) throw fail(0, `note ${bad} is no checkpoint`);
  if (torn > 0)
    progress.remarks.push(
      `checkpoints ends in ${torn} bytes of a note that was cut off; the agent replaces it when it starts`,
    );
  const heads: HeldTo[] = [];
  for (const [number, note] of notes.entries()) {
    const at = parseCheckpoint(note);
    const before = heads.at(-1)?.at;
    if (at === null) throw fail(0, `note ${number} is no checkpoint`);
    if (before !== undefined && (at.size < before.size || at.time < before.time || at.origin !== before.origin))
      throw fail(at.size, `note ${number} goes back behind the one before it`);
    heads.push({ note, at });
  }
  return heads;
}

function lookAtAll(
  disk: Disk,
  folder: string,
  segments: readonly number[],
  heads: readonly HeldTo[],
  progress: Progress,
): void {
  let next = 0;
  /** Holds the tree of this moment to the heads of its size. */
  const hold = (): void => {
    for (let head = heads[next]; head !== undefined && head.at.size <= progress.tree.size; head = heads[++next]) {
      if (head.at.size === progress.tree.size && progress.rooted) holdTo(head, progress);
    }
  };
  for (const [number, segment] of segments.entries()) {
    begin(disk, folder, segment, progress);
    hold();
    lookAtSegment(disk, folder, segment, number === segments.length - 1, heads.at(-1)?.at.size ?? 0, progress, hold);
  }
  const head = heads.at(-1);
  if (head !== undefined && head.at.size > progress.tree.size)
    throw new Found({
      index: progress.tree.size,
      file: segmentName(segments.at(-1) ?? 0),
      what: "cut-off",
      because: `the log ends here, and its newest checkpoint covers ${head.at.size} entries`,
    });
}

function holdTo({ note, at }: HeldTo, progress: Progress): void {
  const first = progress.memory.first;
  const fail = (because: string): Found =>
    new Found({
      index: at.size,
      file: "checkpoints",
      what: "checkpoint",
      because: `the checkpoint of size ${at.size} ${because}`,
    });
  // A log key may sign from its index on; entry 0 names the one there is.
  const key = first?.log_keys.findLast(({ from }) => from <= at.size)?.key;
  if (first === null || key === undefined) throw fail("is of a log whose key nothing names");
  if (at.origin !== first.origin) throw fail(`is of ${at.origin}`);
  if (verifyNote(note, first.origin, Buffer.from(key, "base64")) === null) throw fail("is not signed by the log's key");
  if (!at.root.equals(rootOfTree(progress.tree)))
    throw new Found({
      index: at.size - 1,
      file: "checkpoints",
      what: "root",
      because: `entries 0 to ${at.size - 1} are not those that the checkpoint of size ${at.size} was signed over`,
    });
  progress.checked += 1;
}

/** What the entries before a segment come to: as counted, or where they are missing as the segment's carry says. */
function begin(disk: Disk, folder: string, segment: number, progress: Progress): void {
  const file = segmentName(segment);
  if (segment < progress.tree.size)
    throw new Found({
      index: segment,
      file,
      what: "segment",
      because: `the segment begins at ${segment}, and the one before it goes to ${progress.tree.size - 1}`,
    });
  const carry = segment === 0 ? null : readCarry(disk, folder, segment, null);
  if (segment === progress.tree.size && progress.rooted) {
    if (carry === null) return;
    const same =
      rootOfTree(carry.tree).equals(rootOfTree(progress.tree)) &&
      canonical(memoryState(carry.memory)) === canonical(memoryState(progress.memory));
    if (!same)
      throw new Found({
        index: segment,
        file,
        what: "carry",
        because: "its carry file says something else than the entries before it",
      });
    return;
  }
  if (segment > progress.tree.size) progress.missing.push({ from: progress.tree.size, to: segment });
  if (progress.oldest === null) progress.from = segment;
  if (carry !== null) {
    progress.tree = carry.tree;
    progress.memory = carry.memory;
    progress.rooted = true;
    return;
  }
  progress.rooted = false;
  progress.tree = { size: segment, peaks: [] };
  progress.remarks.push(`${file} has no whole carry file: what is after the gap cannot be held to the checkpoints`);
}

function lookAtSegment(
  disk: Disk,
  folder: string,
  segment: number,
  isLast: boolean,
  covered: number,
  progress: Progress,
  hold: () => void,
): void {
  const file = segmentName(segment);
  const lines = linesOf(disk, `${folder}/${file}`);
  for (let next = lines.next(); !next.done; next = lines.next()) {
    const line = next.value;
    const index = progress.tree.size;
    const { length } = line.bytes;
    const text = line.ended ? textOf(line.bytes) : null;
    const leaf = progress.rooted ? leafHash(line.bytes) : null;
    const read = text === null ? { fault: line.ended ? "not-utf8" : "cut-off" } : readLine(text);
    if (!("entry" in read)) {
      const last = isLast && index >= covered && (!line.ended || lines.next().done === true);
      if (!last) throw new Found({ index, file, what: read.fault, because: `the line is not an entry of this log` });
      progress.remarks.push(
        `${file} ends in ${length} bytes of a write that was cut off; the agent moves them aside when it starts`,
      );
      return;
    }
    const fault = faultOf(read.entry, index, progress);
    if (fault !== null) throw new Found({ index, file, ...fault });
    if (leaf !== null) grow(progress.tree, leaf);
    else progress.tree.size += 1;
    fold(progress.memory, read.entry);
    progress.bytes += length + 1;
    progress.oldest ??= read.entry.time;
    progress.newest = read.entry.time;
    progress.kinds.set(read.entry.kind, (progress.kinds.get(read.entry.kind) ?? 0) + 1);
    hold();
  }
}

type Fault = { readonly what: string; readonly because: string };

/** What is wrong with an entry at this place of the log, by itself and by what came before it. */
function faultOf(entry: Entry, index: number, progress: Progress): Fault | null {
  const { memory } = progress;
  const place = misplaced(entry, index, memory.newest, memory.first ?? entry);
  if (place !== null) return { what: place, because: placeText[place] };
  if (entry.kind === "intent" || entry.kind === "considered" || entry.kind === "waiting")
    return (
      enteredFault(entry, memory) ?? (entry.kind === "intent" && progress.rooted ? approvedFault(entry, memory) : null)
    );
  // After a gap that nothing bridges it is not known what waited.
  if (entry.kind === "approval" && entry.code === null && progress.rooted) return signatureFault(entry, memory);
  if (entry.kind === "unfenced" && progress.rooted) return unfencedFault(entry, memory);
  // After a gap that nothing bridges it is not known which intents were open.
  if (entry.kind === "outcome" && progress.rooted) {
    const intent = memory.open.get(entry.command);
    if (intent === undefined || intent.index !== entry.intent)
      return {
        what: "outcome",
        because: `an outcome of entry ${entry.intent}, which is no open intent of this command`,
      };
  }
  return null;
}

const placeText = {
  index: "it names another index than its place",
  time: "its time is behind the entry before it, or is no time",
  epoch: "it is of another epoch",
  cluster: "it is of another cluster",
  first: "entry 0, and only entry 0, is the epoch's",
} as const;

function enteredFault(
  entry: Extract<Entry, { kind: "intent" | "considered" | "waiting" }>,
  memory: Memory,
): Fault | null {
  const known = memory.ids.get(entry.command);
  // What waited is decided once more, by the intent that its approval led to.
  const waited = memory.waiting.get(entry.command)?.entry;
  const goesOn = entry.kind === "intent" && waited !== undefined && waited.digest === entry.digest;
  if (known !== undefined && !goesOn)
    return { what: "id", because: `command ${entry.command} was decided in entry ${known.index} already` };
  if (isOver(entry.exp, timeOf(entry.time) ?? 0))
    return { what: "expired", because: `command ${entry.command} had expired by then` };
  return null;
}
