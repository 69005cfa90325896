import type { Disk } from "../../host/host.ts";
import { cosignedAt } from "../cosignature.ts";
import { linesOf } from "../folder.ts";
import { type Checkpoint, verifyNote } from "../note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../tree.ts";
import { firstDifference, namingOf, placeOf, type Source, sourcesIn } from "./sources.ts";
import { DAMAGED, type Damage, type Progress, type Verdict, type Witness } from "./verdict.ts";

/** Another copy of the log, or a head of it that was kept elsewhere. */
export type Against =
  | { readonly folder: string }
  | { readonly note: string; readonly at: Checkpoint; readonly name: string };

type Held = { readonly damage: Damage | null } | { readonly unjudged: string };

/** Holds a log that is whole in itself to another copy: whether one of them was forked, or this one rolled back. */
export async function heldAgainst(
  disk: Disk,
  sources: readonly Source[],
  progress: Progress,
  against: Against,
  given: { readonly witnesses: readonly Witness[]; verify(folder: string): Promise<Verdict> },
): Promise<Held> {
  if ("folder" in against)
    return heldToFolder(disk, sources, progress, against.folder, await given.verify(against.folder));
  return heldToHead(disk, sources, progress, against, given.witnesses);
}

function heldToHead(
  disk: Disk,
  sources: readonly Source[],
  progress: Progress,
  { note, at, name }: { readonly note: string; readonly at: Checkpoint; readonly name: string },
  witnesses: readonly Witness[],
): Held {
  const { size } = progress.tree;
  if (at.origin !== progress.origin) return { unjudged: `${name} is of another log: ${at.origin}` };
  const keys = keysOf(disk, sources);
  // The newest key may sign what is beyond this copy; a later one this copy does not know, but witnesses may vouch.
  const key = keys.findLast(({ from }) => from < at.size)?.key ?? "";
  const signed = verifyNote(note, at.origin, Buffer.from(key, "base64")) !== null;
  const cosigned = witnesses.some((witness) => cosignedAt(note, witness) !== null);
  if (!signed && !cosigned)
    return {
      unjudged: `${name} is signed neither by a key that this log names for such a head nor by a given witness`,
    };
  if (at.size > size) return { damage: rolledBack(sources, size, at.size, `${name}, which covers ${at.size} entries`) };
  const root = rootAt(disk, sources, at.size);
  if (root === null) return { unjudged: `the entries that ${name} covers are not all here` };
  if (root.equals(at.root)) return { damage: null };
  return { damage: forked(sources, 0, at.size - 1, `${name} was signed over other entries below ${at.size}`) };
}

function keysOf(disk: Disk, sources: readonly Source[]): { key: string; from: number }[] {
  return sources.flatMap((source) => {
    const naming = namingOf(disk, source);
    if (naming === null) return [];
    return naming.kind === "epoch" ? naming.log_keys : [{ key: naming.key, from: naming.index }];
  });
}

/** The root over the first `size` entries; null where a part of them is not here. */
function rootAt(disk: Disk, sources: readonly Source[], size: number): Buffer | null {
  const tree = emptyTree();
  for (const { first, path } of sources) {
    if (first !== tree.size) return null;
    for (const { bytes } of linesOf(disk, path)) {
      if (tree.size === size) return rootOfTree(tree);
      grow(tree, leafHash(bytes));
    }
  }
  return tree.size === size ? rootOfTree(tree) : null;
}

function rolledBack(sources: readonly Source[], size: number, other: number, because: string): Damage {
  const words = `the log ends here, and somebody knows more of it: ${because}`;
  return { kind: "rolled-back", ...placeOf(sources, size), to: other - 1, what: "against", because: words };
}

function forked(sources: readonly Source[], index: number, to: number, because: string): Damage {
  return { kind: "forked", ...placeOf(sources, index), to, what: "against", because };
}

function heldToFolder(
  disk: Disk,
  sources: readonly Source[],
  progress: Progress,
  folder: string,
  other: Verdict,
): Held {
  // A copy that is damaged itself says nothing about this one.
  if (other.exit === DAMAGED || other.size === 0)
    return { unjudged: `the copy in ${folder} cannot be held against this log: ${other.says}` };
  if (other.origin !== progress.origin) return { unjudged: `the copy in ${folder} is of another log: ${other.origin}` };
  const theirs = sourcesIn(disk, [folder]);
  const first = differenceOf(disk, sources, theirs);
  const { size } = progress.tree;
  if (first !== null && first < Math.min(size, other.size))
    return {
      damage: forked(sources, first, first, `the copy in ${folder} has another entry, and its own signed heads`),
    };
  if (other.size > size)
    return { damage: rolledBack(sources, size, other.size, `the copy in ${folder} has ${other.size} entries`) };
  if (other.size < size)
    progress.remarks.push(`the copy in ${folder} is older: it has the first ${other.size} entries`);
  return { damage: null };
}

/** The first index at which two copies have different lines; null when no line that both have differs. Segments may be cut elsewhere. */
function differenceOf(disk: Disk, ours: readonly Source[], theirs: readonly Source[]): number | null {
  for (const mine of ours) {
    const same = theirs.find(({ first }) => first === mine.first);
    if (same === undefined) {
      // Both copies have these entries, and one of them begins a segment where the other does not.
      if (theirs.some(({ first }) => first < mine.first) && theirs.some(({ first }) => first > mine.first))
        return mine.first;
      continue;
    }
    const difference = firstDifference(disk, mine.path, same.path);
    if (difference !== null) return mine.first + difference.line;
  }
  return null;
}
