import { expect, test } from "bun:test";
import { join } from "node:path";
import { PARSERS } from "./parsers.ts";

async function fuzz(
  ...flags: readonly string[]
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, "fuzz.ts"), ...flags], { stdout: "pipe" });
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  return { code, lines: text.trimEnd().split("\n") };
}

/** By numbers of inputs, not by time: the same on a slow machine. */
const BOUNDED = ["--inputs", "250", "--seconds", "600"];

test.each([
  ["a seed that stays", ["--seed", "1"]],
  ["a fresh one", []],
])(
  "no parser throws, hangs or forgets, by %s",
  async (_, flags) => {
    const { code, lines } = await fuzz(...BOUNDED, ...flags);
    process.stdout.write(`${lines.join("\n")}\n`);
    expect(lines.at(-1)).toBe(`${PARSERS.length} passed, 0 failed`);
    expect(code).toBe(0);
    // A parser that never took anything was not reached.
    expect(lines.filter((line) => line.startsWith("pass") && !/\b[1-9]\d* taken\b/.test(line))).toEqual([]);
  },
  600_000,
);

const BAD = ["--from", join(import.meta.dirname, "bad.ts"), "--inputs", "5000", "--seed", "7", "--hang", "5"];

test("what throws, forgets or hangs is found, and its input fails again", async () => {
  const { code, lines } = await fuzz(...BAD);
  expect(code).toBe(1);
  expect(lines.at(-1)).toBe("1 passed, 3 failed");
  for (const [name, fault] of [
    ["throws", "TypeError: a space"],
    ["forgets", "it forgets what is long"],
    ["hangs", "it has not ended after 5 s"],
  ] as const) {
    const at = lines.findIndex((line) => line.startsWith(`FAIL: ${name}:`));
    expect(lines[at + 1]).toContain(fault);
    const input = lines.slice(at).find((line) => line.startsWith("  input "));
    const again = await fuzz(...BAD, "--parser", name, "--input", input?.slice(8) ?? "none");
    expect(again.code).toBe(1);
  }
}, 300_000);
