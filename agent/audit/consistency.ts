import { emptyTree, grow, nodeHash, rootOfTree, type Tree } from "./tree.ts";

/** Proofs over a tree of which only a frontier (its peaks at some size) and the leaves after it are at hand. RFC 6962 section 2.1. */
const HASH_BYTES = 32;
/** The most lines that an inclusion or consistency proof can have here: c2sp.org/tlog-witness takes 63. */
export const MAX_PROOF_HASHES = 63;

/** The largest power of two smaller than `size`, for `size` of 2 and more. */
export function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/** A part of the tree: leaves from `from` to before `to`. */
type Range = { readonly from: number; readonly to: number };

/** The parts that prove the tree of `old` leaves to begin the one of `size`, in the proof's order. */
function parts(old: number, size: number): Range[] {
  const found: Range[] = [];
  let from = 0;
  let to = size;
  /** SUBPROOF's third argument: the old tree's own root is known to who checks. */
  let whole = true;
  while (old !== to) {
    const middle = from + split(to - from);
    if (old <= middle) {
      found.push({ from: middle, to });
      to = middle;
    } else {
      found.push({ from, to: middle });
      from = middle;
      whole = false;
    }
  }
  if (!whole) found.push({ from, to });
  return found.reverse();
}

/** Roots of the complete subtrees that a tree's peaks are, by where they begin. */
function peaksByStart(tree: Tree): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  let start = 0;
  let power = 1;
  while (power * 2 <= tree.size) power *= 2;
  let at = 0;
  for (let left = tree.size; left > 0; power /= 2) {
    if (left < power) continue;
    found.set(start, tree.peaks[at++] as Buffer);
    start += power;
    left -= power;
  }
  return found;
}

/**
 * The proof that the tree `old` begins the one of `size` leaves. `leaves`: leaf hashes from index `old.size` on, at least to `size`; read
 * once, in order, in constant memory. Throws RangeError for what has no proof.
 */
export function consistencyProof(old: Tree, size: number, leaves: Iterable<Buffer>): Buffer[] {
  if (old.size < 1 || old.size > size) throw new RangeError("no such consistency proof");
  if (old.size === size) return [];
  const peaks = peaksByStart(old);
  const wanted = parts(old.size, size);
  // What lies in the old tree is a peak of its; what does not lies beyond it, and together that is everything from there on.
  const after = wanted.filter(({ from }) => from >= old.size).sort((one, other) => one.from - other.from);
  const roots = rootsOf(after, old.size, leaves);
  return wanted.map(({ from }) => partAt(from >= old.size ? roots : peaks, from));
}

/** Roots of adjoining parts from `at` on, by where they begin. */
function rootsOf(ranges: readonly Range[], at: number, leaves: Iterable<Buffer>): Map<number, Buffer> {
  const roots = new Map<number, Buffer>();
  const each = leaves[Symbol.iterator]();
  let index = at;
  for (const { from, to } of ranges) {
    if (from !== index) throw new Error("the parts of a proof do not adjoin");
    const tree = emptyTree();
    for (; index < to; index++) {
      const next = each.next();
      if (next.done === true) throw new RangeError("leaves are missing");
      grow(tree, next.value);
    }
    roots.set(from, rootOfTree(tree));
  }
  return roots;
}

/** RFC 9162 section 2.1.4.2: whether `proof` shows that the tree of `old` leaves with this root begins the other. */
export function verifyConsistency(
  old: { readonly size: number; readonly root: Uint8Array },
  now: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Buffer[],
): boolean {
  const sizes = [old.size, now.size];
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0) || old.size > now.size) return false;
  if (proof.length > MAX_PROOF_HASHES || proof.some((one) => one.length !== HASH_BYTES)) return false;
  if (old.size === now.size) return proof.length === 0 && Buffer.from(old.root).equals(now.root);
  if (old.size === 0) return proof.length === 0;
  const path = [...proof];
  let at = old.size - 1;
  let last = now.size - 1;
  // A tree of a power of two is a node of the larger one: its own root begins the path.
  while (at % 2 === 1) {
    at = (at - 1) / 2;
    last = Math.floor(last / 2);
  }
  const first = at === 0 && isPowerOfTwo(old.size) ? Buffer.from(old.root) : path.shift();
  if (first === undefined) return false;
  let before = first;
  let after = first;
  for (const node of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      before = nodeHash(node, before);
      after = nodeHash(node, after);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else after = nodeHash(after, node);
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && before.equals(old.root) && after.equals(now.root);
}

function isPowerOfTwo(size: number): boolean {
  let rest = size;
  while (rest % 2 === 0) rest /= 2;
  return rest === 1;
}

/**
 * The audit paths of the leaves from `old.size` to before `to`, in the tree of `size` leaves. `leaves`: leaf hashes from `old.size` on, at
 * least to `size`; what lies beyond `to` is read once, in constant memory.
 */
export function inclusionProofs(old: Tree, to: number, size: number, leaves: Iterable<Buffer>): Buffer[][] {
  if (to <= old.size || to > size) throw new RangeError("no such inclusion proofs");
  const each = leaves[Symbol.iterator]();
  const near: Buffer[] = [];
  for (let index = old.size; index < to; index++) {
    const next = each.next();
    if (next.done === true) throw new RangeError("leaves are missing");
    near.push(next.value);
  }
  const beyond = to === size ? [] : parts(to, size).filter(({ from }) => from >= to);
  const after = rootsOf(
    beyond.sort((one, other) => one.from - other.from),
    to,
    { [Symbol.iterator]: () => each },
  );
  const before = peaksByStart(old);
  const known = new Map<string, Buffer>();
  const rootBetween = (from: number, end: number): Buffer => {
    if (end <= old.size) return partAt(before, from);
    if (from >= to) return partAt(after, from);
    if (end - from === 1) return near[from - old.size] as Buffer;
    const key = `${from} ${end}`;
    const memo = known.get(key);
    if (memo !== undefined) return memo;
    const middle = from + split(end - from);
    const root = nodeHash(rootBetween(from, middle), rootBetween(middle, end));
    known.set(key, root);
    return root;
  };
  return near.map((_, offset) => {
    const index = old.size + offset;
    const path: Buffer[] = [];
    let from = 0;
    let end = size;
    while (end - from > 1) {
      const middle = from + split(end - from);
      const left = index < middle;
      path.push(left ? rootBetween(middle, end) : rootBetween(from, middle));
      if (left) end = middle;
      else from = middle;
    }
    return path.reverse();
  });
}

function partAt(parts: ReadonlyMap<number, Buffer>, start: number): Buffer {
  const found = parts.get(start);
  if (found === undefined) throw new Error("a part of a proof is neither a peak nor beyond the old tree");
  return found;
}
