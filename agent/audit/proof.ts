import { emptyTree, growBy, rootOfTree, split, type Tree } from "./tree.ts";

/** Leaves from `from` on and below `to`: one hash of a proof stands for each. */
export type Range = { readonly from: number; readonly to: number };
/** The root of the complete subtree of 2^height leaves that begins at `from`, a multiple of 2^height. */
export type Node = { readonly from: number; readonly height: number; readonly hash: Buffer };

/** What the audit path of RFC 6962 section 2.1.1 consists of, from the leaf's side up. */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new RangeError("no such leaf");
  const path: Range[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    const left = index < middle;
    path.push(left ? { from: middle, to } : { from, to: middle });
    if (left) to = middle;
    else from = middle;
  }
  return path.reverse();
}

/**
 * The hashes of ranges, from nodes that follow each other without a gap. A range may be made of several nodes; a node in no range is
 * passed over. Holds a few hashes a range. Throws RangeError when a range is not whole at the end: its nodes are not there.
 */
export function hashesOf(ranges: readonly Range[], nodes: Iterable<Node>): Buffer[] {
  const parts = ranges
    .map((range) => ({ range, tree: emptyTree() }))
    .sort((one, two) => one.range.from - two.range.from);
  let at = 0;
  for (const { from, height, hash } of nodes) {
    while (at < parts.length && from >= (parts[at]?.range.to ?? 0)) at += 1;
    const part = parts[at];
    if (part === undefined) break;
    if (from < part.range.from) continue;
    if (from !== part.range.from + part.tree.size)
      throw new RangeError(`the hashes from ${part.range.from + part.tree.size} on are not there`);
    growBy(part.tree, hash, height);
  }
  return ranges.map((range) => wholeRoot(range, parts.find((part) => part.range === range)?.tree));
}

function wholeRoot({ from, to }: Range, tree: Tree | undefined): Buffer {
  if (tree?.size !== to - from) throw new RangeError(`the hashes of ${from} to ${to - 1} are not there`);
  return rootOfTree(tree);
}

/** The nodes of a frontier: the peaks of a tree, left to right. */
export function peaksAsNodes({ size, peaks }: { readonly size: number; readonly peaks: readonly Buffer[] }): Node[] {
  const nodes: Node[] = [];
  let from = 0;
  for (const hash of peaks) {
    const height = Math.floor(Math.log2(size - from));
    nodes.push({ from, height, hash });
    from += 2 ** height;
  }
  return nodes;
}
