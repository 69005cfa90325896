import type { Disk, Host } from "../host/host.ts";
import { LogDamaged, LogUnavailable } from "./fault.ts";
import { CHECKPOINTS, linesOf, readCheckpoints, segmentName, segmentsIn, textOf } from "./folder.ts";
import { readLine } from "./line.ts";
import { loadLog } from "./load.ts";
import type { Memory } from "./memory.ts";
import { parseCheckpoint } from "./note.ts";

/** What is left of the epoch before. */
export type Archived = {
  readonly epoch: number;
  /** Its newest signed head; null when it had none. */
  readonly checkpoint: string | null;
  /** Reads its memory; null when its log is damaged. */
  memory(): Memory | null;
};

const EPOCH_FOLDER = /^epoch-([1-9]\d*)$/;
const OF_A_LOG = /^(?:\d{20}\.(?:jsonl|carry\.json)|torn-.*|\.leaves|cosigned)$/;

/**
 * Puts a log of an epoch below `epoch` into `epoch-<n>/`, and says what the newest archived epoch came to. Done again after a crash it
 * goes on where it was. Throws LogUnavailable when another process writes the log, LogDamaged when the folder is of a later epoch.
 */
export function archiveEpoch(host: Host, folder: string, epoch: number): Archived | null {
  const { disk } = host;
  if (!disk.exists(folder)) return null;
  const lies = epochIn(disk, folder);
  if (lies !== null && lies > epoch)
    throw new LogDamaged(
      `${folder} holds the log of epoch ${lies}, and this agent is of epoch ${epoch}`,
      "The identity folder is older than the audit folder: restore the newer one, or `reeve leave` and join anew.",
    );
  if (lies !== null && lies < epoch) move(host, folder, lies);
  const before = disk
    .list(folder)
    .map((name) => Number(EPOCH_FOLDER.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0 && number < epoch);
  return before.length === 0 ? null : archived(disk, folder, Math.max(...before));
}

/** The epoch of the log that lies in a folder: by its checkpoints, which are moved last, else by its first line. */
function epochIn(disk: Disk, folder: string): number | null {
  const note = readCheckpoints(disk, folder).notes.at(-1);
  const origin = note === undefined ? undefined : parseCheckpoint(note)?.origin;
  const byHead = /\/epoch\/([1-9]\d*)$/.exec(origin ?? "")?.[1];
  if (byHead !== undefined) return Number(byHead);
  const segment = segmentsIn(disk, folder)[0];
  if (segment === undefined) return null;
  for (const line of linesOf(disk, `${folder}/${segmentName(segment)}`)) {
    const read = readLine(textOf(line.bytes) ?? "");
    return line.ended && "entry" in read ? read.entry.epoch : null;
  }
  return null;
}

function move(host: Host, folder: string, epoch: number): void {
  const { disk } = host;
  const lock = lockOf(host, folder);
  try {
    const to = `${folder}/epoch-${epoch}`;
    disk.makeDirectory(to, 0o700);
    const names = disk.list(folder).filter((name) => OF_A_LOG.test(name));
    // If we stop between two of them, what is left says by its checkpoints which epoch it is of.
    for (const name of names) disk.rename(`${folder}/${name}`, `${to}/${name}`);
    if (disk.exists(`${folder}/${CHECKPOINTS}`)) disk.rename(`${folder}/${CHECKPOINTS}`, `${to}/${CHECKPOINTS}`);
  } finally {
    lock.free();
  }
}

function lockOf(host: Host, folder: string): { free(): void } {
  try {
    return host.disk.lock(`${folder}/lock`);
  } catch (error) {
    throw new LogUnavailable(
      `the log in ${folder} cannot be locked: ${error instanceof Error ? error.message : String(error)}`,
      "One agent writes a log. Stop the other: `systemctl status reeve`.",
    );
  }
}

function archived(disk: Disk, folder: string, epoch: number): Archived {
  const path = `${folder}/epoch-${epoch}`;
  return {
    epoch,
    checkpoint: readCheckpoints(disk, path).notes.at(-1) ?? null,
    memory() {
      try {
        return loadLog(disk, path, null, null).memory;
      } catch (error) {
        if (error instanceof LogDamaged) return null;
        throw error;
      }
    },
  };
}
