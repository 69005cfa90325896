/** Two that hold one identity, as real processes of the compiled executables: a cloned disk, a restored snapshot, a second process. */
import { afterEach, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, REEVE, running, send, type World, world } from "../e2e/world.ts";
import { ended } from "./ran.ts";

const LONG = 60;
let w: World;
afterEach(async () => {
  await w?.end();
}, 60_000);

const ready = (one: Machine) => w.until("the agent says ready", () => one.reeve(["status"], "--json").code === 0, LONG);
const stopped = (child: ChildProcess): Promise<number | null> => {
  child.kill("SIGTERM");
  return ended(child);
};
type Told = { clusters: { state: string; epoch: number; reason: string | null; alarms: { kind: string }[] }[] };
const fleet = () => (JSON.parse(w.vendor("fleet", "--json").stdout) as Told).clusters[0];
const kinds = () => fleet()?.alarms.map(({ kind }) => kind);
const scale = (count: number) => send(w, "scale", "--group", "brokers", "--count", `${count}`);
/** Sends without waiting: the command's id. */
function sent(count: number): string {
  const who = ["--keys", w.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "load"];
  const done = w.vendor("send", ...who, "scale", "--group", "brokers", "--count", `${count}`);
  if (done.code !== 0) throw new Error(done.stderr);
  return done.stdout.trim();
}
type Commands = { commands: { command: string; state: string; code: string | null }[] };
const stateOf = (id: string) =>
  (JSON.parse(w.vendor("fleet commands", "--cluster", "prod-eu-1", "--json").stdout) as Commands).commands.find(
    ({ command }) => command === id,
  );
/** Stops an agent while its poll is held: the command is handed out to it, and it does not so much as see it yet. */
async function sentWhileHeld(agent: ChildProcess, count: number): Promise<string> {
  for (let tries = 0; tries < 10; tries++) {
    agent.kill("SIGSTOP");
    const id = sent(count);
    for (let looks = 0; looks < 50; looks++) {
      if (stateOf(id)?.state === "handed-out") return id;
      await Bun.sleep(100);
    }
    // It was stopped between two polls.
    if (w.vendor("cancel", id).code !== 0) throw new Error(`${id} cannot be taken back`);
    agent.kill("SIGCONT");
    await Bun.sleep(500);
  }
  throw new Error("the agent held no poll in any try");
}
/** The machine's whole state folder, as a disk is cloned or a snapshot taken. Sockets and locks are no part of what a kernel gives on. */
function clone(from: Machine, to: Machine): void {
  rmSync(to.state, { recursive: true, force: true });
  cpSync(from.state, to.state, { recursive: true });
}
const operations = (one: Machine, id: string): unknown[] =>
  one
    .entries()
    .filter((entry) => entry["kind"] === "outcome" && entry["command"] === id)
    .flatMap((entry) => entry["operations"] as unknown[]);

test("a command in the hands of an agent whose disk was cloned meanwhile runs on one of the two, whichever comes first, and both are fenced", async () => {
  w = await world();
  const original = w.startAgent();
  await ready(w);
  expect(scale(1).code).toBe(0);
  const copy = w.newMachine("copy", "none");
  const id = await sentWhileHeld(original, 3);
  clone(w, copy);
  const second = copy.startAgent();
  await w.until("the copy carries it out", () => operations(copy, id).length > 0, LONG);
  original.kill("SIGCONT");
  expect([await ended(original), await ended(second)]).toEqual([6, 6]);
  // The process that both disks know of, and two by the copy; two more would be the original's.
  expect(w.pids().length).toBe(3);
  expect(operations(w, id)).toEqual([]);
  expect([fleet()?.state, kinds()]).toEqual(["fenced", expect.arrayContaining(["copy"])]);
  for (const one of [w, copy]) expect(one.reeve(["status"]).stdout).toContain("fenced");
  // Final: neither starts again, and what is sent goes to nobody.
  const later = sent(2);
  expect([await ended(w.startAgent()), await ended(copy.startAgent())]).toEqual([6, 6]);
  expect(stateOf(later)?.state).toBe("queued");
}, 240_000);

