import { type Disk, DiskError } from "../../host/host.ts";
import { linesOf, segmentName, segmentsIn, textOf } from "../folder.ts";
import { readLine } from "../line.ts";
import { parseCheckpoint } from "../note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../tree.ts";
import type { Verdict } from "./verdict.ts";

/** A log of which something is here; `epoch` null where what is here does not say which. */
export type LogHere = { readonly epoch: number | null; readonly folder: string; readonly verdict: Verdict };

/**
 * How an epoch hangs together with the one that its entry 0 names. `first`: the cluster's first, which names none. `held`: the named head is
 * that of the first `size` entries of the epoch right before. `unknown`: those entries, or epochs between, are not all here, or an epoch
 * between is here and passed over. `none`: a later epoch that names no head. `contradicts`: the entries that are here come to another head,
 * the log is of another epoch or cluster than where it lies, or another log of the same epoch says something else.
 */
export type Link = {
  readonly epoch: number | null;
  readonly folder: string;
  readonly joins: "first" | "held" | "unknown" | "none" | "contradicts";
  /** The epoch and how many of its entries are named; null where none is. */
  readonly before: { readonly epoch: number; readonly size: number } | null;
  readonly says: string;
};

const EPOCH_OF = /\/epoch\/([1-9]\d*)$/;

export function epochOf(origin: string | null): number | null {
  const epoch = EPOCH_OF.exec(origin ?? "")?.[1];
  return epoch === undefined ? null : Number(epoch);
}

export function nameOf(epoch: number | null): string {
  return epoch === null ? "the current epoch" : `epoch ${epoch}`;
}

/** How a log hangs together with `here`, all that are here. */
export function linkOf(disk: Disk, log: LogHere, here: readonly LogHere[]): Link {
  const { epoch, folder, verdict } = log;
  const said = (joins: Link["joins"], words: string, before: Link["before"] = null): Link => ({
    epoch,
    folder,
    joins,
    before,
    says: `${nameOf(epoch)}: ${words}`,
  });
  const misplaced = misplacedAs(disk, log, here);
  if (misplaced !== null) return said("contradicts", misplaced);
  const note = namedBefore(disk, folder);
  if (epoch === null || note === undefined) return said("unknown", "its entry 0 is not here, or cannot be read");
  const named = note === null ? null : parseCheckpoint(note);
  const of = epochOf(named?.origin ?? null);
  if (named === null || of === null)
    return epoch === 1 ? said("first", "the first") : said("none", "its entry 0 names no head of an epoch before");
  const before = { epoch: of, size: named.size };
  if (of >= epoch || named.origin !== (verdict.origin ?? "").replace(EPOCH_OF, `/epoch/${of}`)) {
    const words = `its entry 0 names a head of ${named.origin}, which is none of this cluster's before it`;
    return said("contradicts", words, before);
  }
  const what = `the first ${named.size} entries of epoch ${of}`;
  const root = longestRoot(disk, here, of, named.size);
  if (root !== null && !root.equals(named.root))
    return said("contradicts", `its entry 0 names another head of ${what} than they have`, before);
  const gone = of + 1 === epoch ? null : betweenText(of + 1, epoch - 1);
  if (root === null) {
    const more = gone === null ? "" : `; nothing of ${gone}`;
    return said("unknown", `its entry 0 names the head of ${what}, which are not all here${more}`, before);
  }
  const passed = here
    .filter((one) => one.epoch !== null && one.epoch > of && one.epoch < epoch)
    .map((one) => one.epoch);
  if (passed.length > 0) {
    const why = "two enrolments at once, an unfencing, or a log that is kept out of the chain: ask who enrolled it";
    return said(
      "unknown",
      `begins with the head of ${what} and passes over epoch ${passed.join(", ")}, which is here (${why})`,
      before,
    );
  }
  if (gone !== null) return said("unknown", `begins with the head of ${what}; nothing of ${gone}`, before);
  return said("held", `begins with the head of ${what}`, before);
}

/** Nobody but those epochs' own logs, or the control plane, can say which it is. */
function betweenText(from: number, to: number): string {
  const never = "taken away, or never begun: an enrolment that ended before it opened a log leaves none";
  return `${from === to ? `epoch ${from}` : `epochs ${from} to ${to}`} is here (${never})`;
}

/** Why a log cannot be the one of its place; null where it can. */
function misplacedAs(disk: Disk, log: LogHere, here: readonly LogHere[]): string | null {
  const { epoch, verdict } = log;
  const { origin } = verdict;
  if (origin === null) return null;
  if (epochOf(origin) !== epoch) return `what lies in its place is the log of ${origin}`;
  const newest = here.findLast((one) => one.verdict.origin !== null)?.verdict.origin ?? origin;
  if (newest.replace(EPOCH_OF, "") !== origin.replace(EPOCH_OF, ""))
    return `it is the log of ${origin}, and the newest here is that of ${newest}`;
  const twin = here.find((one) => one !== log && one.epoch === epoch);
  if (twin === undefined || isBeginning(disk, log, twin) || isBeginning(disk, twin, log)) return null;
  return "two logs of it are here, and neither is shown to be the beginning of the other";
}

function isBeginning(disk: Disk, { verdict }: LogHere, longer: LogHere): boolean {
  if (verdict.root === null || verdict.size === 0) return false;
  return rootAt(disk, longer.folder, verdict.size)?.toString("base64") === verdict.root;
}

/** Of the first `size` entries of an epoch, in whichever of its logs they are all. */
function longestRoot(disk: Disk, here: readonly LogHere[], epoch: number, size: number): Buffer | null {
  for (const one of here) {
    const root = one.epoch === epoch ? rootAt(disk, one.folder, size) : null;
    if (root !== null) return root;
  }
  return null;
}

/** What entry 0 holds of the epoch before; undefined where it is not here or cannot be read. */
function namedBefore(disk: Disk, folder: string): string | null | undefined {
  return readable(() => {
    if (segmentsIn(disk, folder)[0] !== 0) return undefined;
    for (const line of linesOf(disk, `${folder}/${segmentName(0)}`)) {
      const read = readLine(textOf(line.bytes) ?? "");
      return "entry" in read && read.entry.kind === "epoch" ? read.entry.before : undefined;
    }
    return undefined;
  });
}

/** Of the first `size` entries; null where they are not all here, or cannot be read. */
function rootAt(disk: Disk, folder: string, size: number): Buffer | null {
  const root = readable(() => {
    const tree = emptyTree();
    for (const first of segmentsIn(disk, folder)) {
      if (first !== tree.size) return undefined;
      for (const line of linesOf(disk, `${folder}/${segmentName(first)}`)) {
        if (tree.size === size) return rootOfTree(tree);
        if (!line.ended) return undefined;
        grow(tree, leafHash(line.bytes));
      }
    }
    return tree.size === size ? rootOfTree(tree) : undefined;
  });
  return root ?? null;
}

/** Undefined where the disk refuses: that log's own verdict says so too, and here it ends as `unknown`, never as `held`. */
function readable<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DiskError) return undefined;
    throw error;
  }
}
