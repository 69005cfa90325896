import { closeSync, fdatasyncSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
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
  renameSync(temporary, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
