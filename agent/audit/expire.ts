import { type Disk, DiskError } from "../host/host.ts";
import { carryName, linesOf, segmentName, segmentsIn, textOf } from "./folder.ts";
import { readLine } from "./line.ts";
import { timeOf } from "./time.ts";

/** In one go: a clock that jumps ahead for a while takes away little. */
const MOST_AT_ONCE = 2;

export type Expiry = {
  /** The log's time, milliseconds since 1970. */
  readonly now: number;
  readonly retentionMs: number;
  /** Entries below this are held by the control plane. */
  readonly handed: number;
  /** The segment that is written to. */
  readonly last: number;
};

/**
 * Drops the oldest closed segments whose newest entry is past its retention and was handed in; their leaf hashes stay. What rates, ids and
 * open intents need is in the carry files of those that stay.
 */
export function expireSegments(disk: Disk, folder: string, { now, retentionMs, handed, last }: Expiry): void {
  const segments = segmentsIn(disk, folder);
  for (const [at, first] of segments.slice(0, MOST_AT_ONCE).entries()) {
    const next = segments[at + 1];
    // The next one's first entry is newer than all of this one's.
    const until = next === undefined || next > last ? null : firstTime(disk, folder, next);
    if (next === undefined || until === null || next > handed || until > now - retentionMs) return;
    if (!disk.exists(`${folder}/${carryName(next)}`)) return;
    disk.remove(`${folder}/${segmentName(first)}`);
    removeIfThere(disk, `${folder}/${carryName(first)}`);
  }
}

/** When the first entry of a segment was written; null when it has none that can be read. */
export function firstTime(disk: Disk, folder: string, first: number): number | null {
  for (const { bytes, ended } of linesOf(disk, `${folder}/${segmentName(first)}`)) {
    const read = ended ? readLine(textOf(bytes) ?? "") : null;
    return read !== null && "entry" in read ? timeOf(read.entry.time) : null;
  }
  return null;
}

function removeIfThere(disk: Disk, path: string): void {
  try {
    disk.remove(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
  }
}
