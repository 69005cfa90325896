/** kill -9 of the compiled agent while a call of a deploy is at Google. */
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
    calls: () => cloud.calls,
    at: (operation, moment, then) => cloud.at(operation, moment, then),
    takes(milliseconds) {
      cloud.scaling.launchMilliseconds = milliseconds;
    },
    drop: (operation, when, skip) => cloud.fault(operation, { kind: "drop", when }, { skip }),
    once: new Set(["compute.instanceTemplates.insert", "compute.instanceGroupManagers.patch"]),
  };
}, 600_000);
afterAll(() => s?.end(), 60_000);

const image = (n: number): string => `projects/${s.cloud.project}/global/images/broker-${n}`;

test("each time the group runs the manifest's image, by one template and one update, and is updated as it was before", async () => {
  const { groups, group } = s.cloud;
  let now = 1;
  const { type } = groups.deployed(group).policy;
  const there: Way = {
    image: () => image(3 - now),
    ends: ["succeeded", null],
    async look(wanted) {
      now = 3 - now;
      const { images, fewest, policy } = groups.deployed(group);
      // One of the two may be out of service, as the rule says.
      expect([images, fewest, policy["type"]]).toEqual([[wanted, wanted], 1, type]);
    },
    after: 0,
  };
  await killedOnItsWay(killable, there);
}, 900_000);

test("afterwards the log is whole, and nothing was asked that Google does not know", async () => {
  expect((await s.reeve("audit", "verify", "--ca", s.machine.root)).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
}, 120_000);
