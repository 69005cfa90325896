import { expect, test } from "bun:test";
import { held } from "./held.ts";

const why = "a reason that is long enough";
const a = { id: "a", says: "valid", ours: "valid" };
const b = { id: "b", says: "valid", ours: "refused" };

test("a deviation must be listed, must still occur, and must be of its suite", () => {
  expect(held("x", [a], [])).toEqual([]);
  expect(held("x", [a, b], [{ why, ours: "refused", cases: ["b"] }])).toEqual([]);
  for (const [cases, table] of [
    [[b], []],
    [[a], [{ why, ours: "refused", cases: ["a"] }]],
    [[b], [{ why, ours: "taken", cases: ["b"] }]],
    [[a], [{ why, ours: "refused", cases: ["c"] }]],
    [[b], [{ why: "so", ours: "refused", cases: ["b"] }]],
    [[], []],
  ] as const)
    expect(held("x", cases, table)).toHaveLength(1);
});
