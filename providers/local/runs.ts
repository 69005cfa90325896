import { closeSync, fstatSync, openSync } from "node:fs";
import { CallFailed } from "../provider.ts";
import { lives, type ProcessId } from "./processes.ts";
import { digestOf } from "./program.ts";

/** Digests of executables by the file itself: processes of one image share one. */
export type Known = Map<string, string>;

/**
 * `sha256:` of the program that this process really runs, by the kernel's word (proc(5), /proc/PID/exe), whatever lies under its name now.
 * Null when it has ended.
 */
export async function imageOf(process: ProcessId, known: Known): Promise<string | null> {
  let fd: number;
  try {
    fd = openSync(`/proc/${process.pid}/exe`, "r");
  } catch (error) {
    if (!lives(process)) return null;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unread";
    throw new CallFailed("program-unread", `which program process ${process.pid} runs cannot be read: ${code}`, "none");
  }
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
    const key = [dev, ino, size, mtimeNs, ctimeNs].join(" ");
    const image = known.get(key) ?? `sha256:${(await digestOf(fd)).sha256}`;
    known.set(key, image);
    // The pid may have become another's.
    return lives(process) ? image : null;
  } finally {
    closeSync(fd);
  }
}
