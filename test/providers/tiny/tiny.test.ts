/** The smallest provider passes the suite, and the suite sees each mistake that one could have. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CLAIMS } from "../claims.ts";
import { conforms, violations } from "../conformance.ts";
import { BROKEN } from "./broken.ts";
import { stageOf } from "./stage.ts";
import { tinyProvider } from "./tiny.ts";

conforms(stageOf(tinyProvider));

const seen = new Set<string>();
describe("the suite sees", () => {
  for (const { mistake, claim, make } of BROKEN)
    test(mistake, async () => {
      const words = await violations(stageOf(make));
      for (const each of words) seen.add(each);
      expect(words).toContain(claim);
    }, 60_000);

  test("by each of its claims at least one of them", () => {
    expect(CLAIMS.map(({ words }) => words).filter((words) => !seen.has(words))).toEqual([]);
  });
});

test("a provider is written in little more than a hundred lines", () => {
  const lines = readFileSync(`${import.meta.dir}/tiny.ts`, "utf8")
    .trim()
    .split("\n").length;
  expect(lines).toBeLessThan(150);
});
