import type { Disk } from "../../host/host.ts";
import { linesOf } from "../folder.ts";
import { keptLeaves } from "../leaves.ts";
import { emptyTree, grow, leafHash, type Tree, treeOf } from "../tree.ts";
import { namingOf, placeOf, type Source } from "./sources.ts";
import type { Damage } from "./verdict.ts";

/**
 * Where a head only says that one of several entries was changed, the hashes that are kept of a closed segment name the one: they count
 * when, from the segment's own frontier on, they lead to the frontier that the next segment begins with.
 */
export function localised(disk: Disk, folders: readonly string[], sources: readonly Source[], damage: Damage): Damage {
  if (damage.kind !== "edited" || damage.line === null || damage.to === damage.index) return damage;
  for (const [at, source] of sources.entries()) {
    const next = sources[at + 1];
    if (next === undefined || next.first <= damage.index || source.first > damage.to) continue;
    const leaves = trueLeaves(disk, folders, source, next);
    if (leaves === null) return damage;
    const line = firstOther(disk, source, leaves);
    if (line !== null) return { ...damage, ...placeOf(sources, source.first + line) };
  }
  return damage;
}

function trueLeaves(disk: Disk, folders: readonly string[], source: Source, next: Source): Buffer[] | null {
  const tree = frontierBefore(disk, source);
  const wanted = namingOf(disk, next);
  if (tree === null || wanted?.kind !== "segment") return null;
  for (const folder of folders) {
    const leaves = keptLeaves(disk, folder, source.first);
    if (leaves === null || leaves.length !== next.first - source.first) continue;
    const grown: Tree = { size: tree.size, peaks: [...tree.peaks] };
    for (const leaf of leaves) grow(grown, leaf);
    if (grown.peaks.every((peak, at) => peak.toString("base64") === wanted.peaks[at])) return leaves;
  }
  return null;
}

function frontierBefore(disk: Disk, source: Source): Tree | null {
  if (source.first === 0) return emptyTree();
  const naming = namingOf(disk, source);
  if (naming?.kind !== "segment") return null;
  try {
    return treeOf({ size: source.first, peaks: naming.peaks });
  } catch {
    // A first line whose frontier is none names nothing more closely.
    return null;
  }
}

/** The first line, from 0 on, whose hash is another; null when there is none. */
function firstOther(disk: Disk, { path }: Source, leaves: readonly Buffer[]): number | null {
  let at = 0;
  for (const { bytes } of linesOf(disk, path)) {
    if (leaves[at]?.equals(leafHash(bytes)) !== true) return at;
    at += 1;
  }
  return at < leaves.length ? at : null;
}
