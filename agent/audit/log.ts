import { hash, type KeyObject } from "node:crypto";
import { type Appender, type Disk, DiskError, type Host } from "../host/host.ts";
import { CHECKPOINT_INTERVAL_SECONDS, MAX_ENTRY_BYTES, MAX_REFUSAL_ENTRY_BYTES } from "../limits.ts";
import { canonical, type Json } from "../wire/canonical.ts";
import { checkpointsWriter } from "./checkpoints.ts";
import { isFull } from "./details.ts";
import { Entry, type EntryBody } from "./entry.ts";
import { LogDamaged, LogUnavailable } from "./fault.ts";
import { carryName, carryText, linesOf, segmentName, segmentsIn, tornIn, tornName } from "./folder.ts";
import { type Loaded, loadLog, type TornTail } from "./load.ts";
import { fold, type Memory } from "./memory.ts";
import { checkpointText, parseCheckpoint, signNote } from "./note.ts";
import { openReserve } from "./reserve.ts";
import { timeText } from "./time.ts";
import { grow, leafHash, rootOfTree } from "./tree.ts";

export { type Archived, archiveEpoch } from "./archive.ts";
export { LogDamaged, LogUnavailable } from "./fault.ts";

export type LogIdentity = {
  /** The log's name: logOrigin(). */
  readonly origin: string;
  readonly cluster: string;
  readonly epoch: number;
  /** Ed25519. `publicKey`: 32 bytes in base64. */
  readonly logKey: { readonly privateKey: KeyObject; readonly publicKey: string };
  readonly segmentBytes: number;
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
  /** To be called now and then: signs a head each hour, and takes the reserve back when there is room. */
  tick(): void;
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
  const publicKey = Buffer.from(as.logKey.publicKey, "base64");
  const loaded = loadLog(host.disk, folder, { origin: as.origin, publicKey }, as.since);
  const first = loaded.memory.first;
  if (first !== null && (first.origin !== as.origin || first.log_keys[0]?.key !== as.logKey.publicKey))
    throw new LogDamaged(
      `${folder} holds the log ${first.origin}, or one of another log key`,
      "The identity folder and the audit folder must be of the same machine: restore both, or `reeve leave` and join anew.",
    );
  if (loaded.torn !== null) moveAside(host, folder, loaded.tree.size, loaded.torn);
  const log = writer(host, folder, as, loaded, lock);
  const torn = tornBodies(host.disk, folder, loaded.tree.size);
  const missing = log.size === 0 ? [as.first(), ...torn] : torn;
  if (missing.length > 0) log.append(missing);
  return log;
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

/** The one that appends. `loaded` becomes its state. */
function writer(host: Host, folder: string, as: LogIdentity, loaded: Loaded, lock: { free(): void }): Log {
  const { disk, clock } = host;
  const { tree, memory } = loaded;
  const reserve = openReserve(host, folder);
  const checkpoints = checkpointsWriter(disk, folder, loaded.notes, loaded.checkpointTorn);
  let first = loaded.segment ?? 0;
  let segment: Appender = disk.appender(pathOf(first), 0o600);
  /** Why nothing is appended any more. */
  let ended: LogUnavailable | null = null;
  let head = loaded.notes.at(-1) ?? "";
  let cursor = { index: 0, segment: 0, offset: 0 };

  function pathOf(index: number): string {
    return `${folder}/${segmentName(index)}`;
  }

  /** Final: what the kernel said of this descriptor is said once, and a second sync would succeed over lost data. */
  function end(error: DiskError): LogUnavailable {
    ended = unavailable(error);
    return ended;
  }

  function final<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw error instanceof DiskError ? end(error) : error;
    }
  }

  /** Begins a new segment when this one is large enough. A disk too full for that leaves the entries in this one. */
  function rotate(more: number): void {
    if (segment.size === 0 || segment.size + more <= as.segmentBytes) return;
    const next = pathOf(tree.size);
    let fresh: Appender;
    try {
      // The carry is durable before its segment exists. If we stop here it is without a segment, and is written again.
      disk.replace(`${folder}/${carryName(tree.size)}`, Buffer.from(carryText(loaded), "utf8"), 0o600);
      fresh = disk.appender(next, 0o600);
    } catch (error) {
      if (isFull(error)) return;
      throw error;
    }
    segment.close();
    segment = fresh;
    first = tree.size;
  }

  /** Writes a group, spending the reserve when the disk is full. What was written in part is cut off, on another descriptor. */
  function writeGroup(bytes: Uint8Array, outcome: boolean): void {
    for (;;) {
      const whole = segment.size;
      try {
        segment.append(bytes);
        return;
      } catch (error) {
        if (!isFull(error)) throw error;
        segment.close();
        const path = pathOf(first);
        disk.truncate(path, whole);
        const spent = reserve.spend(outcome);
        segment = disk.appender(path, 0o600);
        // Not final: nothing of this group is in the file. Outcomes of what was begun may still come, and have their own reserve.
        if (!spent) throw unavailable(error as DiskError);
      }
    }
  }

  function sign(): void {
    const before = head === "" ? null : parseCheckpoint(head);
    const time = Math.max(clock.now(), memory.newest, before?.time ?? 0);
    const text = checkpointText({ origin: as.origin, size: tree.size, root: rootOfTree(tree), time });
    head = signNote(text, as.origin, as.logKey.privateKey);
    checkpoints.add(head);
  }

  function entriesOf(bodies: readonly EntryBody[]): Entry[] {
    const time = timeText(Math.max(clock.now(), memory.newest));
    const common = { v: 1, cluster: as.cluster, epoch: as.epoch, time };
    // What is written is what verify will accept: a body of another shape is our own mistake, and throws.
    return bodies.map((body, at) => Entry.parse({ ...body, ...common, index: tree.size + at }));
  }

  function append(bodies: readonly EntryBody[]): Entry[] {
    if (ended !== null) throw ended;
    const entries = entriesOf(bodies);
    const lines = entries.map(lineOf);
    const group = Buffer.from(`${lines.join("\n")}\n`, "utf8");
    final(() => {
      rotate(group.length);
      writeGroup(
        group,
        entries.some((entry) => entry.kind === "outcome"),
      );
      // If we stop here the entries may or may not be there: nobody was told of them, nothing was done for them.
      segment.sync();
    });
    // Durable from here on. The head is signed after, so that it never covers more than that.
    for (const [at, line] of lines.entries()) {
      grow(tree, leafHash(line));
      fold(memory, entries[at] as Entry);
    }
    final(sign);
    return entries;
  }

  if (tree.size > 0 && (head === "" || parseCheckpoint(head)?.size !== tree.size)) sign();

  return {
    get size() {
      return tree.size;
    },
    memory,
    get roomy() {
      return reserve.whole;
    },
    append,
    checkpoint: () => head,
    lines(from, max) {
      if (from >= tree.size || max <= 0) return [];
      const start = segmentsIn(disk, folder).findLast((index) => index <= from);
      if (start === undefined) return [];
      if (cursor.segment !== start || cursor.index > from) cursor = { index: start, segment: start, offset: 0 };
      const found = linesFrom(disk, folder, cursor, from, Math.min(from + max, tree.size));
      cursor = found.cursor;
      return found.lines;
    },
    tick() {
      if (ended !== null) throw ended;
      final(() => {
        if (!reserve.whole) reserve.restore();
        checkpoints.retry();
        const age = clock.now() - (parseCheckpoint(head)?.time ?? 0);
        if (age >= CHECKPOINT_INTERVAL_SECONDS * 1000) sign();
      });
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

function lineOf(entry: Entry): string {
  const line = canonical(entry as unknown as Json);
  const bytes = Buffer.byteLength(line);
  const refusal = entry.kind === "refused" || entry.kind === "rejected";
  if (bytes > (refusal ? MAX_REFUSAL_ENTRY_BYTES : MAX_ENTRY_BYTES))
    throw new RangeError(`an entry of kind ${entry.kind} is ${bytes} bytes long`);
  return line;
}

type Cursor = { readonly index: number; readonly segment: number; readonly offset: number };

/** Lines of the cursor's segment and the ones after it, and where the reading ended. */
function linesFrom(
  disk: Disk,
  folder: string,
  at: Cursor,
  from: number,
  to: number,
): { lines: string[]; cursor: Cursor } {
  const lines: string[] = [];
  let { index, segment, offset } = at;
  while (index < to) {
    const before = index;
    for (const line of linesOf(disk, `${folder}/${segmentName(segment)}`, offset)) {
      if (index >= to) break;
      if (index >= from) lines.push(line.bytes.toString("utf8"));
      offset = line.offset + line.bytes.length + 1;
      index += 1;
    }
    if (index >= to) break;
    // The next segment begins with the next index.
    if (index === before && offset === 0)
      throw new LogDamaged(`entry ${index} is gone from ${folder}`, "Restore the folder.");
    segment = index;
    offset = 0;
  }
  return { lines, cursor: { index, segment, offset } };
}
