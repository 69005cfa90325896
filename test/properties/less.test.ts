import { expect, test } from "bun:test";
import fc from "fast-check";
import { isMore } from "../../policy/review/point.ts";
import { pair, policyOf, reviewOf } from "../policy/review-world.ts";
import { askedAround } from "./around.ts";

/**
 * Invariant 4 once more, beside test/policy/less.test.ts: every deletion of a random policy is judged by the commands that lie right at and right
 * beyond each bound of its own rules, and by the exact comparison of `policy review`.
 */
function* lessThan(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      yield value.toSpliced(at, 1);
      for (const less of lessThan(item)) yield value.with(at, less);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
      for (const less of lessThan(item)) yield { ...value, [key]: less };
    }
  }
}

test.each([
  ["a seed that stays", { seed: 4, numRuns: 16 }],
  ["a fresh one", { numRuns: Number(process.env["LESS_RUNS"] ?? 8) }],
])(
  "invariant 4, by %s: no deletion of a rule, a value or a field permits more, by every bound's commands and by policy review",
  (_, runs) => {
    const seen = { policies: 0, deletions: 0, refused: 0, asked: 0, permitted: 0, less: 0, reviewed: 0 };
    fc.assert(
      fc.property(pair, ([file]) => {
        const whole = policyOf(file);
        if (whole === null) return;
        seen.policies += 1;
        const points = askedAround(whole);
        const before = points.map((ask) => ask(whole));
        seen.asked += points.length;
        seen.permitted += before.filter((level) => level !== "refused").length;
        for (const removal of lessThan(file)) {
          seen.deletions += 1;
          const less = policyOf(removal);
          if (less === null) {
            seen.refused += 1;
            continue;
          }
          const after = points.map((ask) => ask(less));
          expect(after.filter((level, at) => isMore(level, before[at] ?? "refused"))).toEqual([]);
          seen.less += after.filter((level, at) => isMore(before[at] ?? "refused", level)).length;
          // What the smaller file permits beyond the whole one: nothing, at any one moment. Over a sequence of commands it can: what a narrower rule
          // does not take any more leaves its rate to what it still takes. That is what the review says of rates, and not what the invariant does.
          const more = reviewOf(less, whole).more.filter(({ kind }) => kind !== "rate" && kind !== "memory");
          expect(more.map(({ kind }) => kind)).toEqual([]);
          seen.reviewed += 1;
        }
      }),
      runs,
    );
    process.stdout.write(`invariant 4: ${JSON.stringify(seen)}\n`);
    expect(seen.reviewed).toBeGreaterThan(0);
    // What is drawn anew may hold little; the seed that stays must not.
    if (!("seed" in runs)) return;
    expect(seen.policies).toBeGreaterThan(10);
    expect(seen.refused).toBeGreaterThan(200);
    expect(seen.reviewed).toBeGreaterThan(50);
    expect(seen.permitted).toBeGreaterThan(100);
    expect(seen.less).toBeGreaterThan(50);
  },
  300_000,
);
