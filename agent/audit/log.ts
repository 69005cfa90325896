import { hash } from "node:crypto";
import { type Disk, DiskError, type Host } from "../host/host.ts";
import { CHECKPOINT_INTERVAL_SECONDS, MAX_ENTRY_BYTES, MAX_REFUSAL_ENTRY_BYTES } from "../limits.ts";
import { canonical, type Json } from "../wire/canonical.ts";
import { checkpointsWriter } from "./checkpoints.ts";
import { isFull } from "./details.ts";
import { Entry, type EntryBody } from "./entry.ts";
import { expireSegments } from "./expire.ts";
import { LogDamaged, LogUnavailable } from "./fault.ts";
import { CHECKPOINTS, carryDigest, carryName, carryText, segmentName, segmentsIn, tornIn, tornName } from "./folder.ts";
import { keepLeaves } from "./leaves.ts";
import { lineReader } from "./lineReader.ts";
import { type Loaded, loadLog, type TornTail } from "./load.ts";
import { type LogKeys, signHandover } from "./logKeys.ts";
import { fold, type Memory } from "./memory.ts";
import { checkpointText, logKeyBinding, parseCheckpoint, signNote } from "./note.ts";
import { openReserve } from "./reserve.ts";
import { makeSegment, openSegment } from "./segmentFile.ts";
import { timeText } from "./time.ts";
import { grow, leafHash, rootOfTree } from "./tree.ts";

export { type Archived, archiveEpoch } from "./archive.ts";
export { LogDamaged, LogUnavailable } from "./fault.ts";

export type LogIdentity = {
  /** The log's name: logOrigin(). */
  readonly origin: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly keys: LogKeys;
  /** The agent's certificate chain as base64 DER, leaf first, and its key's signature over a binding (note.ts). */
  vouch(binding: Uint8Array): { readonly chain: readonly string[]; readonly signature: string };
  /** A new segment begins once one has this many bytes, or is this old; a closed one is kept at least this long. */
  readonly segmentBytes: number;
  readonly segmentAgeMs: number;
  readonly retentionMs: number;
  /** Entry 0, of kind `epoch`, for a new log. */
  first(): EntryBody;
  /** See History: the log remembers nothing before this. */
  readonly since: number | null;
};

export type Log = {
  /** Entries that are durable: the index of the next one. */
  readonly size: number;
  readonly memory: Memory;
  /** False while the reserve is spent: no intent may be written then, only what ends what was begun. */
  readonly roomy: boolean;
  /**
   * Makes entries durable, all or none of them known to be, in one write and one sync. Throws LogUnavailable: then nothing may
   * execute, and the process must end. Throws RangeError on entries that are too long, which are our own mistake.
   */
  append(bodies: readonly EntryBody[]): Entry[];
  /** The newest signed head, a C2SP signed note. It covers every durable entry. */
  checkpoint(): string;
  /** Lines, without newline, from an index on, as they are on disk; none where that segment was moved away. */
  lines(from: number, max: number): string[];
  /** First indexes of the segments that are here, rising. */
  segments(): readonly number[];
  /** Entries below this index are held by the control plane too: only these may be dropped once their retention is over. */
  handedIn(next: number): void;
  /** To be called now and then: signs a head each hour, begins a segment when one is old, and takes the reserve back when there is room. */
  tick(): void;
  /** Begins a segment now, so that what was written so far lies in closed ones: before this machine may go. */
  cut(): void;
  close(): void;
};

/** Opens the log of this epoch, or begins it. Throws LogUnavailable and LogDamaged; the agent must not run then. */
export function openLog(host: Host, folder: string, as: LogIdentity): Log {
  const { disk } = host;
  const lock = takeLock(disk, folder);
  try {
    return orUnavailable(() => opened(host, folder, as, lock));
  } catch (error) {
    lock.free();
    throw error;
  }
}

const LOCK_HINT = "One agent writes a log. Stop the other: `systemctl status reeve`.";

function takeLock(disk: Disk, folder: string): { free(): void } {
  try {
    disk.makeDirectory(folder, 0o700);
    return disk.lock(`${folder}/lock`);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error.code === "EBUSY") throw new LogUnavailable(`another process writes the log in ${folder}`, LOCK_HINT);
    throw unavailable(error);
  }
}

function unavailable(error: DiskError): LogUnavailable {
  const hint = isFull(error)
    ? "Free space on the disk of the state folder, then start the agent again."
    : "See what the kernel says (`dmesg`), mend the disk or the folder's permissions, then start the agent again.";
  return new LogUnavailable(`the log cannot be written: ${error.path}: ${error.code}`, hint);
}

function orUnavailable<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof DiskError ? unavailable(error) : error;
  }
}

