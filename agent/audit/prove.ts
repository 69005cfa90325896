import type { Disk } from "../host/host.ts";
import { canonical, type Json } from "../wire/canonical.ts";
import { linesOf, textOf } from "./folder.ts";
import { keptLeaves, leavesIn } from "./leaves.ts";
import { hashesOf, inclusionRanges, type Node, peaksAsNodes } from "./proof.ts";
import { provenBy, tlogProofText } from "./tlogProof.ts";
import { leafHash, treeOf } from "./tree.ts";
import { type Head, headsOf } from "./verify/heads.ts";
import { carryOf, namingOf, type Source, sourcesIn } from "./verify/sources.ts";

export type Proof = { readonly text: string; readonly head: Head };

/**
 * A proof of one entry under the newest head, if `size` is null, or under one of that size. Where older segments are away, it is made from
 * the frontier with which the first one here begins, and from leaf hashes that were kept. The answer says what is missing.
 */
export function prove(
  disk: Disk,
  folders: readonly string[],
  index: number,
  which: "newest" | "cosigned",
): Proof | { readonly cannot: string } {
  const [folder = ""] = folders;
  const heads = headsOf(disk, folder, []).filter(
    ({ at, note }) => at.size > index && (which === "newest" || isCosigned(note)),
  );
  const head = heads.at(-1);
  if (head === undefined) {
    const words = which === "newest" ? "no signed head covers" : "no witness has cosigned a head that covers";
    return { cannot: `${words} entry ${index} yet` };
  }
  const sources = sourcesIn(disk, folders);
  const line = lineAt(disk, sources, index);
  if (line === null) return { cannot: `the segment with entry ${index} is not here; name its folder with --with` };
  const key = namingLine(disk, sources, head.at.size);
  if (key === null) return { cannot: `the line that names the key of the head of size ${head.at.size} is not here` };
  const keyIndex = (JSON.parse(key) as { index: number }).index;
  const { size } = head.at;
  // Kept hashes are quick and prove nothing by themselves: where they lead to no signed root, the lines are hashed.
  let missing = "";
  let fault = "";
  for (const first of ["leaves", "lines"] as const) {
    const pathOf = (at: number): Buffer[] =>
      hashesOf(inclusionRanges(at, size), nodesOf({ disk, folders, sources, first }, at, size));
    try {
      const proof = { index, hashes: pathOf(index), note: head.note, entry: line, key, keyPath: pathOf(keyIndex) };
      const proven = provenBy(proof);
      if (!("fault" in proven)) return { text: tlogProofText(proof), head };
      fault = proven.fault;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      missing = error.message;
    }
  }
  if (fault !== "") return { cannot: `the log does not hold together: ${fault}` };
  return { cannot: `${missing}; name the folder that these segments were moved to with --with` };
}

type Having = {
  readonly disk: Disk;
  readonly folders: readonly string[];
  readonly sources: readonly Source[];
  /** What is taken where there are both. */
  readonly first: "leaves" | "lines";
};

function isCosigned(note: string): boolean {
  return note.trimEnd().split("\n\n").at(-1)?.split("\n").length !== 1;
}

function lineAt(disk: Disk, sources: readonly Source[], index: number): string | null {
  const source = sources.findLast(({ first }) => first <= index);
  if (source === undefined) return null;
  let at = source.first;
  for (const { bytes, ended } of linesOf(disk, source.path)) {
    if (at === index) return ended ? textOf(bytes) : null;
    at += 1;
  }
  return null;
}

/** The line that names the key of a head: the first of the segment that its newest entry stands in. */
function namingLine(disk: Disk, sources: readonly Source[], size: number): string | null {
  const source = sources.findLast(({ first }) => first < size);
  const naming = source === undefined ? null : namingOf(disk, source);
  return naming === null ? null : canonical(naming as unknown as Json);
}

/** All nodes below `size` that are to be had, in order, from the first place on that leads to the end without a gap. */
function* nodesOf(having: Having, index: number, size: number): Generator<Node> {
  const frontier = startFor(having, index, size);
  yield* peaksAsNodes(frontier);
  let at = frontier.size;
  while (at < size) {
    const before = at;
    for (const hash of leavesFrom(having, at)) {
      if (at >= size) return;
      yield { from: at, height: 0, hash };
      at += 1;
    }
    if (at === before) throw new RangeError(`the entries from ${at} on are not here, nor their hashes`);
  }
}

/** The newest frontier at or before `index` from which hashes lead to `size`; the empty one where there is none. */
function startFor({ disk, folders, sources }: Having, index: number, size: number) {
  const source = sources.findLast(({ first }) => first <= index && first > 0);
  const naming = source === undefined || source.first >= size ? null : namingOf(disk, source);
  if (source !== undefined && naming?.kind === "segment") return treeOf({ size: source.first, peaks: naming.peaks });
  const carry = source === undefined ? null : carryOf(disk, folders, source.first);
  return carry === null || carry === "broken" ? treeOf({ size: 0, peaks: [] }) : carry.tree;
}

/** Leaf hashes of the segment that begins at `at`: of its lines, or those that were kept of them. */
function* leavesFrom({ disk, folders, sources, first }: Having, at: number): Generator<Buffer> {
  const source = sources.find((one) => one.first === at);
  const kept = first === "leaves" || source === undefined ? keptIn(disk, folders, at) : null;
  if (kept !== null) yield* kept;
  else if (source !== undefined)
    for (const { bytes, ended } of linesOf(disk, source.path)) if (ended) yield leafHash(bytes);
}

function keptIn(disk: Disk, folders: readonly string[], at: number): Buffer[] | null {
  for (const folder of folders) {
    const leaves = leavesIn(disk, folder).includes(at) ? keptLeaves(disk, folder, at) : null;
    if (leaves !== null) return leaves;
  }
  return null;
}
