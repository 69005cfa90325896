import { expect, test } from "bun:test";
import { isOpen, parseWhen, type When } from "../../policy/when.ts";
import { type Case, deviations, held } from "./held.ts";
import { vendored } from "./vendored.ts";

/** `from`: seconds ahead of UTC in 2015; each change: at which second since 1970, from what offset to what. */
type Zone = {
  readonly from: number;
  readonly changes: readonly (readonly [at: number, before: number, after: number])[];
};
const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function window(day: number, minute: number, zone: string): When {
  const clock = (of: number): string =>
    `${String(Math.floor(of / 60)).padStart(2, "0")}:${String(of % 60).padStart(2, "0")}`;
  const when = parseWhen(`${DAYS[day]} ${clock(minute)}-${clock(minute + 1)} ${zone}`);
  if ("fault" in when) throw new Error(`${zone}: ${when.fault}`);
  return when;
}

/** Whether at this second the window of the minute that the zone's clock shows is open, and those of the minutes beside it are not. */
function agrees(zone: string, at: number, offset: number): boolean {
  const local = at + offset;
  // 1970-01-01 was a Thursday.
  const day = (Math.floor(local / 86_400) + 3) % 7;
  const minute = Math.floor((local % 86_400) / 60);
  const beside = [minute - 1, minute + 1].filter((each) => each >= 0 && each < 1440);
  return (
    isOpen(window(day, minute, zone), at * 1000) &&
    !isOpen(window((day + 1) % 7, minute, zone), at * 1000) &&
    beside.every((each) => !isOpen(window(day, each, zone), at * 1000))
  );
}

test("IANA's zones, as zdump says: around every change of every zone's clock from 2015 to 2037 a window opens by the wall clock there", () => {
  let [changes, moments] = [0, 0];
  const cases = Object.entries(vendored<Record<string, Zone>>("tz-2025b")).map(
    ([zone, { from, changes: all }]): Case => {
      const points: [number, number][] = [[Date.UTC(2015, 0, 15) / 1000, from]];
      // The last second before, the first after; within the hour that is skipped or comes twice.
      for (const [at, before, after] of all) points.push([at - 1, before], [at, after], [at + 1800, after]);
      changes += all.length;
      moments += points.length;
      const wrong = points.filter(([at, offset]) => !agrees(zone, at, offset)).length;
      return { id: zone, says: "opens", ours: wrong === 0 ? "opens" : "opens at another time" };
    },
  );
  process.stdout.write(`IANA 2025b: ${changes} changes of clocks, ${moments} moments\n`);
  expect(cases.length).toBe(313);
  expect(changes).toBe(5214);
  expect(held("IANA zones", cases, deviations("when"))).toEqual([]);
}, 120_000);
