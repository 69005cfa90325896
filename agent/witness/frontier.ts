import type { Entry } from "../audit/entry.ts";
import type { Log } from "../audit/log.ts";
import { emptyTree, grow, leafHash, type Tree, treeOf } from "../audit/tree.ts";

const BATCH_LINES = 1000;
export type Lines = Pick<Log, "lines" | "segments">;

/** Leaf hashes of the log's lines from an index on and below `to`. Ends early where a segment was moved away. */
export function* leavesOf(log: Lines, from: number, to: number): Generator<Buffer> {
  for (let at = from; at < to; ) {
    const lines = log.lines(at, Math.min(BATCH_LINES, to - at));
    if (lines.length === 0) return;
    for (const line of lines) yield leafHash(line);
    at += lines.length;
  }
}

/** A line that names a log key: entry 0, or the first of a segment. */
export type NamingLine = { readonly index: number; readonly line: string; readonly entry: Entry };

/** Those that are here, in order. What our own log holds is taken as it is. */
export function namingLines(log: Lines): NamingLine[] {
  return log.segments().flatMap((index) => {
    const [line] = log.lines(index, 1);
    if (line === undefined) return [];
    const entry = JSON.parse(line) as Entry;
    return entry.kind === "epoch" || entry.kind === "segment" ? [{ index, line, entry }] : [];
  });
}

/** The tree of the log's first `size` entries, from the newest frontier before them that a segment begins with; null where lines are away. */
export function frontierAt(log: Lines, size: number, naming: readonly NamingLine[] = namingLines(log)): Tree | null {
  const named = naming.findLast(({ index, entry }) => index <= size && entry.kind === "segment");
  const begin = named?.entry.kind === "segment" ? treeOf({ size: named.index, peaks: named.entry.peaks }) : emptyTree();
  return grown(log, begin, size);
}

/** The same tree, further on; null where the lines are not at hand. `tree` itself stays as it is. */
export function grown(log: Lines, tree: Tree, size: number): Tree | null {
  const further: Tree = { size: tree.size, peaks: [...tree.peaks] };
  for (const leaf of leavesOf(log, tree.size, size)) grow(further, leaf);
  return further.size === size ? further : null;
}
