import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../build/command.ts";
import { requireDebian } from "./tools.ts";

/**
 * A Python with these packages, made once under `.cache/`, in a folder named by the pinned requirements. The file `made` is written last:
 * without it the folder is half made, and is made anew. Throws when it cannot be made: no test passes by not running.
 */
export function python(requirements: string): string {
  requireDebian({ "/usr/bin/python3": "python3", "/usr/bin/pip3": "python3-pip" });
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const folder = join(ROOT, ".cache", `python-${digest}`);
  const program = join(folder, "bin", "python");
  if (existsSync(join(folder, "made"))) return program;
  console.log("making a Python environment under .cache/ from PyPI, once per machine: about a minute");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const run = (command: string, words: readonly string[]) => {
    const done = spawnSync(command, words, { encoding: "utf8", timeout: 500_000 });
    if (done.status !== 0) throw new Error(`${command} ${words.join(" ")}: ${done.error ?? done.stderr}`);
  };
  run("/usr/bin/python3", ["-m", "venv", "--without-pip", folder]);
  run("/usr/bin/pip3", ["--python", program, "install", "--quiet", "--no-deps", "--requirement", requirements]);
  writeFileSync(join(folder, "made"), "");
  return program;
}
