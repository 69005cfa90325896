import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { REEVE, ran, send, type World, world } from "../e2e/world.ts";
import { sample } from "./sample.ts";
import { CALLS, enumerate } from "./trace.ts";

/**
 * Kills the compiled agent at each call of one command's road that writes, syncs, renames, unlinks or sends: the calls are enumerated from a
 * trace of a run that was left alone, then each gets a run that ends exactly there. After a restart the log must be whole.
 */
const MAX_POINTS = 24;
let w: World;
beforeAll(async () => {
  w = await world();
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Shown = { kind: string; command?: string; index: number; intent?: number; result?: string };

async function stopAgent(): Promise<void> {
  ran("pkill", "-KILL", "-f", `reeve run --config ${w.config}`);
  await w.until("the agent is gone", () => ran("pgrep", "-f", `reeve run --config ${w.config}`).stdout === "");
}
async function ready(): Promise<void> {
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0);
}
test("kill -9 at each write, sync, rename and send: every intent gets one outcome, and no handler runs twice", async () => {
  w.startAgent();
  await ready();
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  await stopAgent();

  const trace = join(w.folder, "trace");
  w.startAgent("strace", "-f", "-o", trace, "-e", `trace=${CALLS.join(",")}`);
  await ready();
  expect(send(w, "scale", "--group", "brokers", "--count", "2").code).toBe(0);
  await stopAgent();
  const counts = enumerate(readFileSync(trace, "utf8"));
  const points = [...counts].flatMap(([call, count]) =>
    Array.from({ length: count }, (_, at) => ({ call, when: at + 1 })),
  );
  console.log(`      ${points.length} points: ${[...counts].map(([call, count]) => `${call} ${count}`).join(", ")}`);
  expect(points.length).toBeGreaterThan(10);

  let died = 0;
  let wanted = 2;
  const chosen = sample(points, MAX_POINTS);
  for (const { call, when } of chosen) {
    rmSync(join(w.folder, "runtime/status.json"), { force: true });
    wanted = wanted === 2 ? 1 : 2;
    const sent = w.vendor(
      "send",
      "--keys",
      w.keys,
      "--cluster",
      "prod-eu-1",
      "--by",
      "m",
      "--why",
      "crash",
      "--json",
      "scale",
      "--group",
      "brokers",
      "--count",
      String(wanted),
    );
    expect(sent.code).toBe(0);
    const id = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(sent.stdout)?.[0] ?? "";
    const child = w.startAgent(
      "strace",
      "-f",
      "-o",
      "/dev/null",
      "-e",
      `trace=${call}`,
      "-e",
      `inject=${call}:signal=SIGKILL:when=${when}`,
    );
    // strace itself stays as long as the workload that it followed: what counts is whether the agent is there.
    const alive = (): boolean => ran("pgrep", "-f", `^${REEVE} run --config ${w.config}`).stdout !== "";
    await w.until("the agent has started", () => alive() || child.exitCode !== null || child.signalCode !== null);
    const ended = (): boolean => !alive();
    const decided = (): boolean =>
      (w.entries() as Shown[]).some(
        (entry) => entry.command === id && (entry.kind === "outcome" || entry.kind === "refused"),
      );
    await w.until(`it dies at ${call} ${when}, or is done`, () => ended() || decided(), 30);
    if (ended()) died++;
    await stopAgent();
    w.startAgent();
    await ready();
    await w.until(`the command is decided after ${call} ${when}`, decided, 30);
    await stopAgent();

    const all = w.entries() as Shown[];
    const intents = all.filter((entry) => entry.kind === "intent");
    const outcomes = all.filter((entry) => entry.kind === "outcome");
    expect(new Set(intents.map((entry) => entry.command)).size).toBe(intents.length);
    expect(outcomes.map((entry) => entry.intent).sort()).toEqual(intents.map((entry) => entry.index).sort());
    const outcome = outcomes.find((entry) => entry.command === id);
    // What the record says is what is there: one process more or less than the command wanted only when the record says so.
    if (outcome?.result === "succeeded") expect(w.pids().length).toBe(wanted);
    else wanted = w.pids().length;
    expect(w.pids().length).toBeLessThanOrEqual(2);
    if (wanted !== 1 && wanted !== 2) wanted = 2;
  }
  console.log(
    `      ${points.length} points enumerated, ${chosen.length} tried, ${died} killed the agent there, all survived`,
  );
  expect(died).toBeGreaterThan(chosen.length / 2);
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
}, 900_000);
