import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { requireDebian } from "../tools.ts";

const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");

/**
 * The Python that the linters run in, made once under `.cache/`, in a folder named by the pinned requirements. The file `made` is written
 * last: without it the folder is half made, and is made anew. Throws when it cannot be made: no test passes by not running.
 */
export function python(): string {
  requireDebian({ "/usr/bin/python3": "python3", "/usr/bin/pip3": "python3-pip" });
  const digest = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 16);
  const folder = join(ROOT, ".cache", `python-${digest}`);
  const program = join(folder, "bin", "python");
  if (existsSync(join(folder, "made"))) return program;
  console.log("making a Python environment under .cache/ from PyPI, once per machine: under a minute");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const run = (command: string, words: readonly string[]): void => {
    const done = spawnSync(command, words, { encoding: "utf8", timeout: 500_000 });
    if (done.status !== 0) throw new Error(`${command} ${words.join(" ")}: ${done.error ?? done.stderr}`);
  };
  run("/usr/bin/python3", ["-m", "venv", "--without-pip", folder]);
  run("/usr/bin/pip3", ["--python", program, "install", "--quiet", "--no-deps", "--requirement", REQUIREMENTS]);
  writeFileSync(join(folder, "made"), "");
  return program;
}

/** What a Python program of ours prints as JSON when it is handed `input` as JSON, under the name `given`. */
export function answerOf(program: string, input: unknown): unknown {
  const done = spawnSync(python(), ["-c", `import json, sys\ngiven = json.load(sys.stdin)\n${program}`], {
    input: JSON.stringify(input),
    encoding: "utf8",
    timeout: 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout);
}
