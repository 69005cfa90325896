import { afterAll, beforeAll, expect, test } from "bun:test";
import { approve, type Person, peopleOf, person } from "../owner/people.ts";
import {
  addProgram,
  deploy,
  entries,
  last,
  newRules,
  outcomeOf,
  released,
  running,
  type Stage,
  scale,
  stage,
} from "./world.ts";

/** The fourth action end to end: compiled executables, real processes. */
let s: Stage;
let alice: Person;
beforeAll(async () => {
  s = await stage();
  alice = person(s.folder, "alice");
  await s.start();
  scale(s, 3);
}, 180_000);
afterAll(async () => {
  await s?.end();
}, 60_000);

test("a group is taken to what the manifest names, and both entries say by what", () => {
  const next = addProgram(s.artifacts, "next");
  const digest = released(s, next, { version: "1.4.2" });
  expect(running(s)).toEqual(Array(3).fill(s.first.image));
  expect(deploy(s, digest)).toMatchObject({ code: 0 });
  expect(running(s)).toEqual(Array(3).fill(next.image));
  expect(last(s, "intent")).toMatchObject({
    allowed: { rule: "web-releases" },
    found: {
      checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      count: 3,
      digest: next.image,
      healthy: 3,
      image: s.first.image,
      signed_by: ["release"],
      to: next.image,
      version: "1.4.2",
    },
  });
  const outcome = last(s, "outcome");
  const changed = [{ what: "web image", from: s.first.image, to: next.image }];
  expect(outcome).toMatchObject({ result: "succeeded", code: null, changed });
  expect(outcome.operations?.filter(({ operation }) => operation === "local.process.start").length).toBe(3);
}, 120_000);

test("what is scaled afterwards runs the deployed program, also after the agent was started again", async () => {
  const [image] = running(s);
  scale(s, 4);
  expect(running(s)).toEqual(Array(4).fill(image));
  await s.stopped("SIGTERM");
  await s.start();
  scale(s, 5);
  expect(running(s)).toEqual(Array(5).fill(image));
  scale(s, 3);
}, 180_000);

test("a program that does not stay is rolled back: failed, and what was there runs", () => {
  const [image] = running(s);
  const bad = addProgram(s.artifacts, "bad", "/usr/bin/false");
  expect(deploy(s, released(s, bad))).toMatchObject({ code: 1 });
  expect(last(s, "outcome")).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
  expect(running(s)).toEqual(Array(3).fill(image));
}, 120_000);

test("a dry run goes all the way to what would be permitted, and touches nothing", () => {
  const before = running(s);
  expect(deploy(s, released(s, addProgram(s.artifacts, "dry")), "--dry-run")).toMatchObject({ code: 0 });
  const considered = last(s, "considered");
  expect(considered).toMatchObject({ allowed: { rule: "web-releases" }, found: { signed_by: ["release"], count: 3 } });
  expect(entries(s).filter(({ command, kind }) => command === considered.command && kind === "intent")).toEqual([]);
  expect(running(s)).toEqual(before);
}, 60_000);

test("where the rule asks for people it waits, and is carried out once they have approved", async () => {
  newRules(s, 2, { approval: "{ by: [alice], need: 1, within: 2h }", people: peopleOf(alice) });
  const next = addProgram(s.artifacts, "approved");
  expect(deploy(s, released(s, next))).toMatchObject({ code: 8 });
  const { command = "" } = last(s, "waiting");
  expect(running(s)).not.toContain(next.image);
  expect(approve(s.w, alice, command)).toMatchObject({ code: 0 });
  await s.w.until("it was carried out", () => outcomeOf(s, command) !== undefined, 120);
  expect(outcomeOf(s, command)).toMatchObject({ result: "succeeded" });
  expect(running(s)).toEqual(Array(3).fill(next.image));
}, 180_000);
