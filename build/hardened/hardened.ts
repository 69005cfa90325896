/**
 * The mode that the unit ships, MemoryDenyWriteExecute=, outside of systemd: a small launcher in C, made once into .cache/ by this machine's cc.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fail, ROOT } from "../command.ts";

const SOURCE = join(import.meta.dirname, "hardened.c");

/** The launcher's path: `launcher() PROGRAM ARGUMENTS…`. */
export function launcher(): string {
  return made([]);
}

/** A program that stands in for `executable`, an absolute path, and runs its command `run` in that mode; the others as they are. */
export function runHardened(executable: string): string {
  return made([`-DRUN_ONLY="${executable}"`]);
}

function made(flags: readonly string[]): string {
  const digest = createHash("sha256").update(readFileSync(SOURCE)).update(flags.join("\0")).digest("hex").slice(0, 16);
  const folder = join(ROOT, ".cache", `hardened-${digest}`);
  // Of the same name as what it stands in for.
  const path = join(folder, "reeve");
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const scratch = `${path}.${process.pid}`;
  const cc = spawnSync("cc", ["-O2", "-Wall", "-Werror", ...flags, "-o", scratch, SOURCE], { encoding: "utf8" });
  if (cc.status !== 0)
    fail(`Cannot compile ${SOURCE}: ${cc.stderr ?? cc.error?.message}`, "apt-get install gcc libc6-dev");
  // Another that makes it at this moment makes the same.
  renameSync(scratch, path);
  return path;
}
