import { hash } from "node:crypto";

/**
 * The Merkle tree of RFC 6962 section 2.1 over the log's lines, kept as its peaks: the roots of the complete subtrees that the
 * tree consists of, largest first. That is all that is needed to append and to say the root, at any size.
 */
export type Tree = { size: number; readonly peaks: Buffer[] };
/** A tree as it lies in a file: peaks in base64. */
export type TreeState = { readonly size: number; readonly peaks: readonly string[] };

const HASH_BYTES = 32;
/** What is hashed is put together here: lines are hashed one after the other, and nothing keeps the bytes. */
let scratch = Buffer.alloc(64 * 1024 + 1);
const pair = Buffer.alloc(1 + 2 * HASH_BYTES);
pair[0] = 1;

/** RFC 6962 section 2.1: SHA-256(0x00 || line). `line` is without its newline. */
export function leafHash(line: string | Uint8Array): Buffer {
  const most = typeof line === "string" ? line.length * 3 : line.length;
  if (scratch.length < most + 1) scratch = Buffer.alloc(2 * most + 1);
  scratch[0] = 0;
  if (typeof line !== "string") {
    scratch.set(line, 1);
    return hash("sha256", scratch.subarray(0, 1 + line.length), "buffer");
  }
  const written = scratch.write(line, 1, "utf8");
  return hash("sha256", scratch.subarray(0, 1 + written), "buffer");
}

/** RFC 6962 section 2.1: SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  return hash("sha256", pair, "buffer");
}

export function emptyTree(): Tree {
  return { size: 0, peaks: [] };
}

/** Appends one leaf to `tree` itself. */
export function grow(tree: Tree, leaf: Buffer): void {
  growBy(tree, leaf, 0);
}

/** Appends a complete subtree of 2^height leaves to `tree` itself, whose size must be a multiple of as much. */
export function growBy(tree: Tree, subtree: Buffer, height: number): void {
  const leaves = 2 ** height;
  if (tree.size % leaves !== 0) throw new RangeError("a subtree that does not fit here");
  let node = subtree;
  // Each trailing 1 bit of the size is a complete subtree of the same height as `node`. Sizes pass 2^32: no bit operators.
  for (let rest = tree.size / leaves; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = tree.peaks.pop();
    if (left === undefined) throw new Error("a tree has fewer peaks than its size says");
    node = nodeHash(left, node);
  }
  tree.peaks.push(node);
  tree.size += leaves;
}

/** The root of the tree as it is; of the empty tree the hash of nothing (RFC 6962 section 2.1). */
export function rootOfTree(tree: Tree): Buffer {
  let root: Buffer | null = null;
  for (let at = tree.peaks.length - 1; at >= 0; at--) {
    const peak = tree.peaks[at] as Buffer;
    root = root === null ? peak : nodeHash(peak, root);
  }
  return root ?? hash("sha256", "", "buffer");
}

/** The root over lines without their newlines. */
export function rootOf(lines: Iterable<string | Uint8Array>): Buffer {
  const tree = emptyTree();
  for (const line of lines) grow(tree, leafHash(line));
  return rootOfTree(tree);
}

export function treeState(tree: Tree): TreeState {
  return { size: tree.size, peaks: tree.peaks.map((peak) => peak.toString("base64")) };
}

/** The tree of a state. Throws RangeError when the peaks do not fit the size. */
export function treeOf(state: TreeState): Tree {
  const peaks = state.peaks.map((text) => Buffer.from(text, "base64"));
  const fits = Number.isSafeInteger(state.size) && state.size >= 0 && peaks.every((peak) => peak.length === HASH_BYTES);
  if (!fits || peaks.length !== ones(state.size)) throw new RangeError("peaks that are not of a tree of this size");
  return { size: state.size, peaks };
}

function ones(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

/** The largest power of two smaller than `size`, for `size` of 2 and more. */
export function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function rootBetween(leaves: readonly Buffer[], from: number, to: number): Buffer {
  if (to - from === 1) return leaves[from] as Buffer;
  const middle = from + split(to - from);
  return nodeHash(rootBetween(leaves, from, middle), rootBetween(leaves, middle, to));
}

/** The audit path of RFC 6962 section 2.1.1 for the leaf at `index`, from the leaf's side up. `leaves` are leaf hashes. */
export function inclusionProof(leaves: readonly Buffer[], index: number): Buffer[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= leaves.length) throw new RangeError("no such leaf");
  const path: Buffer[] = [];
  let from = 0;
  let to = leaves.length;
  while (to - from > 1) {
    const middle = from + split(to - from);
    const left = index < middle;
    path.push(left ? rootBetween(leaves, middle, to) : rootBetween(leaves, from, middle));
    if (left) to = middle;
    else from = middle;
  }
  return path.reverse();
}

/** Whether `leaf` stands at `index` of the tree of `size` leaves with this root (RFC 9162 section 2.1.3.2). */
export function verifyInclusion(
  leaf: Buffer,
  index: number,
  size: number,
  path: readonly Buffer[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  if (leaf.length !== HASH_BYTES) return false;
  let at = index;
  let last = size - 1;
  let node = leaf;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== HASH_BYTES) return false;
    if (at % 2 === 1 || at === last) {
      node = nodeHash(sibling, node);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else node = nodeHash(node, sibling);
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && node.equals(root);
}
