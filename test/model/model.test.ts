import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { type Bounds, check } from "./tlc.ts";

const SMALL: Bounds = { machines: 2, keys: 3, lives: 3 };

test.each<[string, Bounds]>([
  ["two machines, four keys", { machines: 2, keys: 4, lives: 3 }],
  ["three machines, three keys", { machines: 3, keys: 3, lives: 3 }],
])(
  "in every state of %s at most one agent acts, and no honest agent is locked out",
  (_, bounds) => {
    const { violated, states, steps } = check(bounds, "none");
    process.stdout.write(`TLC: ${JSON.stringify(bounds)}: ${states} states, all of them looked at\n`);
    expect({ violated, steps }).toEqual({ violated: null, steps: [] });
    expect(states).toBeGreaterThan(10_000);
  },
  900_000,
);

test.each([
  ["epoch not compared", "AtMostOneActs", ["Enrol", "Enrol", "Poll"]],
  ["not for good", "AtMostOneActs", ["Enrol", "Poll", "Copy", "Poll", "Poll"]],
  ["one slot", "NoHonestAgentIsLockedOut", ["Enrol", "Ask", "Renew"]],
  ["connection not asked", "NoHonestAgentIsLockedOut", ["Enrol", "Poll", "Restart", "Poll", "Late"]],
])(
  "the bug '%s' is found, by the shortest way",
  (bug, invariant, steps) => {
    const found = check(SMALL, bug);
    process.stdout.write(`TLC: ${bug}: ${invariant} after ${found.steps.join(", ")}\n`);
    expect(found.violated).toBe(invariant);
    // Another way of the same length is as good.
    expect(found.steps).toHaveLength(steps.length);
  },
  600_000,
);

test("the model is short, and each file that it is mapped to is there", () => {
  const text = readFileSync(join(import.meta.dirname, "OneActs.tla"), "utf8");
  expect(text.split("\n").length).toBeLessThan(150);
  const files = [...text.matchAll(/\b(?:agent|control)\/[\w/]+\.ts/g)].map(([name]) => name);
  expect(files.length).toBeGreaterThan(6);
  expect(files.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
});
