import { segmentName, segmentsIn, textOf } from "../audit/folder.ts";
import { timeOf } from "../audit/time.ts";
import type { Disk } from "../host/host.ts";
import { MAX_ENTRY_BYTES } from "../limits.ts";
import type { Place } from "./shapes.ts";

/**
 * The log's lines from their end, and by index or time, without reading all of them: what the first look at a long log needs. Lines stand by rising
 * index and time, so that a segment is bisected by its bytes. Nothing here judges a line; readers take no lock.
 */
const NEWLINE = 10;
const CHUNK_BYTES = 256 * 1024;

export type Found = { readonly line: string; readonly place: Place };

/** Behind the newest line that a newline ends; null when there is no segment. */
export function endOf(disk: Disk, folder: string): Place | null {
  const segment = segmentsIn(disk, folder).at(-1);
  return segment === undefined ? null : { segment, offset: sizeOf(disk, folder, segment) };
}

/** Lines before a place, newest first; each with its own place, before which to read on. A line that is not UTF-8 is given as it can be shown. */
export function* backwards(disk: Disk, folder: string, from: Place): Generator<Found> {
  const older = segmentsIn(disk, folder).filter((first) => first <= from.segment);
  for (let at = older.pop(); at !== undefined; at = older.pop()) {
    const segment = at;
    yield* backwardsIn(disk, folder, segment, segment === from.segment ? from.offset : sizeOf(disk, folder, segment));
  }
}

function* backwardsIn(disk: Disk, folder: string, segment: number, from: number): Generator<Found> {
  const path = `${folder}/${segmentName(segment)}`;
  /** The bytes up to the first line's end of what was read: their line begins further ahead. */
  let rest: Buffer = Buffer.alloc(0);
  for (let at = from; at > 0; ) {
    const start = Math.max(0, at - CHUNK_BYTES);
    const bytes = Buffer.concat([disk.range(path, start, at - start), rest]);
    at = start;
    const first = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    let end = bytes.lastIndexOf(NEWLINE);
    while (end >= first) {
      const begin = end === 0 ? 0 : bytes.lastIndexOf(NEWLINE, end - 1) + 1;
      yield { line: shownText(bytes.subarray(begin, end)), place: { segment, offset: start + begin } };
      end = begin - 1;
    }
    rest = start > 0 && first === 0 ? bytes : bytes.subarray(0, first);
  }
}

function shownText(bytes: Uint8Array): string {
  return textOf(bytes) ?? Buffer.from(bytes).toString("utf8");
}

function sizeOf(disk: Disk, folder: string, segment: number): number {
  return disk.stat(`${folder}/${segmentName(segment)}`).size;
}

/** The line with this index; null when it is not there, or is not where it belongs. */
export function lineAt(disk: Disk, folder: string, index: number): string | null {
  const segment = segmentsIn(disk, folder).findLast((first) => first <= index);
  if (segment === undefined) return null;
  const { line } = firstWhere(disk, folder, segment, (head) => head.index >= index);
  return line !== null && headOf(line)?.index === index ? line : null;
}

/** Behind the newest line before a moment, in milliseconds since 1970; null when there is none. */
export function placeBefore(disk: Disk, folder: string, moment: number): Place | null {
  const isLate = ({ time }: Head): boolean => time >= moment;
  const segment = segmentsIn(disk, folder).findLast((first) => {
    const line = lineFrom(disk, folder, first, 0);
    const head = line === null ? null : headOf(line);
    return head !== null && !isLate(head);
  });
  return segment === undefined ? null : { segment, offset: firstWhere(disk, folder, segment, isLate).offset };
}

type Head = { readonly index: number; readonly time: number };

function headOf(line: string): Head | null {
  try {
    const { index, time } = JSON.parse(line) as { readonly index?: unknown; readonly time?: unknown };
    const at = typeof time === "string" ? timeOf(time) : null;
    return typeof index === "number" && at !== null ? { index, time: at } : null;
  } catch {
    // A line that is none says nothing about where it stands.
    return null;
  }
}

/** The first line of a segment of which `is` holds, given that it holds of all after it; at the segment's end there is none. */
function firstWhere(
  disk: Disk,
  folder: string,
  segment: number,
  is: (head: Head) => boolean,
): { readonly offset: number; readonly line: string | null } {
  let low = 0;
  let high = sizeOf(disk, folder, segment);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const begin = middle === 0 ? 0 : nextLine(disk, folder, segment, middle - 1);
    const line = begin < high ? lineFrom(disk, folder, segment, begin) : null;
    const head = line === null ? null : headOf(line);
    if (line === null || head === null || is(head)) high = middle;
    else low = begin + Buffer.byteLength(line) + 1;
  }
  return { offset: low, line: lineFrom(disk, folder, segment, low) };
}

/** Where the line after the one that holds this byte begins. */
function nextLine(disk: Disk, folder: string, segment: number, offset: number): number {
  const bytes = disk.range(`${folder}/${segmentName(segment)}`, offset, MAX_ENTRY_BYTES + 1);
  const end = bytes.indexOf(NEWLINE);
  return end < 0 ? Number.POSITIVE_INFINITY : offset + end + 1;
}

function lineFrom(disk: Disk, folder: string, segment: number, offset: number): string | null {
  const bytes = disk.range(`${folder}/${segmentName(segment)}`, offset, MAX_ENTRY_BYTES + 1);
  const end = bytes.indexOf(NEWLINE);
  return end < 0 ? null : shownText(bytes.subarray(0, end));
}

/** A segment's bytes as they lie on disk, in pieces of any size. */
export function* bytesOf(disk: Disk, folder: string, segment: number): Generator<Uint8Array> {
  const path = `${folder}/${segmentName(segment)}`;
  for (let at = 0; ; ) {
    const bytes = disk.range(path, at, CHUNK_BYTES);
    if (bytes.length === 0) return;
    at += bytes.length;
    yield bytes;
  }
}
