/**
 * Clock, randomness, disk and network as arguments (STYLE rule 2): the simulation hands in others. Real ones: agent/host/real.ts.
 */
export type Clock = {
  /** Milliseconds since 1970 by the machine's clock. */
  now(): number;
  /** Milliseconds that never go back; the zero is arbitrary. */
  monotonic(): number;
  /** Resolves after so long, or as soon as `signal` is aborted: who wants to know which of them looks at the signal. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
};
export type Random = { bytes(count: number): Uint8Array; uuidv7(): string };

export type Stat = {
  kind: "file" | "directory" | "other";
  uid: number;
  gid: number;
  mode: number;
  links: number;
  size: number;
  inode: number;
};

/** A file opened for appending. Every call is synchronous: what returned has happened, in this order. */
export type Appender = {
  readonly size: number;
  /** Writes all bytes or throws; a short write is an error of the disk (ENOSPC). */
  append(bytes: Uint8Array): void;
  /** fdatasync. An error is final for the descriptor: never call again. */
  sync(): void;
  /** Whether the path still leads to this very file, and it has as many bytes as were there and were appended. */
  intact(): boolean;
  close(): void;
};

export type Disk = {
  /** Opens once with O_NOFOLLOW | O_NONBLOCK, stats and reads that descriptor. Throws DiskError. At most `max` bytes, else EFBIG. */
  read(path: string, max: number): { bytes: Uint8Array; stat: Stat };
  /** At most `length` bytes of a plain file from `from` on, fewer at its end. */
  range(path: string, from: number, length: number): Uint8Array;
  exists(path: string): boolean;
  /** Names in a folder, sorted. */
  list(path: string): string[];
  stat(path: string): Stat;
  makeDirectory(path: string, mode: number): void;
  /**
   * Temporary file beside it, write, fdatasync, rename over, fsync of the folder. Durable when it returns. With `uid` the file is that
   * user's from its first byte on.
   */
  replace(path: string, bytes: Uint8Array, mode: number, uid?: number): void;
  /** Opens (creates) for appending with O_NOFOLLOW; a new file's folder is synced. */
  appender(path: string, mode: number): Appender;
  rename(from: string, to: string): void;
  /** Unlinks and syncs the folder. */
  remove(path: string): void;
  truncate(path: string, size: number): void;
  /** Takes the kernel-held lock or throws DiskError EBUSY. Held until the process ends or `free` is called. */
  lock(path: string): { free(): void };
};

export class DiskError extends Error {
  constructor(
    readonly code: string,
    readonly path: string,
    message: string,
  ) {
    super(message);
    this.name = "DiskError";
  }
}

export type Host = { readonly clock: Clock; readonly random: Random; readonly disk: Disk };
