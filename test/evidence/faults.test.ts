import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { REEVE, ran, type World, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

/**
 * The compiled agent on disks that fail: real ones (a full tmpfs, a read-only mount), and errors of single system calls that strace
 * injects. Whatever happens, what was begun gets one outcome, what is on record stays, and nothing runs that could not be recorded.
 */
const SECONDS = 60;
let w: World;
let segment = "";
let count = 0;

beforeAll(async () => {
  if (process.getuid?.() !== 0) throw new Error("mounting and tracing need root");
  requireDebian({ strace: "strace" });
  w = await world();
  segment = join(w.state, "audit/00000000000000000000.jsonl");
  const agent = await started(w.startAgent());
  await commanded();
  await stopped(agent);
}, 120_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Shown = { kind: string; command?: string; index: number; intent?: number; result?: string; code?: string };
const entries = (): Shown[] => w.entries() as Shown[];
const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function started(child: ChildProcess): Promise<ChildProcess> {
  const ready = (): boolean => w.reeve(["status"], "--json").code === 0;
  await w.until("the agent is ready or gone", () => ready() || isOver(child), SECONDS);
  return child;
}

async function stopped(child: ChildProcess): Promise<void> {
  // Under strace it is the agent that is told, not its tracer.
  ran("pkill", "-TERM", "-f", `^${REEVE} run --config ${w.config}`);
  await gone(child);
}

async function gone(child: ChildProcess): Promise<number | null> {
  await w.until("the agent is gone", () => isOver(child), SECONDS);
  rmSync(join(w.folder, "runtime/status.json"), { force: true });
  return child.exitCode;
}

/** Asks for one process more or less, and returns the command's id without waiting for what becomes of it. */
function asked(): string {
  count = w.pids().length === 1 ? 2 : 1;
  const flags = ["--keys", w.keys, "--cluster", "prod-eu-1", "--by", "m", "--why", "faults", "--json"];
  const sent = w.vendor("send", ...flags, "scale", "--group", "brokers", "--count", String(count));
  expect(sent).toMatchObject({ code: 0 });
  return (JSON.parse(sent.stdout) as { command: string }).command;
}

const ofCommand = (id: string): Shown[] => entries().filter(({ command }) => command === id);
const isDecided = (id: string): boolean => ofCommand(id).some(({ kind }) => kind === "outcome" || kind === "refused");

async function commanded(): Promise<string> {
  const id = asked();
  await w.until("the command is decided", () => isDecided(id), SECONDS);
  return id;
}

/** One intent at most and one outcome for each, and a log that is whole. */
function holds(id: string): void {
  const kinds = ofCommand(id).map(({ kind }) => kind);
  expect(kinds).toEqual(["intent", "outcome"]);
  const open = entries().filter(({ kind }) => kind === "intent");
  const outcomes = entries().filter(({ kind }) => kind === "outcome");
  expect(outcomes.map(({ intent }) => intent).sort()).toEqual(open.map(({ index }) => index).sort());
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
}

/** Which of the writes to the segment, from the agent's start on, holds the entry of this kind: of a run that was left alone. */
async function writeOf(kind: string): Promise<number> {
  const trace = join(w.folder, "trace");
  const flags = ["-o", trace, "-s", "65536", "-P", segment, "-e", "trace=write"];
  const agent = await started(w.startAgent("strace", ...flags));
  await commanded();
  await stopped(agent);
  const writes = readFileSync(trace, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("write("));
  const at = writes.findIndex((line) => line.includes(`\\"kind\\":\\"${kind}\\"`));
  expect(at).toBeGreaterThanOrEqual(0);
  return at + 1;
}

function injected(call: string, error: string, when: number): ChildProcess {
  const inject = `inject=${call}:error=${error}:when=${when}`;
  const trace = join(w.folder, "injected");
  return w.startAgent("strace", "-o", trace, "-s", "65536", "-P", segment, "-e", `trace=${call}`, "-e", inject);
}

test("a disk that is full exactly at the outcome: the reserve is given up, and the outcome is on record", async () => {
  const agent = await started(injected("write", "ENOSPC", await writeOf("outcome")));
  const id = await commanded();
  holds(id);
  const refusedOnce = readFileSync(join(w.folder, "injected"), "utf8")
    .split("\n")
    .find((line) => line.includes("INJECTED"));
  expect(refusedOnce).toContain('\\"kind\\":\\"outcome\\"');
  expect(ofCommand(id).at(-1)).toMatchObject({ kind: "outcome", result: "succeeded" });
  expect(isOver(agent)).toBe(false);
  // There is room, after all: the reserve comes back, and the next command is carried out.
  await w.until("the reserve is back", () => existsSync(join(w.state, "audit/ballast")), SECONDS);
  holds(await commanded());
  await stopped(agent);
}, 300_000);

test("EIO on the write or the sync of an intent or an outcome ends the agent with 7; the next start ends what was begun, once", async () => {
  const times = { intent: await writeOf("intent"), outcome: await writeOf("outcome") };
  for (const call of ["write", "fdatasync"]) {
    for (const kind of ["intent", "outcome"] as const) {
      const before = w.pids().length;
      // Each write of a group is followed by its sync.
      const agent = await started(injected(call, "EIO", times[kind]));
      const id = asked();
      expect({ call, kind, exit: await gone(agent) }).toEqual({ call, kind, exit: 7 });
      if (kind === "intent") expect(w.pids().length).toBe(before);
      const again = await started(w.startAgent());
      await w.until("the command is decided", () => isDecided(id), SECONDS);
      holds(id);
      await stopped(again);
    }
  }
}, 300_000);

test("a second agent over the same log is refused while the first lives, with 7", async () => {
  const agent = await started(w.startAgent());
  const second = w.startAgent();
  await w.until("the second is gone", () => isOver(second), SECONDS);
  expect(second.exitCode).toBe(7);
  expect(isOver(agent)).toBe(false);
  holds(await commanded());
  await stopped(agent);
}, 120_000);

test("logrotate's copytruncate, a move, a removal under the running agent: nothing is begun, it ends with 7, and goes on once the file is back", async () => {
  const kept = join(w.folder, "kept.jsonl");
  const acts = [
    () => truncateSync(segment, 0),
    () => renameSync(segment, `${segment}.1`),
    () => rmSync(segment),
    () => truncateSync(segment, 100),
  ];
  for (const [at, act] of acts.entries()) {
    const agent = await started(w.startAgent());
    const before = w.pids().length;
    copyFileSync(segment, kept);
    act();
    const id = asked();
    expect({ at, exit: await gone(agent) }).toEqual({ at, exit: 7 });
    expect(w.pids().length).toBe(before);
    // Who comes first says it: the next entry's writer, or who reads entries to hand them in.
    expect(readFileSync(join(w.folder, "agent.err"), "utf8")).toMatch(/under the running agent|ENOENT/);
    // Started over what is left it does not begin anew either: the heads know of more.
    const over = w.startAgent();
    expect({ at, exit: await gone(over) }).toEqual({ at, exit: 7 });
    copyFileSync(kept, segment);
    rmSync(`${segment}.1`, { force: true });
    const again = await started(w.startAgent());
    await w.until("the command is decided", () => isDecided(id), SECONDS);
    holds(id);
    await stopped(again);
  }
}, 300_000);

test("over a read-only mount the agent does not start, says so, and changes nothing", async () => {
  expect(ran("mount", "--bind", w.state, w.state).code).toBe(0);
  try {
    expect(ran("mount", "-o", "remount,bind,ro", w.state).code).toBe(0);
    const agent = w.startAgent();
    expect(await gone(agent)).toBe(7);
    expect(readFileSync(join(w.folder, "agent.err"), "utf8")).toContain("EROFS");
  } finally {
    ran("umount", "-l", w.state);
  }
  const again = await started(w.startAgent());
  holds(await commanded());
  await stopped(again);
}, 120_000);

test("on a real full disk no intent is written, what is refused is on record, and with room again it goes on", async () => {
  const small = join(w.folder, "small");
  mkdirSync(small, { mode: 0o700 });
  expect(ran("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", small).code).toBe(0);
  try {
    expect(ran("cp", "-a", `${w.state}/.`, small).code).toBe(0);
    expect(ran("mount", "--bind", small, w.state).code).toBe(0);
    const agent = await started(w.startAgent());
    holds(await commanded());
    ran("dd", "if=/dev/zero", `of=${join(w.state, "fill")}`, "bs=4096");
    const before = w.pids().length;
    // The last block of the log's file has room for an entry or more: until that is used up, commands are carried out.
    let refused: Shown | undefined;
    let last = before;
    for (let n = 0; n < 40 && refused === undefined; n++) {
      last = w.pids().length;
      const id = await commanded();
      refused = ofCommand(id).find(({ kind }) => kind === "refused");
    }
    expect(refused).toMatchObject({ code: "log.no-space" });
    expect(w.pids().length).toBe(last);
    expect(isOver(agent)).toBe(false);
    rmSync(join(w.state, "fill"));
    await w.until("the reserve is back", () => existsSync(join(w.state, "audit/ballast")), SECONDS);
    holds(await commanded());
    await stopped(agent);
  } finally {
    ran("umount", "-l", w.state);
    ran("umount", "-l", small);
  }
}, 300_000);
