import type { Disk } from "../host/host.ts";
import { canonical, type Json } from "../wire/canonical.ts";
import { linesOf, textOf } from "./folder.ts";
import { keptLeaves, leavesIn } from "./leaves.ts";
import { hashesOf, inclusionRanges, type Node, peaksAsNodes } from "./proof.ts";
import { provenBy, type TlogProof, tlogProofText } from "./tlogProof.ts";
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
  const key = namingLine(disk, folders, sources, head.at.size);
  if (key === null) return { cannot: `the line that names the key of the head of size ${head.at.size} is not here` };
  const { size } = head.at;
  const pathOf = (at: number): Buffer[] =>
    hashesOf(inclusionRanges(at, size), nodesOf(disk, folders, sources, at, size));
  let hashes: Buffer[];
  let keyPath: Buffer[];
  try {
    hashes = pathOf(index);
    keyPath = pathOf((JSON.parse(key) as { index: number }).index);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { cannot: `${error.message}; name the folder that these segments were moved to with --with` };
  }
  const proof: TlogProof = { index, hashes, note: head.note, entry: line, key, keyPath };
  const proven = provenBy(proof);
  return "fault" in proven
    ? { cannot: `the log does not hold together: ${proven.fault}` }
    : { text: tlogProofText(proof), head };
}

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

/** The line that names the key of a head: the first of the segment that its newest entry stands in, or the last before it that names one. */
function namingLine(disk: Disk, folders: readonly string[], sources: readonly Source[], size: number): string | null {
  for (const source of sources.filter(({ first }) => first < size).reverse()) {
    const naming = namingOf(disk, source);
    if (naming !== null) return canonical(naming as unknown as Json);
    const carry = carryOf(disk, folders, source.first);
    const epoch = carry === "broken" ? null : carry?.memory;
    // Before segments had keys: entry 0 names it, and the carry file holds entry 0.
    if (epoch?.logKey?.from === 0 && epoch.first !== null) return canonical(epoch.first as unknown as Json);
  }
  return null;
}

/** All nodes below `size` that are to be had, in order, from the first place on that leads to the end without a gap. */
function* nodesOf(
  disk: Disk,
  folders: readonly string[],
  sources: readonly Source[],
  index: number,
  size: number,
): Generator<Node> {
  const frontier = startFor(disk, folders, sources, index, size);
  yield* peaksAsNodes(frontier);
  let at = frontier.size;
  while (at < size) {
    const before = at;
    for (const hash of leavesFrom(disk, folders, sources, at)) {
      if (at >= size) return;
      yield { from: at, height: 0, hash };
      at += 1;
    }
    if (at === before) throw new RangeError(`the entries from ${at} on are not here, nor their hashes`);
  }
}

/** The newest frontier at or before `index` from which hashes lead to `size`; the empty one where there is none. */
function startFor(disk: Disk, folders: readonly string[], sources: readonly Source[], index: number, size: number) {
  const source = sources.findLast(({ first }) => first <= index && first > 0);
  const naming = source === undefined || source.first >= size ? null : namingOf(disk, source);
  if (source !== undefined && naming?.kind === "segment") return treeOf({ size: source.first, peaks: naming.peaks });
  const carry = source === undefined ? null : carryOf(disk, folders, source.first);
  return carry === null || carry === "broken" ? treeOf({ size: 0, peaks: [] }) : carry.tree;
}

/** Leaf hashes of the segment that begins at `at`: of its lines, or those that were kept of them. */
function* leavesFrom(
  disk: Disk,
  folders: readonly string[],
  sources: readonly Source[],
  at: number,
): Generator<Buffer> {
  const source = sources.find(({ first }) => first === at);
  if (source !== undefined) {
    for (const { bytes, ended } of linesOf(disk, source.path)) if (ended) yield leafHash(bytes);
    return;
  }
  for (const folder of folders) {
    const leaves = leavesIn(disk, folder).includes(at) ? keptLeaves(disk, folder, at) : null;
    if (leaves === null) continue;
    yield* leaves;
    return;
  }
}
