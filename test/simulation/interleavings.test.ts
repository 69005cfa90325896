import { afterAll, beforeAll, expect, setSystemTime, test } from "bun:test";
import { type Broken, groundOf } from "./interleave.ts";
import { type Scenario, type Searched, search } from "./interleavings.ts";
import { type VendorKeys, vendorKeys } from "./plane.ts";

/** Two or three that hold one identity, in every order of their steps, through the control plane's own handlers. */
const MINUTES = 60_000;
const ALONE: Scenario = { depth: 5, ways: ["heard", "lost", "late"], others: [] };
const COPIED: Scenario = { depth: 6, ways: ["heard"], others: ["copy"] };
const REPLACED: Scenario = { depth: 5, ways: ["heard", "late"], others: ["copy", "replace"] };

let keys: VendorKeys;
beforeAll(async () => {
  keys = await vendorKeys();
  // Seconds of the clock are no part of a state.
  setSystemTime(new Date());
});
afterAll(() => {
  setSystemTime();
  keys?.remove();
});

async function searched(scenario: Scenario, broken: Broken = {}): Promise<Searched> {
  const ground = await groundOf(keys, broken);
  try {
    return await search(ground, scenario);
  } finally {
    ground.close();
  }
}

async function holds(name: string, scenario: Scenario): Promise<void> {
  const { states, steps, interleavings, breach, path } = await searched(scenario);
  process.stdout.write(
    `${name}: depth ${scenario.depth}: ${states} states, ${steps} steps, ${interleavings} interleavings\n`,
  );
  expect({ breach, path }).toEqual({ breach: null, path: [] });
  expect(states).toBeGreaterThan(100);
}

test(
  "an agent that is alone is never fenced and can always go on, whatever is lost or comes late",
  () => holds("alone", ALONE),
  5 * MINUTES,
);

test(
  "of one command one holder is told that its intent is held, and after a copy showed itself nobody is answered",
  () => holds("agent and copy", COPIED),
  5 * MINUTES,
);

test(
  "an earlier epoch is answered nothing once a machine has been replaced, with a copy and without",
  () => holds("agent, copy and replacement", REPLACED),
  5 * MINUTES,
);

/** What is left out of the control plane, and what has to be found then. */
const MISTAKES: readonly (readonly [string, Scenario, Broken, RegExp])[] = [
  [
    "the longest head is not compared",
    COPIED,
    { blind: ["select size, at from seen_heads"] },
    /a shorter log had been shown/,
  ],
  [
    "a replaced process is not known",
    COPIED,
    { blind: ["select at from replaced_processes"] },
    /a replaced process had been shown/,
  ],
  ["that two were fenced is not asked", COPIED, { blind: ["select why from copies"] }, /had been shown/],
  ["the bytes of entries that are held are not compared", COPIED, { careless: true }, /were both told/],
  [
    "a new machine does not raise the epoch",
    REPLACED,
    { blind: ["update clusters set epoch"] },
    /epoch 1 was answered/,
  ],
  ["a late renewal is taken for a living one", ALONE, { noncesAreYoung: true }, /alone was fenced/],
];
for (const [mistake, scenario, broken, found] of MISTAKES)
  test(
    `found: ${mistake}`,
    async () => {
      const { breach, path } = await searched(scenario, broken);
      process.stdout.write(`${mistake}: ${breach}: ${path.join(", ")}\n`);
      expect(breach ?? "nothing was found").toMatch(found);
    },
    5 * MINUTES,
  );
