import { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Appender, type Clock, type Disk, DiskError, type Host, type Random, type Stat } from "./host.ts";

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    await wait(milliseconds, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
      if (signal?.aborted !== true) throw error;
    });
  },
};

export const realRandom: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  uuidv7: () => Bun.randomUUIDv7(),
};

/** Runs an operation on a path; what the kernel refuses becomes a DiskError with its errno's name. */
function on<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof DiskError) throw error;
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (typeof code !== "string") throw error;
    throw new DiskError(code, path, String(message));
  }
}

/** Closes the descriptor whatever happens on it. */
function withDescriptor<T>(descriptor: number, act: (descriptor: number) => T): T {
  try {
    return act(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function statOf(stats: Stats): Stat {
  const kind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
  const { uid, gid, nlink, size, ino } = stats;
  return { kind, uid, gid, mode: stats.mode & 0o7777, links: nlink, size, inode: ino };
}

function syncFolder(path: string): void {
  on(path, () => withDescriptor(openSync(path, O_RDONLY | O_DIRECTORY), fsyncSync));
}

/** Reads until `length` bytes or the end. */
function readFrom(descriptor: number, from: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(length);
  let have = 0;
  while (have < length) {
    const count = readSync(descriptor, bytes, have, length - have, from + have);
    if (count === 0) break;
    have += count;
  }
  return bytes.subarray(0, have);
}

/** write(2) may write less than it was given; on a full disk the rest then throws. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at);
}

function read(path: string, max: number): { bytes: Uint8Array; stat: Stat } {
  return on(path, () =>
    withDescriptor(openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), (descriptor) => {
      const stat = statOf(fstatSync(descriptor));
      // A FIFO, device or folder has no bytes for us: the caller judges by its kind.
      if (stat.kind !== "file") return { bytes: new Uint8Array(0), stat };
      const bytes = readFrom(descriptor, 0, Math.min(stat.size, max) + 1);
      if (bytes.length > max) throw new DiskError("EFBIG", path, `larger than ${max} bytes`);
      return { bytes, stat };
    }),
  );
}

function range(path: string, from: number, length: number): Uint8Array {
  return on(path, () =>
    withDescriptor(openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), (descriptor) => {
      if (!fstatSync(descriptor).isFile()) throw new DiskError("EFTYPE", path, "not a plain file");
      return readFrom(descriptor, from, length);
    }),
  );
}

function replace(path: string, bytes: Uint8Array, mode: number, uid?: number): void {
  const beside = `${path}.new`;
  // One left by a crash is nobody's: nothing was told that it exists.
  if (exists(beside)) on(beside, () => unlinkSync(beside));
  try {
    on(path, () => {
      withDescriptor(openSync(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode), (descriptor) => {
        // Before the mode: a change of owner may take bits of it away.
        if (uid !== undefined && fstatSync(descriptor).uid !== uid)
          fchownSync(descriptor, uid, fstatSync(descriptor).gid);
        fchmodSync(descriptor, mode);
        writeAll(descriptor, bytes);
        fdatasyncSync(descriptor);
      });
      // If we stop here, the path still has its former bytes.
      renameSync(beside, path);
    });
  } catch (error) {
    if (exists(beside)) on(beside, () => unlinkSync(beside));
    throw error;
  }
  syncFolder(dirname(path));
}

/** True also for a link that leads nowhere. */
function exists(path: string): boolean {
  return on(path, () => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}

function makeDirectory(path: string, mode: number): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path), mode);
  on(path, () => {
    mkdirSync(path, { mode });
    // The umask took bits away.
    withDescriptor(openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), (descriptor) => fchmodSync(descriptor, mode));
  });
  syncFolder(dirname(path));
}

function openToAppend(path: string, mode: number): number {
  const flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  if (exists(path)) return openSync(path, flags);
  const descriptor = openSync(path, flags | O_CREAT | O_EXCL, mode);
  fchmodSync(descriptor, mode);
  syncFolder(dirname(path));
  return descriptor;
}

function appender(path: string, mode: number): Appender {
  const descriptor = on(path, () => openToAppend(path, mode));
  const stats = on(path, () => fstatSync(descriptor));
  if (!stats.isFile()) {
    closeSync(descriptor);
    throw new DiskError("EFTYPE", path, "not a plain file");
  }
  let size = stats.size;
  return {
    get size() {
      return size;
    },
    append(bytes) {
      on(path, () => writeAll(descriptor, bytes));
      size += bytes.length;
    },
    sync: () => on(path, () => fdatasyncSync(descriptor)),
    intact: () =>
      on(path, () => {
        const there = lstatSync(path, { throwIfNoEntry: false });
        return there?.ino === stats.ino && there.dev === stats.dev && fstatSync(descriptor).size === size;
      }),
    close: () => on(path, () => closeSync(descriptor)),
  };
}

/**
 * Paths that this process has locked. SQLite's locks are of fcntl(2): they are the process's, and closing any descriptor of the file
 * would let them go, so nothing here opens a file that is locked already.
 */
const locked = new Set<string>();

function lock(path: string): { free(): void } {
  const held = resolve(path);
  if (locked.has(held)) throw new DiskError("EBUSY", path, "this process holds the lock already");
  on(path, () => {
    if (!exists(path)) closeSync(openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
    if (!lstatSync(path).isFile()) throw new DiskError("EFTYPE", path, "not a plain file");
  });
  const database = sqlite(path, () => new Database(path, { readwrite: true, create: false }));
  try {
    sqlite(path, () => database.run("PRAGMA locking_mode=EXCLUSIVE"));
    sqlite(path, () => database.run("BEGIN EXCLUSIVE"));
  } catch (error) {
    database.close();
    throw error;
  }
  locked.add(held);
  return {
    free() {
      if (!locked.delete(held)) return;
      database.close();
    },
  };
}

function sqlite<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (typeof code !== "string" || !code.startsWith("SQLITE_")) throw error;
    const busy = code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED");
    // By the errno's name where there is one: whoever hears it knows what to do about that.
    const named = busy ? "EBUSY" : code.startsWith("SQLITE_FULL") ? "ENOSPC" : code;
    throw new DiskError(named, path, String(message));
  }
}

export const realDisk: Disk = {
  read,
  range,
  exists,
  list: (path) => on(path, () => readdirSync(path).sort()),
  stat: (path) => on(path, () => statOf(lstatSync(path))),
  makeDirectory,
  replace,
  appender,
  rename(from, to) {
    on(from, () => renameSync(from, to));
    syncFolder(dirname(to));
    if (dirname(from) !== dirname(to)) syncFolder(dirname(from));
  },
  remove(path) {
    on(path, () => unlinkSync(path));
    syncFolder(dirname(path));
  },
  truncate: (path, size) =>
    on(path, () =>
      withDescriptor(openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK), (descriptor) => {
        ftruncateSync(descriptor, size);
        fsyncSync(descriptor);
      }),
    ),
  lock,
};

export function realHost(): Host {
  return { clock: realClock, random: realRandom, disk: realDisk };
}
