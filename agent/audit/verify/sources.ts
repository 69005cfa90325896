import type { Disk } from "../../host/host.ts";
import { type CarryFile, carryName, linesOf, readCarry, segmentName, segmentsIn, textOf } from "../folder.ts";
import { readLine } from "../line.ts";
import type { Naming } from "../vouch.ts";
import type { Damage } from "./verdict.ts";

/** One segment of a log that may lie in several folders. */
export type Source = {
  readonly first: number;
  readonly folder: string;
  readonly path: string;
  readonly name: string;
  /** Other folders that have a segment of this name. */
  readonly copies: readonly string[];
};

/** Segments by first index; the folder that is named first counts where several have one. */
export function sourcesIn(disk: Disk, folders: readonly string[]): Source[] {
  const found = new Map<number, { folder: string; copies: string[] }>();
  for (const folder of folders) {
    for (const first of segmentsIn(disk, folder)) {
      const known = found.get(first);
      if (known === undefined) found.set(first, { folder, copies: [] });
      else known.copies.push(folder);
    }
  }
  return [...found]
    .sort(([one], [other]) => one - other)
    .map(([first, { folder, copies }]) => {
      const name = segmentName(first);
      return { first, folder, name, path: `${folder}/${name}`, copies };
    });
}

/** Where an entry stands: its file, and the line in it from 1 on. */
export function placeOf(
  sources: readonly Source[],
  index: number,
): { readonly index: number; readonly to: number; readonly file: string; readonly line: number } {
  const source = sources.findLast(({ first }) => first <= index);
  const first = source?.first ?? 0;
  return { index, to: index, file: source?.name ?? segmentName(0), line: index - first + 1 };
}

/** The carry file of a segment, wherever it lies; null when there is none, "broken" when there is one and it is not whole. */
export function carryOf(disk: Disk, folders: readonly string[], first: number): CarryFile | null | "broken" {
  let broken = false;
  for (const folder of folders) {
    const carry = readCarry(disk, folder, first, null);
    if (carry !== null) return carry;
    broken ||= disk.exists(`${folder}/${carryName(first)}`);
  }
  return broken ? "broken" : null;
}

/** A segment's first line where it is one that names a key; null otherwise, also when it cannot be read. */
export function namingOf(disk: Disk, { path }: Source): Naming | null {
  for (const { bytes, ended } of linesOf(disk, path)) {
    const read = ended ? readLine(textOf(bytes) ?? "") : null;
    if (read === null || !("entry" in read)) return null;
    return read.entry.kind === "segment" || read.entry.kind === "epoch" ? read.entry : null;
  }
  return null;
}

/** The first line, from 0 on, in which two files differ, and whether one merely ends there; null when neither says anything else. */
export function firstDifference(
  disk: Disk,
  one: string,
  other: string,
): { readonly line: number; readonly ends: "one" | "other" | null } | null {
  const [mine, theirs] = [linesOf(disk, one), linesOf(disk, other)];
  for (let line = 0; ; line++) {
    const [left, right] = [mine.next(), theirs.next()];
    if (left.done === true && right.done === true) return null;
    if (left.done === true) return { line, ends: "one" };
    if (right.done === true) return { line, ends: "other" };
    if (left.value.ended !== right.value.ended || !left.value.bytes.equals(right.value.bytes))
      return { line, ends: null };
  }
}

/** A segment that lies in several folders is the same in each: an archive that was stopped half-way leaves such copies. */
export function copyDamage(disk: Disk, sources: readonly Source[]): Damage | null {
  for (const { first, path, name, copies } of sources) {
    for (const folder of copies) {
      const difference = firstDifference(disk, path, `${folder}/${name}`);
      if (difference === null || difference.ends === "other") continue;
      return {
        kind: "forked",
        ...placeOf(sources, first + difference.line),
        what: "segment",
        because: `the copy in ${folder} says something else`,
      };
    }
  }
  return null;
}
