import type { Disk } from "../../host/host.ts";
import { linesOf, segmentName, segmentsIn, textOf } from "../folder.ts";
import { readLine } from "../line.ts";
import { parseCheckpoint } from "../note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../tree.ts";
import { DAMAGED, INCOMPLETE, type Verdict, type VerifyExit } from "./verdict.ts";

/** The log of one epoch in a folder of its own; `verdict` null where nothing of it is there. */
export type EpochLog = { readonly epoch: number; readonly folder: string; readonly verdict: Verdict | null };

/**
 * How an epoch hangs together with the one that its entry 0 names. `first`: the cluster's first, which names none. `held`: the named head is
 * that of the first `size` entries that are here. `unknown`: those entries are not all here. `none`: a later epoch that names no head.
 * `contradicts`: the entries that are here come to another head.
 */
export type Link = {
  readonly epoch: number;
  readonly joins: "first" | "held" | "unknown" | "none" | "contradicts";
  /** The epoch and how many of its entries are named; null where none is. */
  readonly before: { readonly epoch: number; readonly size: number } | null;
  readonly says: string;
};
export type Chain = { readonly exit: VerifyExit; readonly says: string; readonly links: readonly Link[] };

const EPOCH_FOLDER = /^epoch-([1-9]\d{0,9})$/;
const EPOCH_OF = /\/epoch\/([1-9]\d*)$/;

/** Epochs that were put aside below a log's folder (archive.ts), rising. */
export function epochsBelow(disk: Disk, folder: string): { readonly epoch: number; readonly folder: string }[] {
  if (!disk.exists(folder) || disk.stat(folder).kind !== "directory") return [];
  return disk
    .list(folder)
    .flatMap((name) => {
      const epoch = EPOCH_FOLDER.exec(name)?.[1];
      return epoch === undefined ? [] : [{ epoch: Number(epoch), folder: `${folder}/${name}` }];
    })
    .sort((a, b) => a.epoch - b.epoch);
}

export function epochOf(origin: string | null): number | null {
  const epoch = EPOCH_OF.exec(origin ?? "")?.[1];
  return epoch === undefined ? null : Number(epoch);
}

/** One chain of the epochs' logs, oldest first, each of which was verified by itself. */
export function chainOf(disk: Disk, logs: readonly EpochLog[]): Chain {
  const links = logs.filter(({ verdict }) => verdict !== null).map((log) => linkOf(disk, log, logs));
  const verdicts = logs.flatMap(({ verdict }) => verdict ?? []);
  const broken = links.find(({ joins }) => joins === "contradicts");
  const open = links.find(({ joins }) => joins === "unknown" || joins === "none");
  const exits: VerifyExit[] = [
    ...verdicts.map(({ exit }) => exit),
    ...(broken === undefined ? [] : ([DAMAGED] as const)),
    ...(open === undefined ? [] : ([INCOMPLETE] as const)),
  ];
  const exit = WORST.find((one) => exits.includes(one)) ?? 14;
  const bad = logs.find(({ verdict }) => verdict?.exit === exit);
  const says =
    broken?.says ??
    (exit === DAMAGED && bad?.verdict ? `epoch ${bad.epoch}: ${bad.verdict.says}` : null) ??
    open?.says ??
    `one chain of ${links.length} epochs: each begins with the head of the one before`;
  return { exit, says, links };
}

/** What is worse comes first. */
const WORST: readonly VerifyExit[] = [13, 14, 12, 11, 10, 0];

function linkOf(disk: Disk, log: EpochLog, logs: readonly EpochLog[]): Link {
  const { epoch } = log;
  const note = namedBefore(disk, log.folder);
  if (note === undefined)
    return { epoch, joins: "unknown", before: null, says: `epoch ${epoch}: its entry 0 is not here` };
  const named = note === null ? null : parseCheckpoint(note);
  const of = epochOf(named?.origin ?? null);
  if (named === null || of === null) {
    if (epoch === 1) return { epoch, joins: "first", before: null, says: "epoch 1: the first" };
    return { epoch, joins: "none", before: null, says: `epoch ${epoch}: its entry 0 names no head of an epoch before` };
  }
  const before = { epoch: of, size: named.size };
  const said = (joins: Link["joins"], words: string): Link => ({
    epoch,
    joins,
    before,
    says: `epoch ${epoch}: ${words}`,
  });
  const origin = log.verdict?.origin ?? "";
  if (of >= epoch || named.origin !== origin.replace(EPOCH_OF, `/epoch/${of}`))
    return said(
      "contradicts",
      `its entry 0 names a head of ${named.origin}, which is none of this cluster's before it`,
    );
  const earlier = logs.find((one) => one.epoch === of);
  const root = earlier?.verdict == null ? null : rootAt(disk, earlier.folder, named.size);
  const what = `the first ${named.size} entries of epoch ${of}`;
  if (root === null) return said("unknown", `its entry 0 names the head of ${what}, which are not all here`);
  return root.equals(named.root)
    ? said("held", `begins with the head of ${what}`)
    : said("contradicts", `its entry 0 names another head of ${what} than they have`);
}

/** What entry 0 holds of the epoch before; undefined where it is not here. */
function namedBefore(disk: Disk, folder: string): string | null | undefined {
  if (segmentsIn(disk, folder)[0] !== 0) return undefined;
  for (const line of linesOf(disk, `${folder}/${segmentName(0)}`)) {
    const read = readLine(textOf(line.bytes) ?? "");
    return "entry" in read && read.entry.kind === "epoch" ? read.entry.before : undefined;
  }
  return undefined;
}

/** Of the first `size` entries; null where they are not all here. */
function rootAt(disk: Disk, folder: string, size: number): Buffer | null {
  const tree = emptyTree();
  for (const first of segmentsIn(disk, folder)) {
    if (first !== tree.size) return null;
    for (const line of linesOf(disk, `${folder}/${segmentName(first)}`)) {
      if (tree.size === size) return rootOfTree(tree);
      if (!line.ended) return null;
      grow(tree, leafHash(line.bytes));
    }
  }
  return tree.size === size ? rootOfTree(tree) : null;
}
