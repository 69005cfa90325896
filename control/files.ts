import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** Replaces a file as a whole; durable when it returns. If we stop anywhere in it, the old file is still there. */
export function writeDurably(path: string, text: string, mode: number): void {
  const bytes = Buffer.from(text);
  const temporary = `${path}.${process.pid}.new`;
  const file = openSync(temporary, "w", mode);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
  renameDurably(temporary, path);
}

/** If we stop before the rename, the old name stands; after it, the new one. */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

export function removeDurably(path: string): void {
  if (!existsSync(path)) return;
  unlinkSync(path);
  syncFolder(dirname(path));
}

/** Makes a folder, 0700, and makes its name durable: files in a folder whose name is lost are lost with it. */
export function makeFolderDurably(path: string): void {
  if (existsSync(path)) return;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