function opened(host: Host, folder: string, as: LogIdentity, lock: { free(): void }): Log {
  const holds = (key: string): boolean => as.keys.privateKey(key) !== null;
  const loaded = loadLog(host.disk, folder, { origin: as.origin, holds }, as.since);
  const first = loaded.memory.first;
  if (first !== null && first.origin !== as.origin)
    throw new LogDamaged(
      `${folder} holds the log ${first.origin}`,
      "The identity folder and the audit folder must be of the same machine: restore both, or `reeve leave` and join anew.",
    );
  if (loaded.torn !== null) moveAside(host, folder, loaded.tree.size, loaded.torn);
  return writer(host, folder, as, loaded, lock, tornBodies(host.disk, folder, loaded.tree.size));
}

/** If we stop after the copy is durable and before the cut, the next start makes another copy; nothing is lost. */
function moveAside(host: Host, folder: string, index: number, torn: TornTail): void {
  const { disk } = host;
  const path = `${folder}/${segmentName(torn.segment)}`;
  const bytes = disk.range(path, torn.offset, disk.stat(path).size - torn.offset);
  disk.replace(`${folder}/${tornName(index, host.clock.now())}`, bytes, 0o600);
  disk.truncate(path, torn.offset);
}

/** Tails that were moved aside and are not on record: those at the index that the log has come to. */
function tornBodies(disk: Disk, folder: string, size: number): EntryBody[] {
  return tornIn(disk, folder)
    .filter(({ index }) => index >= size)
    .map(({ name }) => {
      const path = `${folder}/${name}`;
      const bytes = disk.range(path, 0, disk.stat(path).size);
      return { kind: "torn", bytes: bytes.length, sha256: hash("sha256", bytes, "hex"), name };
    });
}

