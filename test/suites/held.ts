import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One case of a suite: what the suite says of it, and what our code says. */
export type Case = { readonly id: string; readonly says: string; readonly ours: string };
/** Cases in which we differ on purpose. `ours`: what we say of each. */
type Deviation = { readonly why: string; readonly ours: string; readonly cases: readonly string[] };

/** The table deviations/NAME.json. */
export function deviations(name: string): Deviation[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, "deviations", `${name}.json`), "utf8")) as Deviation[];
}

/**
 * What does not hold: a case in which we differ from the suite and that is not in the table, one in the table in which we do not differ, or
 * differ in another way, one that the suite does not have. Prints the counts. Nothing looked at is a fault too.
 */
export function held(suite: string, cases: readonly Case[], table: readonly Deviation[]): string[] {
  const listed = new Map<string, string>();
  const faults: string[] = [];
  for (const { ours, cases: ids, why } of table) {
    if (why.length < 20) faults.push(`a deviation without a reason: ${why}`);
    for (const id of ids) {
      if (listed.has(id)) faults.push(`listed twice: ${id}`);
      listed.set(id, ours);
    }
  }
  if (cases.length === 0) faults.push("no case was looked at");
  let same = 0;
  for (const { id, says, ours } of cases) {
    const wanted = listed.get(id);
    listed.delete(id);
    if (wanted === undefined && ours === says) same += 1;
    else if (wanted === undefined) faults.push(`${id}: the suite says ${says}, we say ${ours}, and no table lists it`);
    else if (ours === says) faults.push(`${id}: is listed as a deviation, and is none`);
    else if (ours !== wanted) faults.push(`${id}: is listed with ${wanted}, and we say ${ours}`);
  }
  for (const id of listed.keys()) faults.push(`listed, and not in the suite: ${id}`);
  const listedCases = table.reduce((sum, { cases: ids }) => sum + ids.length, 0);
  const differing = `${listedCases} otherwise, for ${table.length} reasons`;
  process.stdout.write(`${suite}: ${cases.length} cases, ${same} as the suite says; ${differing}\n`);
  return faults;
}
