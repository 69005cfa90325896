/** kill -9 of the compiled agent while a call of a deploy is at Azure, there and on the way back: its steps are the agent's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Killable, killedOnItsWay, type Way } from "../e2e/killing.ts";
import { type Stage, stage } from "./stage.ts";

let s: Stage;
let killable: Killable;
beforeAll(async () => {
  s = await stage({ releases: true });
  const { cloud, machine, start, kill, deploy } = s;
  killable = {
    ...{ machine, start, kill, deploy },
    calls: () => cloud.calls.map((made) => ({ ...made, operation: made.action })),
    at: (action, moment, then) => cloud.at(action, moment, then),
    takes(milliseconds) {
      cloud.group.switches.takesMs = milliseconds;
    },
    drop: (action, when, skip) => cloud.fault(action, { kind: "drop", when }, { skip }),
    // Azure takes no token: the model and the machines say what was done.
    once: new Set(),
  };
}, 300_000);
afterAll(() => s?.end(), 60_000);

const image = (n: number): string => s.cloud.group.imageId(n).toLowerCase();
/** The image that the set's machines run when nothing is on its way. */
let now = 1;
function isAll(wanted: string): void {
  const { images, model, fewest } = s.cloud.group.deployed();
  // One of the two may be out of service, as the rule says.
  expect([images.map((one) => one.toLowerCase()), model.toLowerCase(), fewest]).toEqual([[wanted, wanted], wanted, 1]);
}

test("on the way there: each time every machine runs the manifest's image, by one write and one step each", async () => {
  const there: Way = {
    image: () => image(3 - now),
    ends: ["succeeded", null],
    async look(wanted) {
      isAll(wanted);
      now = 3 - now;
    },
    after: 0,
  };
  await killedOnItsWay(killable, there);
}, 900_000);

test("on the way back from an image on which machines do not start: each time they run what they ran, and it is said", async () => {
  s.cloud.group.switches.broken.add(image(3));
  const back: Way = {
    image: () => image(3),
    ends: ["failed", "rolled-back"],
    look: async () => isAll(image(now)),
    // The write there and one machine's step.
    after: 2,
  };
  await killedOnItsWay(killable, back);
}, 900_000);

test("afterwards the log is whole, and nothing was asked that Azure does not describe", async () => {
  expect((await s.reeve(["audit", "verify"], "--ca", s.machine.root)).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
}, 120_000);
