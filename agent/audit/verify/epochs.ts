import type { Disk } from "../../host/host.ts";
import { type Link, type LogHere, linkOf, nameOf } from "./links.ts";
import {
  COULD_NOT_LOOK,
  DAMAGED,
  INCOMPLETE,
  type Verdict,
  type VerifyExit,
  WHOLE_UNWITNESSED,
  WITNESSED,
  WITNESSED_BY_CONTROL_PLANE,
} from "./verdict.ts";

/** The log of one epoch in a folder of its own: `verdict` null where nothing of it is there, `epoch` null for the current one where what is there does not say which. */
export type EpochLog = { readonly epoch: number | null; readonly folder: string; readonly verdict: Verdict | null };
export type Chain = { readonly exit: VerifyExit; readonly says: string; readonly links: readonly Link[] };

export const CURRENT_ABSENT = "the current epoch's log is not here";
const EPOCH_FOLDER = /^epoch-([1-9]\d{0,9})$/;
/** What is worse comes first. */
const WORST: readonly VerifyExit[] = [DAMAGED, COULD_NOT_LOOK, INCOMPLETE];
const EXIT_OF: Readonly<Record<Link["joins"], VerifyExit>> = {
  first: WITNESSED,
  held: WITNESSED,
  unknown: INCOMPLETE,
  none: INCOMPLETE,
  contradicts: DAMAGED,
};
const WHOLE: readonly VerifyExit[] = [WHOLE_UNWITNESSED, WITNESSED_BY_CONTROL_PLANE, WITNESSED];

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

/** One chain of the epochs' logs, oldest first and the current one last, each of which was verified by itself. */
export function chainOf(disk: Disk, logs: readonly EpochLog[]): Chain {
  const here = logs.filter((log): log is LogHere => log.verdict !== null);
  const links = here.map((log) => linkOf(disk, log, here));
  const found: { readonly exit: VerifyExit; readonly says: string }[] = [
    ...links.map(({ joins, says }) => ({ exit: EXIT_OF[joins], says })),
    ...here.map(({ epoch, verdict }) => ({ exit: verdict.exit, says: `${nameOf(epoch)}: ${verdict.says}` })),
  ];
  if (logs.at(-1)?.verdict == null) found.unshift({ exit: INCOMPLETE, says: CURRENT_ABSENT });
  for (const exit of WORST) {
    const worst = found.find((one) => one.exit === exit);
    if (worst !== undefined) return { ...worst, links };
  }
  const exit = WHOLE.find((one) => found.some((log) => log.exit === one)) ?? COULD_NOT_LOOK;
  const epochs = new Set(here.map(({ epoch }) => epoch)).size;
  return { exit, says: `one chain of ${epochs} epochs: each begins with the head of the one before`, links };
}
