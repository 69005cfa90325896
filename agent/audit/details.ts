import { createHash } from "node:crypto";
import { DiskError, type Host } from "../host/host.ts";

const MAX_WORDS_BYTES = 64 * 1024;

/**
 * Keeps what a cloud or a program said in its own words. The file is the salt and the words; its digest names it and goes into the
 * entry. The salt, 16 random bytes, keeps anybody who sees the entry from guessing the words. Durable when it returns.
 * Null when the disk is full: the words are given up then, for the outcome is to be written all the same.
 */
export function writeDetails(host: Host, folder: string, salt: Uint8Array, words: string): string | null {
  const bytes = Buffer.concat([salt, cut(words)]);
  const digest = createHash("sha256").update(bytes).digest("hex");
  try {
    host.disk.makeDirectory(folder, 0o700);
    host.disk.replace(`${folder}/${digest}`, bytes, 0o600);
  } catch (error) {
    if (isFull(error)) return null;
    throw error;
  }
  return `sha256:${digest}`;
}

/** Whether the disk, or the user's share of it, is full. */
export function isFull(error: unknown): boolean {
  return error instanceof DiskError && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

/** At most MAX_WORDS_BYTES of UTF-8, cut between characters. */
function cut(words: string): Buffer {
  const bytes = Buffer.from(words.toWellFormed(), "utf8");
  if (bytes.length <= MAX_WORDS_BYTES) return bytes;
  let end = MAX_WORDS_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
