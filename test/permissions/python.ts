import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { python } from "../python.ts";

const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");

/** The Python that the linters run in. */
export function linters(): string {
  return python(REQUIREMENTS);
}

/** What a Python program of ours prints as JSON when it is handed `input` as JSON, under the name `given`. */
export function answerOf(program: string, input: unknown): unknown {
  const done = spawnSync(linters(), ["-c", `import json, sys\ngiven = json.load(sys.stdin)\n${program}`], {
    input: JSON.stringify(input),
    encoding: "utf8",
    timeout: 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout);
}
