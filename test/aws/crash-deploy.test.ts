/** kill -9 of the compiled agent while a call of a deploy is at AWS, there and on the way back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Killable, killedOnItsWay, type Way } from "../e2e/killing.ts";
import { withImage } from "./deploying.ts";
import { type Stage, stage } from "./stage.ts";
import { type Moto, startMoto } from "./world/moto.ts";

type Listed = { readonly shown: readonly { readonly operation: string; readonly command: string | null }[] };
/** `audit reconcile --json`, as far as it is looked at. */
type Reconciled = {
  readonly missing: { readonly count: number };
  readonly answers: Listed;
  readonly unexplained: Listed;
};

let moto: Moto;
let s: Stage;
let killable: Killable;
let images: Awaited<ReturnType<typeof withImage>>;
beforeAll(async () => {
  moto = await startMoto();
  s = await stage(moto, { releases: true });
  images = await withImage(s.cloud);
  const { cloud, machine, start, kill, deploy } = s;
  killable = {
    ...{ machine, start, kill, deploy },
    calls: () => cloud.calls.filter(({ operation }) => operation !== "GetCallerIdentity"),
    at: (operation, moment, then) => cloud.at(operation, moment, then),
    takes(milliseconds) {
      cloud.scaling.launchMilliseconds = milliseconds;
    },
    drop: (operation, when, skip) => cloud.fault(operation, { kind: "drop", when }, { skip }),
    once: new Set(["CreateLaunchTemplateVersion"]),
  };
}, 600_000);
afterAll(async () => {
  await s?.end();
  await moto?.stop();
}, 60_000);

/** What the group runs when nothing is on its way. */
let now = "";
const isAll = async (image: string): Promise<void> => {
  const { images: run, fewest } = await s.cloud.look.images();
  // One of the two may be out of service, as the rule says.
  expect([run, fewest]).toEqual([[image, image], 1]);
};

test("on the way there: each time the group runs the manifest's image, by one version and one refresh", async () => {
  const { before, image } = images;
  now = before;
  const there: Way = {
    image: () => (now === before ? image : before),
    ends: ["succeeded", null],
    async look(wanted) {
      await isAll(wanted);
      now = wanted;
    },
    after: 0,
  };
  await killedOnItsWay(killable, there);
}, 900_000);

test("on the way back from an image on which machines do not get well: each time it runs what it ran, and says so", async () => {
  const { third } = images;
  s.cloud.scaling.unwell.add(third);
  // AWS does not go back by itself: a refresh of our own does.
  s.cloud.scaling.failed = "stays";
  const back: Way = {
    image: () => third,
    ends: ["failed", "rolled-back"],
    look: () => isAll(now),
    // The version and the refresh there.
    after: 2,
  };
  await killedOnItsWay(killable, back);
}, 900_000);

test("afterwards the log is whole, and CloudTrail has nothing more of the agent than what it did not live to hear of", () => {
  expect(s.machine.reeve(["audit", "verify"], "--ca", s.machine.root).code).toBe(11);
  const folder = join(s.machine.folder, "trail");
  s.cloud.trail(folder);
  const done = s.machine.reeve(["audit", "reconcile"], "--cloudtrail", folder, "--json");
  const { missing, answers, unexplained } = JSON.parse(done.stdout) as Reconciled;
  // No event of a launch template shows the group that it is of: a person must look.
  const operations = (calls: Reconciled["answers"]) => [...new Set(calls.shown.map(({ operation }) => operation))];
  expect([done.code, missing.count]).toEqual([1, 0]);
  expect(operations(answers)).toEqual(["autoscaling:StartInstanceRefresh"]);
  expect(operations(unexplained)).toEqual(["ec2:CreateLaunchTemplateVersion"]);
  expect(unexplained.shown.filter(({ command }) => command === null)).toEqual([]);
  expect(s.cloud.problems).toEqual([]);
});
