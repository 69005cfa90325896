import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  addProgram,
  begin,
  deploy,
  entries,
  newRules,
  outcomeOf,
  type Program,
  released,
  running,
  type Stage,
  scale,
  stage,
} from "./world.ts";

/** What comes in between while a group is replaced: the owner's switch, SIGTERM, a crash, another policy. Compiled executables. */
/** How long each process must stay up before the next is touched: time for a busy machine to come in between. */
const READY_SECONDS = 4;
let s: Stage;
beforeAll(async () => {
  s = await stage({ ready: READY_SECONDS });
  await s.start();
  scale(s, 2);
}, 180_000);
afterAll(async () => {
  await s?.end();
}, 60_000);

/** Begins a deploy and comes back when one process runs the new program and the other does not. */
async function halfway(): Promise<{ readonly id: string; readonly next: Program; readonly digest: string }> {
  const next = addProgram(s.artifacts, `next ${entries(s).length}`);
  const digest = released(s, next);
  const id = begin(s, digest);
  await s.w.until("one was replaced", () => running(s).includes(next.image), 120);
  return { id, next, digest };
}
const outcomes = (id: string) => entries(s).filter(({ kind, command }) => kind === "outcome" && command === id);
const both = ({ image }: Program) => [image, image];
const finished = (id: string) => s.w.until("it has its outcome", () => outcomeOf(s, id) !== undefined, 180);

test("suspended in the middle it stops before the next change, says where it stands, and goes on when it is sent again", async () => {
  const { id, next, digest } = await halfway();
  rmSync(join(s.w.owner, "on"));
  await finished(id);
  const to = `1 of ${next.image}`;
  expect(outcomes(id)).toMatchObject([{ result: "failed", code: "suspended", changed: [{ what: "web image" }] }]);
  expect(outcomes(id)[0]?.changed?.[0]?.to).toContain(to);
  expect(running(s).sort()).toEqual([next.image, s.first.image].sort());
  writeFileSync(join(s.w.owner, "on"), "on\n", { mode: 0o644 });
  expect(deploy(s, digest)).toMatchObject({ code: 0 });
  expect(running(s)).toEqual(both(next));
}, 240_000);

test("told to end in the middle it leaves the intent open, and the next start goes on under it: one outcome", async () => {
  const { id, next } = await halfway();
  await s.stopped("SIGTERM");
  expect(outcomes(id)).toEqual([]);
  expect(running(s)).not.toEqual(both(next));
  await s.start();
  await finished(id);
  expect(outcomes(id)).toMatchObject([{ result: "succeeded", code: null, known_by: "state" }]);
  expect(running(s)).toEqual(both(next));
}, 240_000);

test("killed in the middle the next start goes on under the same intent, and no process is there twice", async () => {
  const { id, next } = await halfway();
  await s.stopped("SIGKILL");
  await s.start();
  await finished(id);
  expect(outcomes(id)).toMatchObject([{ result: "succeeded", known_by: "state" }]);
  expect(entries(s).filter(({ kind, command }) => kind === "intent" && command === id).length).toBe(1);
  expect(running(s)).toEqual(both(next));
}, 240_000);

test("what the owner does not permit any more is not gone on with: the outcome says what is the case", async () => {
  const { id, next } = await halfway();
  await s.stopped("SIGKILL");
  const stands = running(s);
  newRules(s, 2, { version: "{ min: 1.5.0, max: 1.9.9 }" });
  await s.start();
  await finished(id);
  expect(outcomes(id)).toMatchObject([{ result: "failed", code: "interrupted", known_by: "state" }]);
  expect(running(s)).toEqual(stands);
  expect(stands).toContain(next.image);
}, 240_000);

test("what the owner takes out of the policy in the middle stops it before the next change, and it says where it stands", async () => {
  newRules(s, 3);
  const { id, next } = await halfway();
  newRules(s, 4, { version: "{ min: 1.5.0, max: 1.9.9 }" });
  await finished(id);
  const changed = [{ what: "web image", to: expect.stringContaining(`1 of ${next.image}`) }];
  expect(outcomes(id)).toMatchObject([{ result: "failed", code: "no-longer-permitted", changed }]);
  expect(running(s)).toHaveLength(2);
  expect(running(s)).toContain(next.image);
  expect(running(s)).not.toEqual(both(next));
}, 240_000);
