import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { Complaint } from "../../terminal.ts";

/**
 * A root file system that is read as data: nothing in it is run, no link in it is followed, no other file system below it is entered.
 * Paths are relative to the root, without a slash before them; their bytes are whatever they are, a character each (latin1).
 */
export type RootTree = {
  /** A plain file's bytes; null when there is none of that name, or a link lies there or on the way. Throws a Complaint over MAX_FILE_BYTES. */
  read(path: string): Buffer | null;
  /** Names in a folder, sorted by their bytes; none for what is no folder, or behind a link. */
  list(path: string): readonly string[];
  /** Everything below the root, a folder before what is in it. */
  entries(): Iterable<RootEntry>;
};
export type RootEntry = {
  readonly path: string;
  readonly kind: "file" | "dir" | "link" | "char" | "block" | "fifo" | "socket";
  /** Permission bits, set-uid, set-gid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file: SHA-256 of its bytes in hex. Of a link: where it leads. Of a device: its number. */
  readonly holds: string;
};

const MAX_FILE_BYTES = 512 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;

/** Throws a Complaint for what is no folder. */
export function rootTree(root: string): RootTree {
  const at = (path: string): Buffer => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
  const top = lstatSync(at(""), { throwIfNoEntry: false });
  if (top?.isDirectory() !== true)
    throw new Complaint(
      3,
      `read the root file system ${root}`,
      "it is no folder",
      "Name the folder that the image was unpacked to.",
    );
  const isFolder = (path: string): boolean => {
    const parts = path === "" ? [] : path.split("/");
    return parts.every(
      (_, n) => lstatSync(at(parts.slice(0, n + 1).join("/")), { throwIfNoEntry: false })?.isDirectory() === true,
    );
  };
  const list = (path: string): string[] =>
    isFolder(path)
      ? readdirSync(at(path), { encoding: "buffer" })
          .map((name) => name.toString("latin1"))
          .sort()
      : [];
  function* walk(folder: string): Iterable<RootEntry> {
    for (const name of list(folder)) {
      const path = folder === "" ? name : `${folder}/${name}`;
      const stat = lstatSync(at(path));
      const { uid, gid } = stat;
      const kind = kindOf(stat);
      yield { path, kind, mode: stat.mode & 0o7777, uid, gid, holds: holdsOf(kind, at(path), stat) };
      if (kind === "dir" && stat.dev === top?.dev) yield* walk(path);
    }
  }
  return {
    list,
    entries: () => walk(""),
    read(path) {
      const folder = path.split("/").slice(0, -1).join("/");
      return isFolder(folder) ? readPlain(at(path), path) : null;
    },
  };
}

function kindOf(stat: Stats): RootEntry["kind"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "dir";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isCharacterDevice()) return "char";
  if (stat.isBlockDevice()) return "block";
  return stat.isFIFO() ? "fifo" : "socket";
}

function holdsOf(kind: RootEntry["kind"], path: Buffer, stat: Stats): string {
  if (kind === "file") return digestOf(path);
  if (kind === "link") return readlinkSync(path, { encoding: "buffer" }).toString("latin1");
  return kind === "char" || kind === "block" ? String(stat.rdev) : "";
}

/** What is opened is what lstat said, or there is an error: O_NOFOLLOW. */
function open(path: Buffer): number {
  return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

function digestOf(path: Buffer): string {
  const handle = open(path);
  try {
    const hash = createHash("sha256");
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let read = readSync(handle, chunk); read > 0; read = readSync(handle, chunk))
      hash.update(chunk.subarray(0, read));
    return hash.digest("hex");
  } finally {
    closeSync(handle);
  }
}

function readPlain(path: Buffer, shown: string): Buffer | null {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return null;
  const handle = open(path);
  try {
    const { size } = fstatSync(handle);
    if (size > MAX_FILE_BYTES)
      throw new Complaint(
        3,
        `look into ${shown}`,
        `it has over ${MAX_FILE_BYTES} bytes`,
        "Give an SBOM of the image instead of its root file system.",
      );
    const bytes = Buffer.alloc(size);
    let done = 0;
    while (done < size) {
      const read = readSync(handle, bytes, done, size - done, done);
      if (read === 0) break;
      done += read;
    }
    return bytes.subarray(0, done);
  } finally {
    closeSync(handle);
  }
}
