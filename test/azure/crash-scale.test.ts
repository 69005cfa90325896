import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Point, round, show, type Try } from "./crashes.ts";
import { type Stage, stage } from "./stage.ts";

let s: Stage;
beforeAll(async () => {
  s = await stage();
  s.cloud.group.switches.runningLooks = 2;
}, 300_000);
afterAll(() => s?.end(), 60_000);

const SET = "Microsoft.Compute/virtualMachineScaleSets";
const OPERATION = "Microsoft.Compute/locations/operations/read";
// Described once before the intent: the second read of the set is the first after it.
const POINTS: readonly Point[] = [
  { action: `${SET}/read`, nth: 1, moment: "after" },
  { action: `${SET}/write`, nth: 0, moment: "before" },
  { action: `${SET}/write`, nth: 0, moment: "after" },
  { action: OPERATION, nth: 0, moment: "after" },
  { action: OPERATION, nth: 1, moment: "after" },
  { action: `${SET}/read`, nth: 2, moment: "after" },
];

const SCALE: Try = {
  send: () => s.scale(4, false),
  look() {
    const { capacity, instances } = s.cloud.group.set;
    expect(capacity === 2 || capacity === 4).toBe(true);
    expect(instances.length).toBe(capacity);
    return capacity === 4 ? "after" : "before";
  },
  reset: () => s.cloud.group.others(2),
  holds(outcome, looked, { action, moment }) {
    // Once the operation's place was kept, the operation itself says how it ended.
    const followed = action === OPERATION || (action === `${SET}/read` && looked === "after");
    if (looked === "before") {
      expect([outcome?.result, outcome?.known_by, outcome?.changed]).toEqual(["failed", "state", []]);
      return;
    }
    expect([moment, outcome?.result, outcome?.known_by]).toEqual([
      moment,
      "succeeded",
      followed ? "change id" : "state",
    ]);
    expect(outcome?.changed?.[0]).toEqual({ what: "count", from: "2", to: "4" });
  },
};

test("scale: killed at each of its calls, with the answer lost; a long-running operation is followed by where it was kept", async () => {
  const lines: string[] = [];
  for (const point of POINTS) lines.push(await round(s, SCALE, point));
  show(lines);
  expect(lines.filter((line) => line.includes("by change id"))).toHaveLength(3);
  expect((await s.reeve(["audit", "verify"], "--ca", s.machine.root)).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
}, 600_000);