test("of a disk that was cloned at rest the first that starts acts until the other does; then neither, and the owner's machine joins anew", async () => {
  w = await world();
  const before = w.startAgent();
  await ready(w);
  expect(await stopped(before)).toBe(0);
  const copy = w.newMachine("copy", "none");
  clone(w, copy);
  const original = w.startAgent();
  await ready(w);
  expect(scale(1).code).toBe(0);
  expect(await ended(copy.startAgent())).toBe(6);
  expect(await ended(original)).toBe(6);
  expect(copy.entries().some(({ kind }) => kind === "intent")).toBe(false);
  expect(readFileSync(join(w.folder, "agent.err"), "utf8")).toContain("two hold the identity of epoch 1");
  expect(fleet()?.reason).toContain("handed in");
  // The vendor's word and the owner's: a new token, on the machine that the owner says is the one.
  expect(w.reeve(["leave"]).code).toBe(0);
  writeFileSync(w.token, w.newToken(), { mode: 0o600 });
  w.startAgent();
  await ready(w);
  // Judged again: a new epoch counts its rates as used up until their window has passed.
  expect([fleet()?.epoch, scale(2).stdout]).toEqual([2, expect.stringContaining("policy.rate")]);
  // What the copy holds is of an epoch that is over.
  expect(await ended(copy.startAgent())).toBe(6);
}, 240_000);

test("a snapshot that was restored is fenced, and carries out nothing", async () => {
  w = await world();
  const first = w.startAgent();
  await ready(w);
  expect(await stopped(first)).toBe(0);
  const older = join(w.folder, "older");
  cpSync(w.state, older, { recursive: true });
  const again = w.startAgent();
  await ready(w);
  expect(scale(1).code).toBe(0);
  expect(await stopped(again)).toBe(0);
  rmSync(w.state, { recursive: true });
  renameSync(older, w.state);
  const id = sent(2);
  expect(await ended(w.startAgent())).toBe(6);
  expect([fleet()?.state, kinds()]).toEqual(["fenced", expect.arrayContaining(["copy"])]);
  expect([w.pids().length, w.entries().some(({ kind }) => kind === "intent")]).toEqual([1, false]);
  expect(stateOf(id)?.state).not.toBe("handed-out");
}, 240_000);

test("a second process on one machine ends at once, and neither sends the token nor says how it is", async () => {
  w = await world();
  w.startAgent();
  await ready(w);
  const status = join(w.folder, "runtime/status.json");
  const said = JSON.parse(readFileSync(status, "utf8")) as { pid: number; state: string };
  writeFileSync(w.token, w.newToken(), { mode: 0o600 });
  const second = await running(REEVE, "run", "--config", w.config);
  expect([second.code, second.stderr]).toEqual([
    7,
    expect.stringContaining("another process of this agent runs on it"),
  ]);
  const left = await running(REEVE, "leave", "--config", w.config);
  expect([left.code, left.stderr]).toEqual([7, expect.stringContaining("another process of this agent runs on it")]);
  expect(existsSync(w.token)).toBe(true);
  expect(JSON.parse(readFileSync(status, "utf8"))).toMatchObject({ pid: said.pid, state: "ready" });
  expect([fleet()?.epoch, kinds(), scale(1).code]).toEqual([1, [], 0]);
}, 120_000);

test("an agent that is killed again and again is never taken for a copy", async () => {
  w = await world();
  for (let round = 0; round < 8; round++) {
    const agent = w.startAgent();
    await ready(w);
    const id = sent(round % 2 === 0 ? 2 : 1);
    // In the midst of it, wherever it is.
    if (round % 2 === 0) await w.until("it is handed out", () => stateOf(id)?.state !== "queued", LONG);
    agent.kill("SIGKILL");
    await ended(agent);
  }
  w.startAgent();
  await ready(w);
  expect([scale(1).code, kinds()]).toEqual([0, []]);
}, 240_000);
