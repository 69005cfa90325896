import { lookup } from "node:dns/promises";
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { arch, release, uptime } from "node:os";
import { dirname } from "node:path";
import { DiskError } from "./host.ts";

export type Space = {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeInodes: number;
  /** 0 where the file system has no fixed number. */
  readonly totalInodes: number;
};

/** What `doctor` looks at beyond clock, disk and network. All of it reads, but for `writeNew`. */
export type Survey = {
  /** What is left for a user without privileges. Throws DiskError. */
  space(path: string): Space;
  /** The path without links. Throws DiskError. */
  realPath(path: string): string;
  /** The names' addresses by the machine's own resolver, or the short code of why there are none. */
  addresses(host: string): Promise<readonly string[] | { readonly code: string }>;
  /** Short names (comm) of the processes that can be seen. */
  processNames(): ReadonlySet<string>;
  system(): { readonly kernel: string; readonly architecture: string; readonly uptimeSeconds: number };
  /** Takes another user's rights to files, until the function that it returns is called. Only root may; else the short code of why not. */
  actAs(uid: number, gids: readonly number[]): (() => void) | { readonly code: string };
  /** A file that was not there, 0600. Throws DiskError: EEXIST; of what it could not write whole it leaves nothing. */
  writeNew(path: string, bytes: Uint8Array): void;
};

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code.replace(/[^A-Z0-9_]/gi, "") : "unknown";
}

function on<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (typeof code !== "string") throw error;
    throw new DiskError(code, path, String(message));
  }
}

function writeNew(path: string, bytes: Uint8Array): void {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const descriptor = on(path, () => openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
  try {
    on(path, () => {
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at);
      fdatasyncSync(descriptor);
    });
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(descriptor);
  }
  on(path, () => {
    const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    fsyncSync(folder);
    closeSync(folder);
  });
}

function processNames(): ReadonlySet<string> {
  const names = new Set<string>();
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      names.add(readFileSync(`/proc/${pid}/comm`, "utf8").trim());
    } catch (error) {
      // It ended since, or is hidden from this user.
      if (!["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(codeOf(error))) throw error;
    }
  }
  return names;
}

function actAs(uid: number, gids: readonly number[]): (() => void) | { readonly code: string } {
  const [gid] = gids;
  const { seteuid, setegid, setgroups, getgroups } = process;
  if (!seteuid || !setegid || !setgroups || !getgroups || gid === undefined) return { code: "ENOSYS" };
  if (process.geteuid?.() !== 0) return { code: "EPERM" };
  const [formerGroups, formerGid] = [getgroups(), process.getegid?.() ?? 0];
  const back = (): void => {
    seteuid(0);
    setegid(formerGid);
    setgroups(formerGroups);
  };
  try {
    setgroups([...gids]);
    setegid(gid);
    // Last: without root's rights the others cannot be set.
    seteuid(uid);
    return back;
  } catch (error) {
    back();
    return { code: codeOf(error) };
  }
}

export function realSurvey(): Survey {
  return {
    space(path) {
      const { bavail, bsize, blocks, ffree, files } = on(path, () => statfsSync(path));
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeInodes: ffree, totalInodes: files };
    },
    realPath: (path) => on(path, () => realpathSync(path)),
    async addresses(host) {
      try {
        return (await lookup(host, { all: true })).map(({ address }) => address);
      } catch (error) {
        return { code: codeOf(error) };
      }
    },
    processNames,
    system: () => ({ kernel: release(), architecture: arch(), uptimeSeconds: Math.round(uptime()) }),
    actAs,
    writeNew,
  };
}
