import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Disk, DiskError } from "../../agent/host/host.ts";
import { realDisk } from "../../agent/host/real.ts";

/** A folder's files in memory, with changes: so that thousands of damaged copies can be looked at. */
export type Copy = ReadonlyMap<string, Buffer>;

export function copyOf(folder: string): Copy {
  const names = realDisk.list(folder).filter((name) => realDisk.stat(join(folder, name)).kind === "file");
  const leaves = join(folder, ".leaves");
  const hidden = realDisk.exists(leaves) ? realDisk.list(leaves).map((name) => `.leaves/${name}`) : [];
  return new Map([...names, ...hidden].map((name) => [name, readFileSync(join(folder, name))]));
}

/** A disk on which these copies lie, each under a folder's name; nothing on it can be changed. */
export function diskOf(copies: Readonly<Record<string, Copy>>): Disk {
  const find = (path: string): Buffer | undefined => {
    const cut = path.indexOf("/", 1);
    return copies[path.slice(0, cut)]?.get(path.slice(cut + 1));
  };
  const bytesAt = (path: string): Buffer => {
    const bytes = find(path);
    if (bytes === undefined) throw new DiskError("ENOENT", path, "there is no such file");
    return bytes;
  };
  const cannot = (): never => {
    throw new Error("verify changed something");
  };
  const stat = (size: number) => ({ kind: "file" as const, uid: 0, gid: 0, mode: 0o600, links: 1, size, inode: 1 });
  return {
    read: (path, max) => {
      const bytes = bytesAt(path);
      if (bytes.length > max) throw new DiskError("EFBIG", path, "too large");
      return { bytes, stat: stat(bytes.length) };
    },
    range: (path, from, length) => bytesAt(path).subarray(from, from + length),
    exists: (path) => find(path) !== undefined || path in copies || path.endsWith("/.leaves"),
    list(path) {
      const hidden = path.endsWith("/.leaves");
      const names = [...(copies[hidden ? path.slice(0, -"/.leaves".length) : path]?.keys() ?? [])].sort();
      if (!hidden) return names.filter((name) => !name.includes("/"));
      return names.filter((name) => name.startsWith(".leaves/")).map((name) => name.slice(".leaves/".length));
    },
    stat: (path) => stat(bytesAt(path).length),
    makeDirectory: cannot,
    replace: cannot,
    appender: cannot,
    rename: cannot,
    remove: cannot,
    truncate: cannot,
    lock: cannot,
  };
}

/** The same copy with one file changed. */
export function withFile(copy: Copy, name: string, bytes: Buffer): Copy {
  return new Map([...copy, [name, bytes]]);
}

export function linesIn(bytes: Buffer): string[] {
  return bytes.toString("utf8").trimEnd().split("\n");
}

export function fileOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(""));
}
