import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CONTROL, ran, send, type World, world } from "../e2e/world.ts";
import { sample } from "./sample.ts";
import { CALLS, enumerate } from "./trace.ts";

/**
 * The compiled control plane killed at each call by which it makes something durable or says it, from its start through one command's
 * way: enumerated from a trace. Started again, it knows what it said: the command ends once, nothing that was handed in is missing.
 */
const MAX_POINTS = 12;
let w: World;
beforeAll(async () => {
  w = await world();
}, 60_000);
afterAll(async () => {
  if (w !== undefined) await killed();
  await w?.end();
}, 60_000);

type Shown = { kind: string; command?: string; index: number; intent?: number };
const serving = (): string[] =>
  ran("pgrep", "-f", `^${CONTROL} serve --dir ${w.data}`).stdout.split("\n").filter(Boolean);
async function killed(): Promise<void> {
  for (const pid of serving()) ran("kill", "-KILL", pid);
  await w.until("the control plane is gone", () => serving().length === 0, 60);
}
function traced(...words: string[]): ChildProcess {
  const at = ["--enrol", w.ports.enrol, "--agents", w.ports.agents, "--bind", "127.0.0.1"];
  return spawn("strace", ["-D", "-f", ...words, CONTROL, "serve", "--dir", w.data, ...at], { stdio: "ignore" });
}
function ask(count: number): string {
  const who = ["--keys", w.keys, "--cluster", "prod-eu-1", "--by", "m", "--why", "crash", "--json"];
  const sent = w.vendor("send", ...who, "scale", "--group", "brokers", "--count", String(count));
  expect(sent.code).toBe(0);
  return /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(sent.stdout)?.[0] ?? "";
}
/** What the control plane holds, read beside it. */
function held(id: string): { state: string; entries: number; whole: string } {
  const database = new Database(join(w.data, "state.db"), { readonly: true });
  // Whoever opens it first after a kill goes over the journal alone.
  database.run("pragma busy_timeout = 10000");
  try {
    const one = database.query<{ state: string }, [string]>("select state from commands where id = ?").get(id);
    const count = database.query<{ n: number }, []>("select count(*) as n from entries").get();
    const whole = database.query<{ integrity_check: string }, []>("pragma integrity_check").get();
    return { state: one?.state ?? "", entries: count?.n ?? -1, whole: whole?.integrity_check ?? "" };
  } finally {
    database.close();
  }
}

test("kill -9 of the control plane at each write, sync, rename and send: the command ends once, and it knows so", async () => {
  w.startAgent();
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0, 60);
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  await killed();
  const trace = join(w.folder, "control.trace");
  traced("-o", trace, "-e", `trace=${CALLS.join(",")}`);
  await w.until("it serves", () => serving().length > 0, 60);
  const done = (id: string): boolean => held(id).state === "succeeded";
  const first = ask(2);
  await w.until("the command is done", () => done(first), 90);
  await killed();
  const counts = enumerate(readFileSync(trace, "utf8"));
  const points = [...counts].flatMap(([call, count]) =>
    Array.from({ length: count }, (_, at) => ({ call, when: at + 1 })),
  );
  console.log(`      ${points.length} points: ${[...counts].map(([call, count]) => `${call} ${count}`).join(", ")}`);
  expect(points.length).toBeGreaterThan(20);
  let [wanted, died] = [2, 0];
  const chosen = sample(points, MAX_POINTS);
  for (const { call, when } of chosen) {
    wanted = wanted === 2 ? 1 : 2;
    const child = traced("-o", "/dev/null", "-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${when}`);
    const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
    await w.until("it has begun", () => serving().length > 0 || gone(), 60);
    const id = ask(wanted);
    await w.until(`it dies at ${call} ${when}, or is done`, () => gone() || done(id), 90);
    if (gone()) died++;
    await killed();
    await w.startControl();
    await w.until(`the command is done after ${call} ${when}`, () => done(id), 120);
    const all = w.entries() as Shown[];
    const intents = all.filter((entry) => entry.kind === "intent");
    expect(intents.filter((entry) => entry.command === id).length).toBe(1);
    expect(all.filter((entry) => entry.kind === "outcome").length).toBe(intents.length);
    expect(w.pids().length).toBe(wanted);
    expect(held(id).whole).toBe("ok");
    await w.until("all entries are handed in", () => held(id).entries === w.entries().length, 60);
    await killed();
  }
  console.log(
    `      ${points.length} points enumerated, ${chosen.length} tried, ${died} killed it there, all survived`,
  );
  expect(died).toBeGreaterThan(chosen.length / 2);
  await w.startControl();
  await w.until("there is contact", () => w.reeve(["status"], "--json").stdout.includes('"out_of_contact":null'), 90);
  expect(ran(CONTROL, "fleet", "--dir", w.data, "--json").stdout).not.toMatch(/log-(?:shorter|forked)/);
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
}, 1_800_000);
