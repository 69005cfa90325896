import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { REEVE, ran, send, type World, world, writePolicy } from "../e2e/world.ts";
import { messageFor, type Person, peopleOf, person, place, signature } from "../owner/people.ts";
import { sample } from "./sample.ts";
import { CALLS, enumerate } from "./trace.ts";

/** Of a run without --all. */
const MAX_POINTS = 24;

/**
 * Kills the compiled agent at each call, from its start on, by which an approved command that waited takes the road again: while it reads
 * the log, records the signature, writes the intent, acts, and writes the outcome.
 */
const RULES = `  - id: any
    why: Every change is asked.
    allow: scale
    group: brokers
    count: { min: 1, max: 2 }
    change: { up: 1, down: 1 }
    rate: 1000 per hour
    when: always
    approval: { by: [alice], need: 1, within: 2h }`;

let w: World;
let alice: Person;
beforeAll(async () => {
  w = await world({ rules: RULES.replace("approval: { by: [alice], need: 1, within: 2h }", "approval: none") });
  alice = person(w.folder, "alice");
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Shown = {
  kind: string;
  command?: string;
  approves?: string;
  digest?: string;
  index: number;
  intent?: number;
  result?: string;
  approved?: { entry: number; person: string }[];
};
const AGENT = (): string => `^${REEVE} run --config ${w.config}`;
const alive = (): boolean => ran("pgrep", "-f", AGENT()).stdout !== "";
async function kill(): Promise<void> {
  ran("pkill", "-KILL", "-f", `reeve run --config ${w.config}`);
  await w.until("the agent is gone", () => ran("pgrep", "-f", `reeve run --config ${w.config}`).stdout === "");
  rmSync(join(w.folder, "runtime/status.json"), { force: true });
}
async function start(): Promise<void> {
  w.startAgent();
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0);
}
const entries = (): Shown[] => w.entries() as Shown[];
const decided = (id: string): boolean =>
  entries().some(({ kind, command }) => command === id && (kind === "outcome" || kind === "refused"));

/** A command that waits; then the agent is killed, and the approval placed. */
async function approvedWhileAway(count: number): Promise<string> {
  const sent = send(w, "scale", "--group", "brokers", "--count", String(count));
  expect(sent.code).toBe(8);
  const id = (JSON.parse(sent.stdout) as { command: string }).command;
  await kill();
  place(w, `${id}.alice`, signature(alice, messageFor(w, alice, id)));
  return id;
}

test("kill -9 at each write, sync, rename and send of an approved command: one intent, one outcome, one approval on record", async () => {
  await start();
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  writePolicy(w, RULES, 2, { people: peopleOf(alice) });
  let count = 2;
  const traced = await approvedWhileAway(count);
  const trace = join(w.folder, "trace");
  w.startAgent("strace", "-f", "-o", trace, "-e", `trace=${CALLS.join(",")}`);
  await w.until("it is decided", () => decided(traced), 40);
  await kill();
  const calls = enumerate(readFileSync(trace, "utf8"));
  const points = [...calls].flatMap(([call, times]) =>
    Array.from({ length: times }, (_, at) => ({ call, when: at + 1 })),
  );
  console.log(`      ${points.length} points: ${[...calls].map(([call, times]) => `${call} ${times}`).join(", ")}`);
  expect(points.length).toBeGreaterThan(10);

  await start();
  let died = 0;
  const chosen = sample(points, MAX_POINTS);
  for (const { call, when } of chosen) {
    count = w.pids().length === 1 ? 2 : 1;
    const id = await approvedWhileAway(count);
    w.startAgent(
      "strace",
      "-f",
      "-o",
      "/dev/null",
      "-e",
      `trace=${call}`,
      "-e",
      `inject=${call}:signal=SIGKILL:when=${when}`,
    );
    await w.until("the agent has started", alive).catch(() => undefined);
    await w.until(`it dies at ${call} ${when}, or is done`, () => !alive() || decided(id), 40);
    if (!alive()) died++;
    await kill();
    await start();
    await w.until(`the command is decided after ${call} ${when}`, () => decided(id), 40);

    const all = entries();
    const own = all.filter(({ command, approves }) => command === id || approves === id);
    const [intent, ...more] = own.filter(({ kind }) => kind === "intent");
    const outcomes = own.filter(({ kind }) => kind === "outcome");
    const approvals = own.filter(({ kind }) => kind === "approval");
    expect([more.length, outcomes.map((one) => one.intent), approvals.length]).toEqual([0, [intent?.index], 1]);
    expect(intent?.approved).toEqual([{ entry: approvals[0]?.index ?? -1, person: "alice" }]);
    expect((approvals[0]?.index ?? 0) < (intent?.index ?? 0)).toBe(true);
    if (outcomes[0]?.result === "succeeded") expect(w.pids().length).toBe(count);
  }
  console.log(
    `      ${points.length} points enumerated, ${chosen.length} tried, ${died} killed the agent there, all survived`,
  );
  expect(died).toBeGreaterThan(chosen.length / 2);
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
}, 900_000);
