import type { Condition } from "../statement.ts";
import { covers, isWild } from "./pattern.ts";

/** Condition tests and keys are compared without case. docs.aws.amazon.com, IAM JSON policy elements: Condition. */
function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Tests that ask for no less than the one that is wanted, when their values are its own. */
const STRICTER: Readonly<Record<string, readonly string[]>> = {
  stringequals: ["arnequals", "arnlike"],
  stringlike: ["stringequals"],
  "forallvalues:stringlike": ["forallvalues:stringequals"],
  "foranyvalue:stringlike": ["foranyvalue:stringequals"],
};

function asksNoLess(have: Condition, want: Condition): boolean {
  const test = want.test.toLowerCase();
  if (!same(have.key, want.key)) return false;
  if (!same(have.test, want.test) && !(STRICTER[test] ?? []).some((other) => same(other, have.test))) return false;
  const patterns = test.endsWith("stringlike");
  return have.values.every((value) => {
    if (patterns) return want.values.some((pattern) => covers(pattern, value));
    // ArnEquals reads a star as a pattern; StringEquals does not.
    return want.values.includes(value) && (same(have.test, want.test) || !isWild(value));
  });
}

/** Whether whatever passes the first conditions passes the second too: sound, not complete. */
export function implies(have: readonly Condition[], want: readonly Condition[]): boolean {
  return want.every((one) => have.some((other) => asksNoLess(other, one)));
}
