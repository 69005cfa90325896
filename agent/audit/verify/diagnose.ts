import type { Disk } from "../../host/host.ts";
import { linesOf } from "../folder.ts";
import type { Source } from "./sources.ts";
import type { DamageKind } from "./verdict.ts";

/** A line that is wrong: where it stands, what index it says it has (null when it cannot be read), and whether a newline ends it. */
export type BadLine = { readonly index: number; readonly says: number | null; readonly ended: boolean };

/**
 * What was done so that `bad` stands where it does. `upTo`: the index after the last one that this segment should hold; null for the
 * last segment, which its own last line tells. Reads the segment once more, and those after it until the index is found that should
 * stand here.
 */
export function kindOf(
  disk: Disk,
  sources: readonly Source[],
  at: number,
  bad: BadLine,
  upTo: number | null,
): DamageKind {
  const source = sources[at];
  if (source === undefined) throw new Error("no such segment");
  if (!bad.ended) return "torn";
  const indexes = indexesIn(disk, source);
  const last = indexes.at(-1);
  const should = (upTo ?? Math.max(last ?? 0, bad.index) + 1) - source.first;
  const place = bad.index - source.first;
  const isNextHere = indexes[place + 1] === bad.index;
  if (bad.says === null) return indexes.length > should && isNextHere ? "inserted" : "edited";
  if (bad.says === bad.index) return "edited";
  // Beyond every head, at the end of the log: nothing says how many there should be.
  if (upTo === null && bad.says < bad.index) return "inserted";
  if (indexes.length > should) return bad.says < bad.index || isNextHere ? "inserted" : "reordered";
  const elsewhere = isLater(disk, sources, at, bad.index, indexes.slice(place + 1));
  if (elsewhere) return "reordered";
  return indexes.length < should && bad.says > bad.index ? "removed" : "edited";
}

function isLater(
  disk: Disk,
  sources: readonly Source[],
  at: number,
  index: number,
  rest: readonly (number | null)[],
): boolean {
  if (rest.includes(index)) return true;
  return sources.slice(at + 1).some((source) => indexesIn(disk, source).includes(index));
}

/** The index that each whole line of a segment says it has; null where it says none. */
function indexesIn(disk: Disk, { path }: Source): (number | null)[] {
  const found: (number | null)[] = [];
  for (const { bytes, ended } of linesOf(disk, path)) if (ended) found.push(indexIn(bytes.toString("utf8")));
  return found;
}

export function indexIn(line: string): number | null {
  try {
    const value = JSON.parse(line) as { index?: unknown } | null;
    return typeof value?.index === "number" ? value.index : null;
  } catch {
    return null;
  }
}
