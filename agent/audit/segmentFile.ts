import type { Appender, Disk, DiskError } from "../host/host.ts";
import { isFull } from "./details.ts";
import { LogDamaged } from "./fault.ts";
import { segmentName } from "./folder.ts";
import type { Reserve } from "./reserve.ts";

/** The segment that is written to. Not one byte goes into a file that is not the one that was opened, or not as long as it was left. */
export type SegmentFile = {
  /** Index of its first entry. */
  readonly first: number;
  readonly size: number;
  /** Writes a group, spending the reserve when the disk is full, and syncs it. `outcome`: it may have the outcomes' own reserve. */
  write(bytes: Uint8Array, outcome: boolean): void;
  close(): void;
};

/** `unavailable`: what is thrown when the disk is full and there is nothing left to give up; not final, for nothing was written. */
export function openSegment(
  disk: Disk,
  folder: string,
  first: number,
  reserve: Reserve,
  unavailable: (error: DiskError) => Error,
): SegmentFile {
  const path = `${folder}/${segmentName(first)}`;
  let file: Appender = disk.appender(path, 0o600);
  let isOpen = true;

  function holdIntact(when: string): void {
    if (file.intact()) return;
    throw new LogDamaged(
      `${path} was cut, replaced or removed under the running agent, ${when} an entry was written`,
      "Find out by whom (no logrotate may touch this folder), restore the file from a copy, then: reeve audit verify --log FOLDER --ca FILE.",
    );
  }

  function append(bytes: Uint8Array, outcome: boolean): void {
    for (;;) {
      const whole = file.size;
      try {
        file.append(bytes);
        return;
      } catch (error) {
        if (!isFull(error)) throw error;
        file.close();
        isOpen = false;
        // What was written in part is cut off, on another descriptor.
        disk.truncate(path, whole);
        const spent = reserve.spend(outcome);
        file = disk.appender(path, 0o600);
        isOpen = true;
        // Not final: nothing of this group is in the file. Outcomes of what was begun may still come, and have their own reserve.
        if (!spent) throw unavailable(error as DiskError);
      }
    }
  }

  return {
    first,
    get size() {
      return file.size;
    },
    write(bytes, outcome) {
      holdIntact("before");
      append(bytes, outcome);
      // If we stop here the entries may or may not be there: nobody was told of them, nothing was done for them.
      file.sync();
      holdIntact("while");
    },
    close() {
      if (isOpen) file.close();
      isOpen = false;
    },
  };
}

/**
 * Makes a new segment with its first line, durable when it returns; null when the disk is too full for that, and then nothing is left of it.
 * If we stop before it returns, the next start finds an empty file, a torn line or the whole one, and goes on from that.
 */
export function makeSegment(disk: Disk, folder: string, first: number, line: Uint8Array): boolean {
  const path = `${folder}/${segmentName(first)}`;
  let file: Appender | null = null;
  try {
    file = disk.appender(path, 0o600);
    file.append(line);
    file.sync();
    return true;
  } catch (error) {
    if (!isFull(error)) throw error;
    if (disk.exists(path)) disk.remove(path);
    return false;
  } finally {
    file?.close();
  }
}
