import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/**
 * A root file system that is read as data: nothing in it is run, no link in it is followed out of it. Paths are relative to the root,
 * without a slash before them.
 */
export type RootTree = {
  /** A plain file's bytes; null when there is none of that name, or it is a link or over `max`. */
  read(path: string, max?: number): Buffer | null;
  /** Names in a folder, sorted; none for what is no folder. */
  list(path: string): readonly string[];
  /** Every plain file, in the order of its path. */
  files(): Iterable<RootFile>;
};
export type RootFile = { readonly path: string; readonly size: number; readonly executable: boolean };

const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** What a running machine has and its image has not. */
const NOT_THE_IMAGE = new Set(["proc", "sys", "dev", "run", "tmp"]);

export function rootTree(root: string): RootTree {
  const list = (path: string): readonly string[] => {
    // A folder on the way that is a link could lead out of the root.
    if (!isFolder(root, path)) return [];
    return readdirSync(join(root, path)).sort();
  };
  function* walk(path: string): Iterable<RootFile> {
    for (const name of list(path)) {
      const at = path === "" ? name : `${path}/${name}`;
      if (NOT_THE_IMAGE.has(at)) continue;
      const stat = lstatSync(join(root, at));
      if (stat.isDirectory()) yield* walk(at);
      else if (stat.isFile()) yield { path: at, size: stat.size, executable: (stat.mode & 0o111) !== 0 };
    }
  }
  return {
    list,
    files: () => walk(""),
    read(path, max = MAX_FILE_BYTES) {
      const folder = path.split("/").slice(0, -1).join("/");
      return isFolder(root, folder) ? readPlain(join(root, path), max) : null;
    },
  };
}

function isFolder(root: string, path: string): boolean {
  let at = root;
  for (const name of path === "" ? [] : path.split("/")) {
    at = join(at, name);
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  }
  return true;
}

function readPlain(path: string, max: number): Buffer | null {
  let handle: number;
  try {
    handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ELOOP" || code === "ENXIO") return null;
    throw error;
  }
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile() || stat.size > max) return null;
    const bytes = Buffer.alloc(stat.size);
    let done = 0;
    while (done < bytes.length) {
      const read = readSync(handle, bytes, done, bytes.length - done, done);
      if (read === 0) break;
      done += read;
    }
    return bytes.subarray(0, done);
  } finally {
    closeSync(handle);
  }
}
