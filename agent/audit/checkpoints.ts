import type { Appender, Disk } from "../host/host.ts";
import { isFull } from "./details.ts";
import { CHECKPOINTS, checkpointRecord } from "./folder.ts";

/** Past this the file is written anew with its newest notes: each covers all that the former ones did. */
const MAX_BYTES = 1024 * 1024;
const KEPT_NOTES = 16;

export type CheckpointsWriter = {
  /** Whether the file is the one that was written to, and as it was left. */
  intact(): boolean;
  /** Appends a note. It is not synced: the entries that it covers are durable, and at start a longer log is extended. */
  add(note: string): void;
  /** Writes again what a full disk did not take. */
  retry(): void;
  close(): void;
};

/** `cut`: the file ends in an unfinished note, and is written anew before anything is added to it. */
export function checkpointsWriter(
  disk: Disk,
  folder: string,
  notes: readonly string[],
  cut: boolean,
): CheckpointsWriter {
  const path = `${folder}/${CHECKPOINTS}`;
  const kept = notes.slice(-KEPT_NOTES);
  let file: Appender | null = null;
  /** What is in the file is not what is in `kept`. */
  let behind = cut;

  /** Replaces the file as a whole, durably: at no time is it shorter than it was to say. */
  function rewrite(): void {
    file?.close();
    file = null;
    try {
      disk.replace(path, Buffer.from(kept.map(checkpointRecord).join(""), "utf8"), 0o600);
      behind = false;
    } catch (error) {
      // A head is no entry: without room for it the log goes on, and it is written when there is.
      if (!isFull(error)) throw error;
      behind = true;
    }
  }

  return {
    intact: () => file?.intact() ?? true,
    add(note) {
      kept.push(note);
      if (kept.length > KEPT_NOTES) kept.shift();
      if (!behind) file ??= disk.appender(path, 0o600);
      if (behind || file === null || file.size > MAX_BYTES) return rewrite();
      try {
        file.append(Buffer.from(checkpointRecord(note), "utf8"));
      } catch (error) {
        if (!isFull(error)) throw error;
        rewrite();
      }
    },
    retry() {
      if (behind) rewrite();
    },
    close() {
      file?.close();
      file = null;
    },
  };
}
