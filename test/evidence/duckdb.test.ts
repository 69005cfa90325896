import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { intent, outcome, refused, started, world } from "../audit/world.ts";
import { ran } from "../e2e/world.ts";
import { python } from "../python.ts";

/** The queries that docs/AUDIT-LOG.md shows, over a log of several segments, by DuckDB from PyPI. */
function queries(): string[] {
  const page = readFileSync(join(import.meta.dir, "../../docs/AUDIT-LOG.md"), "utf8");
  return [...page.matchAll(/duckdb -c "((?:[^"\\]|\\.)*)"/g)].map(([, text]) => (text ?? "").replaceAll('\\"', '"'));
}

test("the documented queries give what is in the log", async () => {
  const program = python(join(import.meta.dir, "duckdb-requirements.txt"));
  const w = await world({ segmentBytes: 4000 });
  const log = w.open();
  const id = Bun.randomUUIDv7();
  log.append([intent(id)]);
  log.append([outcome(id, 1)]);
  for (let n = 0; n < 10; n++) log.append([started, refused(Bun.randomUUIDv7())]);
  log.close();
  const [refusals = "", outcomes = "", ...more] = queries();
  expect(more).toEqual([]);
  const rows = (query: string): unknown[][] => {
    const here = query.replaceAll(/'[^']*audit\/\*\.jsonl'/g, `'${w.folder}/*.jsonl'`);
    expect(here).toContain(w.folder);
    const done = ran(program, join(import.meta.dir, "query.py"), here);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    return done.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  };
  const refusedRows = rows(refusals);
  expect(refusedRows.length).toBe(10);
  expect(refusedRows.every((row) => row[2] === "policy.count.above-max")).toBe(true);
  const [row, ...others] = rows(outcomes);
  expect(others).toEqual([]);
  expect([row?.[1], row?.[3], row?.[4]]).toEqual(["scale", "maria", "succeeded"]);
}, 600_000);
