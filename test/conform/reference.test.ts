import { afterAll, expect, test } from "bun:test";
import { conform, endPlanes, listed, readResults, startReference } from "./planes.ts";

afterAll(endPlanes);

test("`reeve-control serve` keeps every claim that `conform` looks at, and skips none", async () => {
  const plane = await startReference();
  const all = (await listed()).map(({ id }) => id);
  expect(all.length).toBeGreaterThanOrEqual(40);
  const said = await conform(...plane.words, "--json");
  const { cases, sum } = readResults(said);
  expect(cases.filter(({ result }) => result !== "passed")).toEqual([]);
  expect(cases.map(({ id }) => id)).toEqual(all);
  expect(sum).toEqual({ passed: all.length, failed: 0, skipped: 0 });
  expect(said.code).toBe(0);
}, 600_000);