/** The one that appends. `loaded` becomes its state; `torn` goes on record first. */
function writer(
  host: Host,
  folder: string,
  as: LogIdentity,
  loaded: Loaded,
  lock: { free(): void },
  torn: readonly EntryBody[],
): Log {
  const { disk, clock } = host;
  const { tree, memory, leaves } = loaded;
  const reserve = openReserve(host, folder);
  const checkpoints = checkpointsWriter(disk, folder, loaded.notes, loaded.checkpointTorn);
  const read = lineReader(disk, folder);
  let segment = openSegment(disk, folder, loaded.segment ?? 0, reserve, unavailable);
  let { began } = loaded;
  /** Why nothing is appended any more. */
  let ended: LogUnavailable | LogDamaged | null = null;
  let head = loaded.notes.at(-1) ?? "";
  let handed = 0;

  /** Final: what the kernel said of this descriptor is said once, and a second sync would succeed over lost data. */
  function final<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (error instanceof DiskError) ended = unavailable(error);
      else if (error instanceof LogDamaged) ended = error;
      throw ended ?? error;
    }
  }

  function sign(): void {
    const { logKey } = memory;
    const key = logKey === null ? null : as.keys.privateKey(logKey.key);
    if (key === null) throw new Error("the log's key is not held");
    const before = head === "" ? null : parseCheckpoint(head);
    const time = Math.max(clock.now(), memory.newest, before?.time ?? 0);
    const text = checkpointText({ origin: as.origin, size: tree.size, root: rootOfTree(tree), time });
    head = signNote(text, as.origin, key);
    checkpoints.add(head);
  }

  function entriesOf(bodies: readonly EntryBody[]): Entry[] {
    const time = timeText(Math.max(clock.now(), memory.newest));
    const common = { v: 1, cluster: as.cluster, epoch: as.epoch, time };
    // What is written is what verify will accept: a body of another shape is our own mistake, and throws.
    return bodies.map((body, at) => Entry.parse({ ...body, ...common, index: tree.size + at }));
  }

  /** Moves on over entries that are durable, and signs the head after, so that it never covers more than that. */
  function take(entries: readonly Entry[], lines: readonly string[]): void {
    for (const [at, line] of lines.entries()) {
      const leaf = leafHash(line);
      leaves.add(leaf);
      grow(tree, leaf);
      fold(memory, entries[at] as Entry);
    }
    began ??= memory.newest;
    sign();
  }

  function commit(bodies: readonly EntryBody[]): Entry[] {
    const entries = entriesOf(bodies);
    const lines = entries.map(lineOf);
    const outcome = entries.some(({ kind }) => kind === "outcome");
    final(() => {
      if (!checkpoints.intact()) throw tampered(folder);
      segment.write(groupOf(lines), outcome);
    });
    final(() => take(entries, lines));
    return entries;
  }

  /** The first line of the segment that begins here. Its carry file and its key are durable before it is. */
  function opening(): EntryBody {
    const { logKey } = memory;
    const older = logKey === null ? null : as.keys.privateKey(logKey.key);
    if (logKey === null || older === null) throw new Error("the log's key is not held");
    // A process may have stopped between the line that handed over and the end of the older key.
    if (as.keys.current !== logKey.key) as.keys.handOver();
    const key = as.keys.next();
    const carry = carryText(loaded);
    disk.replace(`${folder}/${carryName(tree.size)}`, Buffer.from(carry, "utf8"), 0o600);
    return {
      kind: "segment",
      origin: as.origin,
      peaks: tree.peaks.map((peak) => peak.toString("base64")),
      key,
      ...vouchedFor(as, key, tree.size),
      before: { key: logKey.key, from: logKey.from },
      handed: signHandover({ origin: as.origin, from: tree.size, key, root: rootOfTree(tree) }, older),
      carry: carryDigest(carry),
    };
  }

  /** Begins a new segment. A disk too full for that leaves the entries in this one. */
  function rotate(): void {
    try {
      const entries = entriesOf([opening()]);
      const lines = entries.map(lineOf);
      if (!makeSegment(disk, folder, tree.size, groupOf(lines))) {
        disk.remove(`${folder}/${carryName(tree.size)}`);
        return;
      }
      // Durable from here on: the new segment is the one to write to, with its own key.
      const fresh = openSegment(disk, folder, tree.size, reserve, unavailable);
      const older = segment;
      segment = fresh;
      older.close();
      keepLeaves(disk, folder, older.first, leaves.bytes());
      leaves.clear();
      began = null;
      take(entries, lines);
      as.keys.handOver();
      expireSegments(disk, folder, { now: memory.newest, retentionMs: as.retentionMs, handed, last: segment.first });
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }

  function isDue(): boolean {
    if (tree.size - segment.first <= 1) return false;
    return segment.size >= as.segmentBytes || (began !== null && clock.now() - began >= as.segmentAgeMs);
  }

  /** What was appended before is durable, whatever becomes of this: a disk that fails here ends the next append, and with it the process. */
  function rotateIfDue(): void {
    if (!isDue()) return;
    try {
      final(rotate);
    } catch (error) {
      if (ended === null) throw error;
    }
  }

  const isEmpty = segment.size === 0 && tree.size > 0;
  // A last segment without its first line is one that a process stopped over when it began it.
  const missing = [...(tree.size === 0 ? [as.first()] : []), ...(isEmpty ? [opening()] : []), ...torn];
  if (missing.length > 0) commit(missing);
  if (memory.logKey !== null && as.keys.current !== memory.logKey.key) as.keys.handOver();
  if (head === "" || parseCheckpoint(head)?.size !== tree.size) sign();

  return {
    get size() {
      return tree.size;
    },
    memory,
    get roomy() {
      return reserve.whole;
    },
    append(bodies) {
      if (ended !== null) throw ended;
      const entries = commit(bodies);
      rotateIfDue();
      return entries;
    },
    checkpoint: () => head,
    lines: (from, max) => read(from, max, tree.size),
    segments: () => segmentsIn(disk, folder),
    handedIn(next) {
      handed = Math.max(handed, next);
    },
    tick() {
      if (ended !== null) throw ended;
      final(() => {
        if (!reserve.whole) reserve.restore();
        checkpoints.retry();
        const age = clock.now() - (parseCheckpoint(head)?.time ?? 0);
        if (age >= CHECKPOINT_INTERVAL_SECONDS * 1000) sign();
        if (isDue()) rotate();
      });
    },
    cut() {
      if (ended !== null) throw ended;
      if (tree.size - segment.first > 1) final(rotate);
    },
    close() {
      if (ended === null) ended = new LogUnavailable("the log was closed", "Open it again.");
      else if (ended.message === "the log was closed") return;
      segment.close();
      checkpoints.close();
      lock.free();
    },
  };
}

function tampered(folder: string): LogDamaged {
  return new LogDamaged(
    `${folder}/${CHECKPOINTS} was cut, replaced or removed under the running agent`,
    "Find out by whom, restore the file from a copy, then: reeve audit verify --log FOLDER --ca FILE.",
  );
}

function groupOf(lines: readonly string[]): Uint8Array {
  return Buffer.from(`${lines.join("\n")}\n`, "utf8");
}

function vouchedFor(as: LogIdentity, key: string, from: number): { chain: string[]; signature: string } {
  const { chain, signature } = as.vouch(logKeyBinding(as.origin, key, from));
  return { chain: [...chain], signature };
}

function lineOf(entry: Entry): string {
  const line = canonical(entry as unknown as Json);
  const bytes = Buffer.byteLength(line);
  const refusal = entry.kind === "refused" || entry.kind === "rejected";
  if (bytes > (refusal ? MAX_REFUSAL_ENTRY_BYTES : MAX_ENTRY_BYTES))
    throw new RangeError(`an entry of kind ${entry.kind} is ${bytes} bytes long`);
  return line;
}
