import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { REEVE, ran, send, type World, world } from "../e2e/world.ts";
import { sample } from "./sample.ts";
import { CALLS, enumerate } from "./trace.ts";
import { TEARS, type Tear, tear, unsynced } from "./unsynced.ts";

/**
 * The compiled agent killed as each sync begins, and then the power with it: what the trace says was written and not synced is cut, or
 * pages of it are missing. What was synced stays, and after a restart every command has one outcome.
 */
const SYNCS = ["fdatasync", "fsync"];
const MAX_POINTS = 12;
let w: World;
beforeAll(async () => {
  w = await world();
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Shown = { kind: string; command?: string; index: number; intent?: number; result?: string };
const AGENT = (): string => `^${REEVE} run --config ${w.config}`;
const alive = (): boolean => ran("pgrep", "-f", AGENT()).stdout !== "";
async function stopAgent(): Promise<void> {
  await w.until(
    "the agent is gone",
    () => {
      ran("pkill", "-KILL", "-f", `reeve run --config ${w.config}`);
      return ran("pgrep", "-f", `reeve run --config ${w.config}`).stdout === "";
    },
    60,
  );
  rmSync(join(w.folder, "runtime/status.json"), { force: true });
}
async function ready(): Promise<void> {
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0, 60);
}
const decided = (id: string): boolean =>
  (w.entries() as Shown[]).some(
    (entry) => entry.command === id && (entry.kind === "outcome" || entry.kind === "refused"),
  );
function ask(count: number): string {
  const who = ["--keys", w.keys, "--cluster", "prod-eu-1", "--by", "m", "--why", "crash", "--json"];
  const sent = w.vendor("send", ...who, "scale", "--group", "brokers", "--count", String(count));
  expect(sent.code).toBe(0);
  return /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(sent.stdout)?.[0] ?? "";
}
/** The newest segment's bytes. */
function segment(): Buffer {
  const folder = join(w.state, "audit");
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .at(-1);
  return readFileSync(join(folder, newest ?? ""));
}

test("killed at a sync and cut below it: what was synced is there, each command has one outcome, and the agent is not locked out", async () => {
  w.startAgent();
  await ready();
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  await stopAgent();
  const trace = join(w.folder, "trace");
  const watched = ["strace", "-f", "-y", "-o", trace, "-e", `trace=${CALLS.join(",")}`];
  const first = ask(2);
  w.startAgent(...watched);
  await w.until("the command is decided", () => decided(first), 60);
  await stopAgent();
  const counts = enumerate(readFileSync(trace, "utf8"));
  const syncs = SYNCS.flatMap((call) =>
    Array.from({ length: counts.get(call) ?? 0 }, (_, at) => ({ call, when: at + 1 })),
  );
  expect(syncs.length).toBeGreaterThan(8);
  const points = syncs.flatMap((point) => TEARS.map((how) => ({ ...point, how })));
  let [wanted, torn, bytes] = [2, 0, 0];
  for (const { call, when, how } of sample(points, MAX_POINTS)) {
    wanted = wanted === 2 ? 1 : 2;
    const id = ask(wanted);
    rmSync(trace);
    w.startAgent(...watched, "-e", `inject=${call}:signal=SIGKILL:when=${when}`);
    await w.until(
      "it dies at the sync, or is done",
      () => (existsSync(trace) && readFileSync(trace, "utf8").includes("killed by SIGKILL")) || decided(id),
      60,
    );
    await stopAgent();
    const cut = unsynced(readFileSync(trace, "utf8"), w.state);
    const log = segment();
    const kept = cut.find(({ path }) => path.endsWith(".jsonl"))?.synced ?? log.length;
    for (const file of cut) {
      torn++;
      bytes += file.present - file.synced;
      tear(file, how as Tear);
    }
    w.startAgent();
    await ready();
    await w.until(`the command is decided after ${call} ${when}, ${how}`, () => decided(id), 60);
    expect(alive()).toBe(true);
    await stopAgent();
    expect(segment().subarray(0, kept).equals(log.subarray(0, kept))).toBe(true);
    const all = w.entries() as Shown[];
    const intents = all.filter((entry) => entry.kind === "intent");
    const outcomes = all.filter((entry) => entry.kind === "outcome");
    expect(new Set(intents.map((entry) => entry.command)).size).toBe(intents.length);
    expect(outcomes.map((entry) => entry.intent).sort()).toEqual(intents.map((entry) => entry.index).sort());
    expect(w.pids().length).toBeLessThanOrEqual(2);
    wanted = w.pids().length;
  }
  console.log(`      ${syncs.length} syncs enumerated, ${torn} files torn, ${bytes} bytes in all, all survived`);
  expect(torn).toBeGreaterThan(0);
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
}, 1_800_000);
