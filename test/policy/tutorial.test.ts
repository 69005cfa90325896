import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PAGE, played } from "./tutorial.ts";

test("what docs/POLICY.md shows of the tools is what they print today: `bun test/policy/tutorial.ts` writes it", () => {
  const page = readFileSync(PAGE, "utf8");
  const today = played(page);
  expect([today.files, today.commands]).toEqual([6, 6]);
  expect(today.page).toBe(page);
}, 120_000);
