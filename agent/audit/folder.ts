import { hash } from "node:crypto";
import { type Disk, DiskError } from "../host/host.ts";
import { canonical, type Json, parseCanonical } from "../wire/canonical.ts";
import { type Memory, memoryOf, memoryState } from "./memory.ts";
import { parseCheckpoint } from "./note.ts";
import { type Tree, type TreeState, treeOf, treeState } from "./tree.ts";

/**
 * How the log lies in its folder: segments of lines by first index, beside each but the first a carry file (what the segments before
 * it come to), the signed checkpoints, torn tails that were moved aside. Readers take no lock.
 */
const SEGMENT = /^(\d{20})\.jsonl$/;
const TORN = /^torn-(\d{20})-\d+$/;
const CHUNK_BYTES = 1024 * 1024;
const MAX_CARRY_BYTES = 256 * 1024 * 1024;
const MAX_CHECKPOINTS_FILE_BYTES = 16 * 1024 * 1024;
const CARRY_DEPTH = 64;
const NEWLINE = 10;

const digits = (index: number): string => String(index).padStart(20, "0");
export const segmentName = (first: number): string => `${digits(first)}.jsonl`;
export const carryName = (first: number): string => `${digits(first)}.carry.json`;
export const tornName = (index: number, time: number): string => `torn-${digits(index)}-${time}`;
export const CHECKPOINTS = "checkpoints";
/** Heads with witnesses' cosignatures, in the order in which they came. */
export const COSIGNED = "cosigned";

/** First indexes of the segments that are there, rising. */
export function segmentsIn(disk: Disk, folder: string): number[] {
  return disk.list(folder).flatMap((name) => {
    const first = SEGMENT.exec(name)?.[1];
    return first === undefined ? [] : [Number(first)];
  });
}

/** Torn tails that were moved aside, with the index that they would have had. */
export function tornIn(disk: Disk, folder: string): { name: string; index: number }[] {
  return disk.list(folder).flatMap((name) => {
    const index = TORN.exec(name)?.[1];
    return index === undefined ? [] : [{ name, index: Number(index) }];
  });
}

export type Line = {
  readonly bytes: Buffer;
  /** Where it begins in its segment. */
  readonly offset: number;
  /** False for bytes at the end that no newline ends. */
  readonly ended: boolean;
};

/** Lines of a file from an offset on, a chunk in memory at a time. `bytes` are good until the next line is asked for. */
export function* linesOf(disk: Disk, path: string, from = 0): Generator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  let at = from;
  let next = from;
  for (;;) {
    const chunk = disk.range(path, next, CHUNK_BYTES);
    next += chunk.length;
    if (chunk.length === 0) break;
    const bytes = rest.length === 0 ? bufferOf(chunk) : Buffer.concat([rest, chunk]);
    let begin = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, begin)) {
      yield { bytes: bytes.subarray(begin, end), offset: at + begin, ended: true };
      begin = end + 1;
    }
    rest = bytes.subarray(begin);
    at += begin;
    // No line is this long: what follows is of no use to any reader, and is not held in memory.
    if (rest.length > CHUNK_BYTES) break;
  }
  if (rest.length > 0) yield { bytes: rest, offset: at, ended: false };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** UTF-8 or null: a decoder that repairs would let two files read the same. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What all entries before a segment come to. */
export type Carry = { readonly tree: Tree; readonly memory: Memory };
/** `digest`: SHA-256 of its file's bytes, which the segment's first line names. */
export type CarryFile = Carry & { readonly digest: string };

export function carryText(carry: Carry): string {
  const content = { memory: memoryState(carry.memory), tree: treeState(carry.tree) as unknown as Json, v: 1 };
  return canonical({ content, sha256: digestOf(content) });
}

function digestOf(content: Json): string {
  return hash("sha256", canonical(content), "hex");
}

/** How a segment's first line names its carry file. */
export function carryDigest(bytes: string | Uint8Array): string {
  return `sha256:${hash("sha256", bytes, "hex")}`;
}

/** Reads a segment's carry; null when there is none, or when it is not whole and of this segment. */
export function readCarry(disk: Disk, folder: string, first: number, since: number | null): CarryFile | null {
  let bytes: Uint8Array;
  try {
    bytes = disk.read(`${folder}/${carryName(first)}`, MAX_CARRY_BYTES).bytes;
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
  const parsed = parseCanonical(textOf(bytes) ?? "", CARRY_DEPTH);
  const carry = "value" in parsed ? carryIn(parsed.value, since) : null;
  return carry === null || carry.tree.size !== first ? null : { ...carry, digest: carryDigest(bytes) };
}

/** Null for what is no carry. Its own digest proves nothing: whoever can write the file can make that too. */
function carryIn(value: Json, since: number | null): Carry | null {
  try {
    const { content, sha256 } = value as unknown as {
      content?: { memory: Json; tree: TreeState; v: number };
      sha256?: string;
    };
    if (content === undefined || digestOf(content as unknown as Json) !== sha256 || content.v !== 1) return null;
    return { tree: treeOf(content.tree), memory: memoryOf(content.memory, since) };
  } catch (error) {
    // Peaks that are not of a tree of that size, and members of another shape.
    if (error instanceof RangeError || error instanceof TypeError) return null;
    throw error;
  }
}

export type CheckpointsFile = {
  /** Whole notes, oldest first. */
  readonly notes: readonly string[];
  /** Bytes after the last whole note: a write that was cut off. */
  readonly torn: number;
  /** Number of the first note that is none of ours, or null. */
  readonly bad: number | null;
};

/** The `checkpoints` file, or `cosigned`: notes, each followed by an empty line. Empty when there is no such file. */
export function readCheckpoints(disk: Disk, folder: string, name: string = CHECKPOINTS): CheckpointsFile {
  const path = `${folder}/${name}`;
  if (!disk.exists(path)) return { notes: [], torn: 0, bad: null };
  const bytes = disk.read(path, MAX_CHECKPOINTS_FILE_BYTES).bytes;
  const whole = Buffer.from(bytes).toString("utf8");
  // The file is never synced: where the power went before its bytes were down but after its length was, they read as NUL. No note has one.
  const hole = whole.indexOf("\0");
  const text = hole < 0 ? whole : whole.slice(0, hole);
  // A note is its text, an empty line, its signature lines; then an empty line again.
  const parts = text.split("\n\n");
  const tail = parts.pop() ?? "";
  const notes: string[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) notes.push(`${parts[at]}\n\n${parts[at + 1]}\n`);
  const cut = parts.length % 2 === 1 ? `${parts[parts.length - 1]}\n\n${tail}` : tail;
  // What a cut leaves is the beginning of a note; with signatures and its end it is a whole one, and none of ours.
  if (hole < 0 && cut.includes("\u2014") && cut.endsWith("\n\n")) notes.push(cut.slice(0, -1));
  const bad = notes.findIndex((note) => parseCheckpoint(note) === null);
  const torn = Buffer.byteLength(cut) + Buffer.byteLength(whole) - Buffer.byteLength(text);
  return { notes, torn, bad: bad < 0 ? null : bad };
}

export function checkpointRecord(note: string): string {
  return `${note}\n`;
}
