import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
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
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  // The kernel holds the lock: of two test files that want it at once, the second finds it made.
  const made = spawnSync("flock", [`${folder}.lock`, "bash", "-euc", MAKE, "make", folder, requirements], {
    encoding: "utf8",
    timeout: 500_000,
  });
  if (made.status !== 0) throw new Error(`Cannot make ${folder}: ${made.error ?? made.stderr}`);
  return program;
}

const MAKE = `
test -e "$1/made" && exit 0
rm -rf "$1"
/usr/bin/python3 -m venv --without-pip "$1"
/usr/bin/pip3 --python "$1/bin/python" install --quiet --no-deps --requirement "$2"
touch "$1/made"
`;
