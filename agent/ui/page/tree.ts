import { sha256 } from "@noble/hashes/sha2.js";

/**
 * The Merkle tree of RFC 6962 section 2.1, in the browser: an independent reader of what agent/audit/tree.ts writes. Held to that one and to Go's by tests.
 */
export type Tree = { size: number; peaks: Uint8Array[] };
const HASH_BYTES = 32;

/** SHA-256(0x00 || line); `line` is without its newline. */
export function leafOf(line: Uint8Array): Uint8Array {
  return sha256.create().update(LEAF).update(line).digest();
}
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

function nodeOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256.create().update(NODE).update(left).update(right).digest();
}

/** Adds one leaf to `tree` itself. */
export function addLeaf(tree: Tree, leaf: Uint8Array): void {
  let node = leaf;
  // As many complete subtrees end here as the size has trailing 1 bits; sizes pass 2^32.
  for (let rest = tree.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
    const left = tree.peaks.pop();
    if (left === undefined) throw new Error("a tree has fewer peaks than its size says");
    node = nodeOf(left, node);
  }
  tree.peaks.push(node);
  tree.size += 1;
}

export function rootOf({ peaks }: Tree): Uint8Array {
  const [last, ...before] = peaks.toReversed();
  if (last === undefined) return sha256(new Uint8Array());
  return before.reduce((root, peak) => nodeOf(peak, root), last);
}

/** The tree that a segment's first line names by its peaks; null when they are not of a tree of this size. */
export function treeOf(size: number, peaks: readonly Uint8Array[]): Tree | null {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  const fits = peaks.length === ones && peaks.every((peak) => peak.length === HASH_BYTES);
  return fits ? { size, peaks: [...peaks] } : null;
}

export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
