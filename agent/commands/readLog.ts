import type { Entry } from "../audit/entry.ts";
import { linesOf, segmentName, segmentsIn, textOf } from "../audit/folder.ts";
import { readLine } from "../audit/line.ts";
import { COULD_NOT_LOOK } from "../audit/verify.ts";
import type { Config } from "../config.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { Complaint, readConfig } from "./config.ts";

/** Where a log is: `log` is its folder, else the config says. */
export type Where = { readonly config: string; readonly log?: string };

/** `config`: null when the folder itself was named, for then nothing else is read. */
export function folderOf(disk: Disk, where: Where): { folder: string; state: string | null; config: Config | null } {
  if (where.log !== undefined) return { folder: where.log, state: null, config: null };
  const { config } = readConfig(disk, where.config);
  return { folder: `${config.state}/audit`, state: config.state, config };
}

const EPOCH_FOLDER = /^epoch-([1-9]\d*)$/;

/** Folders of the logs of epochs before, oldest first. */
export function epochsIn(disk: Disk, folder: string): string[] {
  if (!disk.exists(folder)) return [];
  return disk
    .list(folder)
    .map((name) => Number(EPOCH_FOLDER.exec(name)?.[1] ?? 0))
    .filter((epoch) => epoch > 0)
    .sort((one, other) => one - other)
    .map((epoch) => `${folder}/epoch-${epoch}`);
}

export type Shown = { readonly line: string; readonly entry: Entry };
/** The next line to be read: its index, and where it begins in its segment. */
export type Place = { readonly segment: number; readonly offset: number; readonly index: number };

export function beginning(disk: Disk, folder: string): Place {
  const cannot = "read the log";
  try {
    const first = segmentsIn(disk, folder)[0];
    if (first === undefined)
      throw new Complaint(cannot, `there is none in ${folder}`, "Name its folder with --log FOLDER.", COULD_NOT_LOOK);
    return { segment: first, offset: 0, index: first };
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(
      cannot,
      `${folder} cannot be read (${error.code})`,
      error.code === "EACCES" ? "Run it as the agent's user or as root." : "Name its folder with --log FOLDER.",
      error.code === "EACCES" ? 4 : COULD_NOT_LOOK,
    );
  }
}

/** Reads whole lines from a place on, and says where to go on. An unfinished last line waits for its end. */
export function read(disk: Disk, folder: string, from: Place, take: (one: Shown) => unknown): Place {
  let place = from;
  for (;;) {
    for (const { bytes, offset, ended } of linesOf(disk, `${folder}/${segmentName(place.segment)}`, place.offset)) {
      if (!ended) break;
      const line = textOf(bytes) ?? "";
      const parsed = readLine(line);
      if (!("entry" in parsed))
        throw new Complaint(
          "read the log",
          `line ${place.index} in ${segmentName(place.segment)} is no entry (${parsed.fault})`,
          "reeve audit verify says what is wrong with it.",
          1,
        );
      take({ line, entry: parsed.entry });
      place = { ...place, offset: offset + bytes.length + 1, index: place.index + 1 };
    }
    const next = segmentsIn(disk, folder).find((first) => first > place.segment);
    // A gap is verify's to judge; show goes on with what there is.
    if (next === undefined) return place;
    place = { segment: next, offset: 0, index: next };
  }
}
