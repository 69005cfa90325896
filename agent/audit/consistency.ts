import { hashesOf, type Node, peaksAsNodes, type Range } from "./proof.ts";
import { nodeHash, split, type Tree } from "./tree.ts";

/** Proofs over a tree of which only a frontier (its peaks at some size) and the leaves after it are at hand. RFC 6962 section 2.1. */
const HASH_BYTES = 32;
/** The most lines that an inclusion or consistency proof can have here: c2sp.org/tlog-witness takes 63. */
export const MAX_PROOF_HASHES = 63;

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

function* leafNodes(from: number, leaves: Iterable<Buffer>): Generator<Node> {
  let at = from;
  for (const hash of leaves) yield { from: at++, height: 0, hash };
}

/**
 * The proof that the tree `old` begins the one of `size` leaves. `leaves`: leaf hashes from index `old.size` on, at least to `size`; read
 * once, in order, in constant memory. Throws RangeError for what has no proof.
 */
export function consistencyProof(old: Tree, size: number, leaves: Iterable<Buffer>): Buffer[] {
  if (old.size < 1 || old.size > size) throw new RangeError("no such consistency proof");
  const wanted = old.size === size ? [] : parts(old.size, size);
  // What lies in the old tree is a peak of its.
  return hashesOf(wanted, nodesOf(old, leaves));
}

function* nodesOf(old: Tree, leaves: Iterable<Buffer>): Generator<Node> {
  yield* peaksAsNodes(old);
  yield* leafNodes(old.size, leaves);
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
  while (near.length < to - old.size) {
    const next = each.next();
    if (next.done === true) throw new RangeError("leaves are missing");
    near.push(next.value);
  }
  const beyond = to === size ? [] : parts(to, size).filter(({ from }) => from >= to);
  const hashes = hashesOf(beyond, leafNodes(to, { [Symbol.iterator]: () => each }));
  const known = new Map<string, Buffer>();
  const far = new Map<number, Buffer>();
  for (const { from, hash } of peaksAsNodes(old)) far.set(from, hash);
  for (const [at, { from }] of beyond.entries()) far.set(from, hashes[at] as Buffer);
  const rootBetween = (from: number, end: number): Buffer => {
    if (end <= old.size || from >= to) {
      const part = far.get(from);
      if (part === undefined) throw new Error("a part of a path is neither a peak nor beyond");
      return part;
    }
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
