import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { ran } from "./ran.ts";

const FRESH_SEEDS = 50;
const FIXED_ROLLOUTS = 6;
const FRESH_ROLLOUTS = 2;
const MINUTES = 60_000;

test(
  "every invariant holds in worlds that nobody has seen before; how to see one again is printed",
  async () => {
    const { code, said } = await ran("simulate.ts", "--fresh", "--seeds", String(FRESH_SEEDS));
    process.stdout.write(said);
    expect(said).toMatch(/^seeds \d+ to \d+, .* again: bun run simulate --seed \d+ --seeds \d+\n/);
    expect(said).toEndWith(`\n${FRESH_SEEDS} passed, 0 failed\n`);
    expect(code).toBe(0);
  },
  60 * MINUTES,
);

test(
  "rollouts keep their lanes, their limits and their soak times in worlds of faults, and end",
  async () => {
    for (const [words, worlds] of [
      [[], FIXED_ROLLOUTS],
      [["--fresh"], FRESH_ROLLOUTS],
    ] as const) {
      const { code, said } = await ran("simulate.ts", "--rollouts", "--seeds", String(worlds), ...words);
      process.stdout.write(said);
      expect(said).toEndWith(`\n${worlds} passed, 0 failed\n`);
      expect(code).toBe(0);
      expect(Number(/(\d+) commands/.exec(said)?.[1])).toBeGreaterThan(worlds);
    }
  },
  20 * MINUTES,
);

test(
  "mistakes that the first worlds must show are found",
  async () => {
    const quick = ["sync-left-out", "retry-without-key", "outcome-before-call", "rollout-lane-over-soaking"];
    const { code, said } = await ran("mutants.ts", ...quick);
    process.stdout.write(said);
    expect(said).toEndWith(`\n${quick.length} passed, 0 failed\n`);
    expect(code).toBe(0);
  },
  20 * MINUTES,
);

test("every deliberate mistake still applies to the code, and there are fifteen at least", () => {
  const folder = join(import.meta.dirname, "mutants");
  const patches = readdirSync(folder).filter((name) => name.endsWith(".patch"));
  expect(patches.length).toBeGreaterThanOrEqual(15);
  for (const name of patches) {
    const checked = spawnSync("git", ["apply", "--check", "-p1", join(folder, name)], { cwd: ROOT, encoding: "utf8" });
    expect(`${name}: ${checked.stderr}`).toBe(`${name}: `);
  }
});
