import type { Chance } from "./random.ts";

/**
 * A machine's disk: what programs read, and what of it would be there after the power went. Names and bytes are durable once synced; what
 * was only written may be gone, cut short, or there with holes, each file by itself, as no order is promised between them.
 */
export type Node = {
  readonly inode: number;
  readonly kind: "file" | "directory";
  mode: number;
  uid: number;
  bytes: Buffer;
  size: number;
  /** So many bytes are durable. */
  synced: number;
  /** Ends of what was written since, and when: the kernel writes back by itself after a while. */
  written: { readonly end: number; readonly at: number }[];
};

/** After so long the kernel has written back what nobody synced (vm.dirty_expire_centisecs, and some). */
const WRITEBACK_MS = 35_000;

export type Storage = {
  readonly nodes: Map<string, Node>;
  /** Name changes that are not durable: what was there before. */
  unsynced: { readonly path: string; readonly before: Node | null }[];
  nextInode: number;
  /** Bytes that still fit. */
  free: number;
  /** Paths that are locked. */
  readonly locks: Map<string, object>;
};

export function emptyStorage(): Storage {
  return { nodes: new Map(), unsynced: [], nextInode: 2, free: Number.POSITIVE_INFINITY, locks: new Map() };
}

export function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "/" : path.slice(0, end);
}

export function newNode(storage: Storage, kind: Node["kind"], mode: number, uid: number): Node {
  return { inode: storage.nextInode++, kind, mode, uid, bytes: Buffer.alloc(0), size: 0, synced: 0, written: [] };
}

/** Puts, or takes away with null, a name. It is durable after `syncFolder`. */
export function setName(storage: Storage, path: string, node: Node | null): void {
  storage.unsynced.push({ path, before: storage.nodes.get(path) ?? null });
  if (node === null) storage.nodes.delete(path);
  else storage.nodes.set(path, node);
}

export function syncFolder(storage: Storage, folder: string): void {
  storage.unsynced = storage.unsynced.filter(({ path }) => parentOf(path) !== folder);
}

export function appendTo(node: Node, bytes: Uint8Array, at: number): void {
  const needed = node.size + bytes.length;
  if (needed > node.bytes.length) {
    const larger = Buffer.alloc(Math.max(needed, 2 * node.bytes.length, 1024));
    node.bytes.copy(larger, 0, 0, node.size);
    node.bytes = larger;
  }
  node.bytes.set(bytes, node.size);
  node.size = needed;
  node.written.push({ end: needed, at });
}

export function syncNode(node: Node): void {
  node.synced = node.size;
  node.written = [];
}

/** What is there whatever happens: its bytes, if its name is durable too. */
export function durableBytes(storage: Storage, path: string): Buffer | null {
  const node = storage.nodes.get(path);
  if (node === undefined || storage.unsynced.some((one) => one.path === path)) return null;
  return node.bytes.subarray(0, node.synced);
}

/** The same names and bytes on another disk, as an image of a disk that is in use has them. By each node, the one that it became. */
export function copyStorage(storage: Storage): { readonly storage: Storage; readonly nodes: ReadonlyMap<Node, Node> } {
  const copies = new Map<Node, Node>();
  const copied = (node: Node): Node => {
    const made = copies.get(node) ?? { ...node, bytes: Buffer.from(node.bytes), written: [...node.written] };
    copies.set(node, made);
    return made;
  };
  const nodes = new Map([...storage.nodes].map(([path, node]) => [path, copied(node)]));
  const unsynced = storage.unsynced.map(({ path, before }) => ({ path, before: before && copied(before) }));
  const free = Number.POSITIVE_INFINITY;
  return { storage: { nodes, unsynced, nextInode: storage.nextInode, free, locks: new Map() }, nodes: copies };
}

/** The power goes: what was not synced takes one of the shapes that a disk may leave. */
export function losePower(storage: Storage, draw: Chance, now: number): void {
  for (const { path, before } of [...storage.unsynced].reverse()) {
    if (draw.odds(0.5)) continue;
    if (before === null) storage.nodes.delete(path);
    else storage.nodes.set(path, before);
  }
  storage.unsynced = [];
  storage.locks.clear();
  for (const node of new Set(storage.nodes.values())) {
    const old = node.written.findLast(({ at }) => at < now - WRITEBACK_MS)?.end ?? 0;
    const kept = Math.max(node.synced, old);
    const open = node.size - kept;
    if (open > 0) loseBytes(node, kept, open, draw);
    syncNode(node);
  }
}

function loseBytes(node: Node, kept: number, open: number, draw: Chance): void {
  const shape = draw.int(0, 4);
  const part = Math.floor(draw.unit() * open);
  if (shape === 0) node.size = kept;
  else if (shape === 1 || shape === 2) node.size = kept + part;
  // Its length was written, of its bytes some were not.
  else if (shape === 3) node.bytes.fill(0, kept + part, kept + Math.floor(part + (open - part) * draw.unit()));
}

/** As the owner or an operator would, with a file of their own: whole, and durable at once. */
export function putFile(storage: Storage, path: string, text: string, mode: number): void {
  const folders: string[] = [];
  for (let folder = parentOf(path); folder !== "/" && !storage.nodes.has(folder); folder = parentOf(folder))
    folders.push(folder);
  for (const folder of folders) storage.nodes.set(folder, newNode(storage, "directory", 0o755, 0));
  const node = newNode(storage, "file", mode, 0);
  appendTo(node, Buffer.from(text), 0);
  syncNode(node);
  storage.nodes.set(path, node);
}
