import { type Disk, DiskError } from "../host/host.ts";
import { firstTime } from "./expire.ts";
import { carryDigest, carryName, linesOf, readCarry, segmentName, segmentsIn } from "./folder.ts";
import { collectLeaves, keepLeaves, keptLeaves } from "./leaves.ts";
import { leafHash } from "./tree.ts";
import { firstDifference, namingOf } from "./verify/sources.ts";

const HASH_BYTES = 32;
const CHUNK_BYTES = 1024 * 1024;
const MAX_CARRY_BYTES = 256 * 1024 * 1024;

/** A closed segment that is to go elsewhere: entries from `first` to before `next`. */
export type Movable = { readonly first: number; readonly next: number };

/**
 * Closed segments all of whose entries are older than `before` (milliseconds since 1970), oldest first. They end where the first one is
 * younger: what is left has no gap.
 */
export function movable(disk: Disk, folder: string, before: number): Movable[] {
  const segments = segmentsIn(disk, folder);
  const found: Movable[] = [];
  for (const [at, first] of segments.entries()) {
    const next = segments[at + 1];
    // The next one's first entry is not older than all of this one's.
    const until = next === undefined ? null : firstTime(disk, folder, next);
    if (next === undefined || until === null || until > before) break;
    found.push({ first, next });
  }
  return found;
}

/** Why the segments that would be left could not be gone on with, or null: the first of them must know what came before it. */
export function staysWhole(disk: Disk, folder: string, next: number): string | null {
  const carry = readCarry(disk, folder, next, null);
  if (carry === null)
    return `${carryName(next)} is not there or not whole: without it nobody knows the ids and rates of what came before`;
  const name = segmentName(next);
  const naming = namingOf(disk, { first: next, folder, name, path: `${folder}/${name}`, copies: [] });
  return naming?.kind === "segment" && naming.carry !== carry.digest
    ? `${carryName(next)} is not the one that ${name} names`
    : null;
}

/**
 * Moves one segment and its carry file into another folder, which may be on another disk. Nothing is removed before the copy is durable
 * and was read back; its leaf hashes stay. Begun again after a stop at any place it goes on. Returns why it cannot, or null.
 */
export function moveAway(disk: Disk, folder: string, to: string, { first, next }: Movable): string | null {
  const name = segmentName(first);
  const [from, copy] = [`${folder}/${name}`, `${to}/${name}`];
  if (disk.exists(copy)) {
    const difference = firstDifference(disk, from, copy);
    if (difference !== null)
      return `${copy} is there already and says something else from line ${difference.line + 1} on`;
  } else copyFile(disk, from, copy);
  const difference = firstDifference(disk, from, copy);
  if (difference !== null)
    return `${copy} reads otherwise than what was written to it, from line ${difference.line + 1} on`;
  const leaves = leavesOf(disk, copy);
  if (leaves.length !== (next - first) * HASH_BYTES)
    return `${name} has ${leaves.length / HASH_BYTES} lines, and the next segment begins at ${next}`;
  if (keptLeaves(disk, folder, first)?.length !== next - first) keepLeaves(disk, folder, first, leaves);
  moveCarry(disk, folder, to, first);
  disk.remove(from);
  return null;
}

/** The copy has its name only once it is whole. */
function copyFile(disk: Disk, from: string, to: string): void {
  const part = `${to}.part`;
  if (disk.exists(part)) disk.remove(part);
  const file = disk.appender(part, 0o600);
  try {
    for (let at = 0; ; ) {
      const chunk = disk.range(from, at, CHUNK_BYTES);
      if (chunk.length === 0) break;
      file.append(chunk);
      at += chunk.length;
    }
    file.sync();
  } finally {
    file.close();
  }
  disk.rename(part, to);
}

function leavesOf(disk: Disk, path: string): Uint8Array {
  const leaves = collectLeaves();
  for (const { bytes } of linesOf(disk, path)) leaves.add(leafHash(bytes));
  return leaves.bytes();
}

function moveCarry(disk: Disk, folder: string, to: string, first: number): void {
  const name = carryName(first);
  const bytes = readOrNull(disk, `${folder}/${name}`);
  if (bytes === null) return;
  const there = readOrNull(disk, `${to}/${name}`);
  if (there === null || carryDigest(there) !== carryDigest(bytes)) disk.replace(`${to}/${name}`, bytes, 0o600);
  disk.remove(`${folder}/${name}`);
}

function readOrNull(disk: Disk, path: string): Uint8Array | null {
  try {
    return disk.read(path, MAX_CARRY_BYTES).bytes;
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
}
