import { type Appender, type Disk, DiskError, type Stat } from "../../agent/host/host.ts";
import { appendTo, type Node, newNode, parentOf, type Storage, setName, syncFolder, syncNode } from "./storage.ts";

/** Where a program stands in a call that changes the disk. */
export type Point = "write" | "sync" | "rename" | "folder";
export type Guard = {
  /** Called at the beginning of each call: throws when the process has died. */
  alive(): void;
  /**
   * Called before each step of a call that changes something. Throws what ends the process there, or a DiskError. `part`: of a write, the
   * share of its bytes that goes down before.
   */
  step(point: Point, path: string): { readonly part: number; readonly end: () => never } | null;
  /** A sync failed: the bytes since the last one may be gone although they can still be read. */
  readonly uid: number;
  now(): number;
  /** A file was synced. */
  synced(path: string): void;
  /** Who holds locks. */
  readonly holder: object;
};

/** The disk as one process has it. */
export function diskOf(storage: Storage, guard: Guard): Disk {
  const no = (code: string, path: string): never => {
    throw new DiskError(code, path, `${code}: ${path}`);
  };
  const nodeAt = (path: string): Node => storage.nodes.get(path) ?? no("ENOENT", path);
  const fileAt = (path: string): Node => {
    const node = nodeAt(path);
    return node.kind === "file" ? node : no("EFTYPE", path);
  };
  const statOf = (node: Node): Stat => ({
    kind: node.kind,
    uid: node.uid,
    gid: node.uid,
    mode: node.mode,
    links: 1,
    size: node.size,
    inode: node.inode,
  });
  const step = (point: Exclude<Point, "write">, path: string): void => {
    guard.step(point, path)?.end();
  };

  /** write(2) until all is down: a full disk takes a part first. */
  function write(node: Node, bytes: Uint8Array, path: string): void {
    const stop = guard.step("write", path);
    const whole = stop === null ? bytes : bytes.subarray(0, Math.floor(bytes.length * stop.part));
    const fits = Math.min(whole.length, storage.free);
    appendTo(node, whole.subarray(0, fits), guard.now());
    storage.free -= fits;
    stop?.end();
    if (fits < bytes.length) no("ENOSPC", path);
  }

  function sync(node: Node, path: string): void {
    const stop = guard.step("sync", path);
    if (stop !== null) {
      // fsync(2): after an error the pages count as clean, and what was in them may be lost.
      if (stop.part < 0.5) node.size = node.synced;
      stop.end();
    }
    syncNode(node);
    guard.synced(path);
  }

  function syncNames(folder: string): void {
    step("folder", folder);
    syncFolder(storage, folder);
  }

  function makeDirectory(path: string, mode: number): void {
    guard.alive();
    if (path === "/" || storage.nodes.has(path)) return;
    makeDirectory(parentOf(path), mode);
    setName(storage, path, newNode(storage, "directory", mode, guard.uid));
    syncNames(parentOf(path));
  }

  function unlink(path: string): void {
    storage.free += nodeAt(path).size;
    setName(storage, path, null);
  }

  return {
    read(path, max) {
      guard.alive();
      const node = nodeAt(path);
      if (node.kind !== "file") return { bytes: new Uint8Array(0), stat: statOf(node) };
      if (node.size > max) no("EFBIG", path);
      return { bytes: new Uint8Array(node.bytes.subarray(0, node.size)), stat: statOf(node) };
    },
    range(path, from, length) {
      guard.alive();
      const node = fileAt(path);
      return new Uint8Array(node.bytes.subarray(Math.min(from, node.size), Math.min(from + length, node.size)));
    },
    exists(path) {
      guard.alive();
      return storage.nodes.has(path);
    },
    list(path) {
      guard.alive();
      if (nodeAt(path).kind !== "directory") no("ENOTDIR", path);
      const inside = `${path}/`;
      return [...storage.nodes.keys()]
        .filter((name) => name.startsWith(inside) && !name.includes("/", inside.length))
        .map((name) => name.slice(inside.length))
        .sort();
    },
    stat(path) {
      guard.alive();
      return statOf(nodeAt(path));
    },
    makeDirectory,
    replace(path, bytes, mode) {
      guard.alive();
      if (!storage.nodes.has(parentOf(path))) no("ENOENT", path);
      const beside = `${path}.new`;
      if (storage.nodes.has(beside)) unlink(beside);
      const node = newNode(storage, "file", mode, guard.uid);
      setName(storage, beside, node);
      try {
        write(node, bytes, path);
        sync(node, path);
        step("rename", path);
      } catch (error) {
        if (error instanceof DiskError) unlink(beside);
        throw error;
      }
      const older = storage.nodes.get(path);
      if (older !== undefined) storage.free += older.size;
      setName(storage, path, node);
      setName(storage, beside, null);
      syncNames(parentOf(path));
    },
    appender(path, mode) {
      guard.alive();
      if (!storage.nodes.has(path)) {
        if (!storage.nodes.has(parentOf(path))) no("ENOENT", path);
        setName(storage, path, newNode(storage, "file", mode, guard.uid));
        syncNames(parentOf(path));
      }
      const node = fileAt(path);
      let size = node.size;
      const opened: Appender = {
        get size() {
          return size;
        },
        append(bytes) {
          guard.alive();
          write(node, bytes, path);
          size += bytes.length;
        },
        sync() {
          guard.alive();
          sync(node, path);
        },
        intact() {
          guard.alive();
          return storage.nodes.get(path) === node && node.size === size;
        },
        close: () => guard.alive(),
      };
      return opened;
    },
    rename(from, to) {
      guard.alive();
      const node = nodeAt(from);
      step("rename", to);
      setName(storage, to, node);
      setName(storage, from, null);
      if (node.kind === "file") syncNames(parentOf(to));
      // A folder's files go with it: one name changes, at once.
      for (const [path, inside] of [...storage.nodes]) {
        if (!path.startsWith(`${from}/`)) continue;
        storage.nodes.set(`${to}${path.slice(from.length)}`, inside);
        storage.nodes.delete(path);
      }
      syncFolder(storage, parentOf(to));
      syncFolder(storage, parentOf(from));
    },
    remove(path) {
      guard.alive();
      step("rename", path);
      unlink(path);
      syncNames(parentOf(path));
    },
    truncate(path, size) {
      guard.alive();
      const node = fileAt(path);
      step("sync", path);
      storage.free += Math.max(0, node.size - size);
      node.size = Math.min(node.size, size);
      syncNode(node);
    },
    lock(path) {
      guard.alive();
      if (storage.locks.has(path)) no("EBUSY", path);
      if (!storage.nodes.has(path)) setName(storage, path, newNode(storage, "file", 0o600, guard.uid));
      storage.locks.set(path, guard.holder);
      return {
        free() {
          if (storage.locks.get(path) === guard.holder) storage.locks.delete(path);
        },
      };
    },
  };
}
