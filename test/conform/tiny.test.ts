import { afterAll, expect, test } from "bun:test";
import { conform, endPlanes, listed, readResults, startTiny } from "./planes.ts";

afterAll(endPlanes);

test("a control plane written from PROTOCOL.md alone keeps every claim; what it has not is skipped, and never of the core", async () => {
  const plane = await startTiny();
  const all = await listed();
  const said = await conform(...plane.words, "--json");
  const { cases, sum } = readResults(said);
  expect(cases.filter(({ result }) => result === "failed")).toEqual([]);
  const skipped = cases.filter(({ result }) => result === "skipped").map(({ id, seen }) => `${id}: ${seen}`);
  expect(skipped).toEqual(["optional-witness: 501 not-available", "optional-shared: 404 not-found"]);
  expect(sum).toEqual({ passed: all.length - 2, failed: 0, skipped: 2 });
  const core = all.filter((one) => one.core).map(({ id }) => id);
  expect(core.length).toBeGreaterThanOrEqual(40);
  expect(said.code).toBe(0);
}, 600_000);
