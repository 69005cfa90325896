import type { Log } from "../audit/log.ts";
import { emptyTree, grow, leafHash, type Tree } from "../audit/tree.ts";

const BATCH_LINES = 1000;

/** Leaf hashes of the log's lines from an index on and below `to`. Ends early where a segment was moved away. */
export function* leavesOf(log: Pick<Log, "lines">, from: number, to: number): Generator<Buffer> {
  for (let at = from; at < to; ) {
    const lines = log.lines(at, Math.min(BATCH_LINES, to - at));
    if (lines.length === 0) return;
    for (const line of lines) yield leafHash(line);
    at += lines.length;
  }
}

/** The tree of the log's first `size` entries; null where they are not all at hand. */
export function frontierAt(log: Pick<Log, "lines">, size: number): Tree | null {
  const tree = emptyTree();
  for (const leaf of leavesOf(log, 0, size)) grow(tree, leaf);
  return tree.size === size ? tree : null;
}

/** The same tree, further on; null where the lines are not at hand. `tree` itself stays as it is. */
export function grown(log: Pick<Log, "lines">, tree: Tree, size: number): Tree | null {
  const further: Tree = { size: tree.size, peaks: [...tree.peaks] };
  for (const leaf of leavesOf(log, tree.size, size)) grow(further, leaf);
  return further.size === size ? further : null;
}
