import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { MAX_TRAIL_FOLDERS_DEEP } from "../limits.ts";
import { type Disk, DiskError } from "./host.ts";

/** Files below a folder, and their bytes as they were before gzip: what reading a cloud's log takes from the machine. */
const GZIP = [0x1f, 0x8b];
/** Of a packed file less at a time: a piece can become a thousand times as long. */
const PACKED_PIECE_BYTES = 64 * 1024;
const UNPACKED_PIECE_BYTES = 256 * 1024;
const PIECE_BYTES = 1024 * 1024;

/** A file that cannot be read as it is. */
export class UnreadableFile extends Error {
  constructor(
    readonly path: string,
    readonly because: string,
  ) {
    super(`${path}: ${because}`);
    this.name = "UnreadableFile";
  }
}

/** Every plain file below a folder, in the order of names; one folder's names are held at a time. Throws UnreadableFile. */
export function* filesBelow(disk: Disk, folder: string, deep = 0): Generator<string> {
  if (deep > MAX_TRAIL_FOLDERS_DEEP) throw new UnreadableFile(folder, "it lies too deep");
  for (const name of named(folder, () => disk.list(folder))) {
    const path = `${folder.replace(/\/+$/, "")}/${name}`;
    const { kind } = named(path, () => disk.stat(path));
    if (kind === "directory") yield* filesBelow(disk, path, deep + 1);
    else if (kind === "file") yield path;
    // A link could lead out of the folder, and what it leads to would be read twice or not at all.
    else throw new UnreadableFile(path, "it is a link or no plain file");
  }
}

function named<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof DiskError) throw new UnreadableFile(path, error.code);
    throw error;
  }
}

/** A file's bytes in order, unpacked when it begins as gzip does. More than `most` bytes are refused, before they are all unpacked. */
export async function* plainPieces(disk: Disk, path: string, most: number): AsyncGenerator<Uint8Array> {
  const begins = named(path, () => disk.range(path, 0, GZIP.length));
  const packed = begins.length === GZIP.length && GZIP.every((byte, at) => begins[at] === byte);
  let bytes = 0;
  for await (const piece of packed ? unpacked(disk, path) : pieces(disk, path, PIECE_BYTES)) {
    bytes += piece.length;
    if (bytes > most)
      throw new UnreadableFile(path, `it is longer than ${most} bytes${packed ? " when unpacked" : ""}`);
    yield piece;
  }
}

function* pieces(disk: Disk, path: string, length: number): Generator<Uint8Array> {
  for (let at = 0; ; ) {
    const piece = named(path, () => disk.range(path, at, length));
    if (piece.length === 0) return;
    at += piece.length;
    yield piece;
  }
}

async function* unpacked(disk: Disk, path: string): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: UNPACKED_PIECE_BYTES });
  // What goes wrong in either of them also ends the loop, which throws it; here it is heard of a second time.
  pipeline(Readable.from(pieces(disk, path, PACKED_PIECE_BYTES)), gunzip, () => undefined);
  try {
    for await (const piece of gunzip) yield piece as Uint8Array;
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw new UnreadableFile(
      path,
      `it is no whole gzip file (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}
