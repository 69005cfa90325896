import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT, toolEnvironment } from "../../build/command.ts";

/** A program of this folder; what it printed, whole. */
export function ran(
  program: string,
  ...words: string[]
): Promise<{ readonly code: number | null; readonly said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join("test/simulation", program), ...words], {
      cwd: ROOT,
      env: toolEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, said }));
  });
}

const MINUTES = 60_000;

/** So many worlds from a seed on, one after the other, since other files run beside this one. A test: every invariant holds in them, and they were worlds, by the changes of the cloud that they came to. */
export function testWorlds(first: number, seeds: number): void {
  test(
    `every invariant holds in worlds of faults, and each seed decides its world: ${seeds} from seed ${first} on`,
    async () => {
      const { code, said } = await ran("simulate.ts", "--jobs", "1", "--seed", String(first), "--seeds", String(seeds));
      process.stdout.write(said);
      expect(said).toEndWith(`\n${seeds} passed, 0 failed\n`);
      expect(code).toBe(0);
      expect(Number(/(\d+) changes of the cloud/.exec(said)?.[1])).toBeGreaterThan(seeds);
    },
    60 * MINUTES,
  );
}
