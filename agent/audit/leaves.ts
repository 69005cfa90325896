import { type Disk, DiskError } from "../host/host.ts";
import { isFull } from "./details.ts";

/**
 * The leaf hashes of a closed segment, kept beside the log when its lines are not: 32 bytes each, in order. They prove nothing by
 * themselves: whoever uses them holds them to a signed root.
 */
const FOLDER = ".leaves";
const HASH_BYTES = 32;
const MAX_LEAVES_BYTES = 256 * 1024 * 1024;

export function leavesPath(folder: string, first: number): string {
  return `${folder}/${FOLDER}/${String(first).padStart(20, "0")}`;
}

/** Collects hashes one after the other, without an object for each. */
export type Leaves = { add(hash: Uint8Array): void; bytes(): Uint8Array; clear(): void };

export function collectLeaves(): Leaves {
  let held = new Uint8Array(1024 * HASH_BYTES);
  let used = 0;
  return {
    add(hash) {
      if (used + HASH_BYTES > held.length) {
        const more = new Uint8Array(held.length * 2);
        more.set(held);
        held = more;
      }
      held.set(hash, used);
      used += HASH_BYTES;
    },
    bytes: () => held.subarray(0, used),
    clear() {
      used = 0;
    },
  };
}

/** Keeps the hashes of a segment that is closed. A full disk goes without: they can be made again from the lines. */
export function keepLeaves(disk: Disk, folder: string, first: number, leaves: Uint8Array): void {
  try {
    disk.makeDirectory(`${folder}/${FOLDER}`, 0o700);
    disk.replace(leavesPath(folder, first), leaves, 0o600);
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** The hashes that are kept of a segment; null when there are none, or they are no hashes. */
export function keptLeaves(disk: Disk, folder: string, first: number): Buffer[] | null {
  let bytes: Uint8Array;
  try {
    bytes = disk.read(leavesPath(folder, first), MAX_LEAVES_BYTES).bytes;
  } catch (error) {
    if (error instanceof DiskError && ["ENOENT", "EFBIG", "ENOTDIR"].includes(error.code)) return null;
    throw error;
  }
  if (bytes.length % HASH_BYTES !== 0) return null;
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) =>
    all.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  );
}

/** First indexes of the segments of which hashes are kept, rising. */
export function leavesIn(disk: Disk, folder: string): number[] {
  if (!disk.exists(`${folder}/${FOLDER}`)) return [];
  return disk.list(`${folder}/${FOLDER}`).flatMap((name) => (/^\d{20}$/.test(name) ? [Number(name)] : []));
}
