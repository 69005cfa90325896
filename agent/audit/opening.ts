import type { Entry } from "./entry.ts";
import { successorOf } from "./logKeys.ts";
import type { Memory } from "./memory.ts";
import type { Tree } from "./tree.ts";

export type OpeningFault = { readonly what: "segment" | "carry"; readonly because: string };
/** What comes before an entry: `tree` null where it is not known, `carry` where there is no such file. */
export type Before = {
  readonly tree: Tree | null;
  readonly memory: Pick<Memory, "logKey">;
  readonly carry: string | null;
};

/**
 * What is wrong with how a segment begins, or null. `opens`: the entry is the first line of a segment that is not the first. The line is
 * held to the tree, to the key before it, and to the carry file's digest, as far as each is known.
 */
export function openingFault(entry: Entry, opens: boolean, { tree, memory, carry }: Before): OpeningFault | null {
  const before = memory.logKey;
  if (entry.kind !== "segment") return opens ? fault("the segment begins without the line that names its key") : null;
  if (!opens) return fault("the first line of a segment stands where no segment begins");
  if (tree !== null && !samePeaks(entry.peaks, tree)) return fault("its frontier is not that of the entries before it");
  if (before !== null) {
    const next = successorOf(before, entry);
    if ("fault" in next) return fault(next.fault);
  }
  if (carry === null || carry === entry.carry) return null;
  return { what: "carry", because: "its carry file is not the one that its first line names" };
}

function fault(because: string): OpeningFault {
  return { what: "segment", because };
}

/** Whether a frontier, in base64, is that of a tree. */
export function samePeaks(peaks: readonly string[], tree: Tree): boolean {
  return peaks.length === tree.peaks.length && tree.peaks.every((peak, at) => peak.toString("base64") === peaks[at]);
}
