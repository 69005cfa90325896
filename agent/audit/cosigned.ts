import type { Disk } from "../host/host.ts";
import { isFull } from "./details.ts";
import { COSIGNED, checkpointRecord, readCheckpoints } from "./folder.ts";
import { parseNote } from "./note.ts";

/** Past this the file is written anew: its newest notes, and of each cosigner the newest. */
const MAX_BYTES = 1024 * 1024;
const KEPT_NOTES = 16;
/** Beyond them, of so many cosigners: one that names itself by ever new keys takes no more room than that. */
const KEPT_COSIGNERS = 64;

export type CosignedWriter = {
  /** Adds a head with a cosigner's line below it. Not synced: a cosignature that is lost is asked for again. */
  add(note: string): void;
};

export function cosignedWriter(disk: Disk, folder: string): CosignedWriter {
  const path = `${folder}/${COSIGNED}`;
  const before = readCheckpoints(disk, folder, COSIGNED);
  let kept = compact(before.bad === null ? before.notes : before.notes.slice(0, before.bad));
  /** What is in the file is not what is in `kept`: the end of it was cut off, or a full disk took nothing. */
  let behind = before.torn > 0 || before.bad !== null;
  let size = disk.exists(path) ? disk.stat(path).size : 0;

  function write(act: () => void): void {
    try {
      act();
      behind = false;
    } catch (error) {
      // It is no entry: without room for it the log goes on, and the next one writes all anew.
      if (!isFull(error)) throw error;
      behind = true;
    }
  }

  return {
    add(note) {
      kept.push(note);
      const record = Buffer.from(checkpointRecord(note), "utf8");
      if (!behind && size + record.length <= MAX_BYTES)
        return write(() => {
          const file = disk.appender(path, 0o600);
          try {
            file.append(record);
            size += record.length;
          } finally {
            file.close();
          }
        });
      kept = compact(kept);
      const bytes = Buffer.from(kept.map(checkpointRecord).join(""), "utf8");
      write(() => {
        disk.replace(path, bytes, 0o600);
        size = bytes.length;
      });
    },
  };
}

/** The newest notes, and before them the newest of each cosigner that they do not name: of the cosigners that came last. */
function compact(notes: readonly string[]): string[] {
  const newest = new Map<string, number>();
  for (const [at, note] of notes.entries()) {
    const parsed = parseNote(note);
    const origin = parsed?.text.split("\n")[0];
    for (const { name, id } of parsed?.signatures ?? [])
      if (name !== origin) newest.set(`${name} ${id.toString("hex")}`, at);
  }
  const keep = new Set([...newest.values()].sort((one, other) => one - other).slice(-KEPT_COSIGNERS));
  return notes.filter((_, at) => at >= notes.length - KEPT_NOTES || keep.has(at));
}
