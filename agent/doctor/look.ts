import { type Disk, DiskError } from "../host/host.ts";
import { foldersOf, groupsOf, type PathFact } from "./user.ts";

/** A value, or the errno's name of why there is none. */
export function attempt<T>(act: () => T): { readonly value: T } | { readonly code: string } {
  try {
    return { value: act() };
  } catch (error) {
    if (error instanceof DiskError) return { code: error.code };
    throw error;
  }
}

export function pathFact(disk: Disk, path: string): PathFact {
  const stat = attempt(() => disk.stat(path));
  return "value" in stat ? { path, stat: stat.value, code: null } : { path, stat: null, code: stat.code };
}

/** The folder and those above it, links resolved, so that what is judged is what is there. */
export function folderFacts(disk: Disk, realPath: (path: string) => string, folder: string): PathFact[] {
  const real = attempt(() => realPath(folder));
  return foldersOf("value" in real ? real.value : folder).map((path) => pathFact(disk, path));
}

/** A disk that reads at most so many bytes in all, and writes nothing: what is over the limit is refused as E2BIG. */
export function boundedDisk(disk: Disk, limit: number): Disk {
  let left = limit;
  const spend = <T extends { length: number }>(path: string, bytes: T): T => {
    left -= bytes.length;
    if (left < 0) throw new DiskError("E2BIG", path, `over ${limit} bytes`);
    return bytes;
  };
  const never = (): never => {
    throw new Error("a reader wrote");
  };
  return {
    exists: disk.exists,
    list: disk.list,
    stat: disk.stat,
    read(path, max) {
      const { bytes, stat } = disk.read(path, Math.min(max, Math.max(left, 0) + 1));
      return { bytes: spend(path, bytes), stat };
    },
    range: (path, from, length) => spend(path, disk.range(path, from, length)),
    makeDirectory: never,
    replace: never,
    appender: never,
    rename: never,
    remove: never,
    truncate: never,
    lock: never,
  };
}

/** What `promise` gives, or `late` when it takes longer. */
export async function orLate<T>(
  promise: Promise<T>,
  milliseconds: number,
  sleep: (ms: number, signal: AbortSignal) => Promise<void>,
  late: T,
): Promise<T> {
  const enough = new AbortController();
  const timer = sleep(milliseconds, enough.signal).then(() => late);
  try {
    return await Promise.race([promise, timer]);
  } finally {
    enough.abort();
  }
}

const MAX_USERS_BYTES = 1024 * 1024;

/** The groups of a user by this machine's own files; none where they are not to be read. */
export function groupsHere(disk: Disk, uid: number): readonly number[] {
  const text = (path: string): string => {
    const read = attempt(() => disk.read(path, MAX_USERS_BYTES).bytes);
    return "value" in read ? new TextDecoder().decode(read.value) : "";
  };
  return groupsOf(uid, text("/etc/passwd"), text("/etc/group"));
}
