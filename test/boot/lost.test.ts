/**
 * kill -9 at each sync of a first start, through the enrolment, the log's beginning and a renewal: the answer that was under way is lost,
 * and what was not yet durable too. An honest agent is never locked out by that, and never taken for a copy.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../../control/sqlite.ts";
import { type Machine, type World, world } from "../e2e/world.ts";
import { age } from "./aged.ts";
import { ended } from "./ran.ts";

const LONG = 90;
/** Of a first start, and of one whose certificate has an hour left, so that it is renewed at once. */
const SYNCS = 14;
const RENEWAL_SYNCS = 10;
let w: World;
beforeAll(async () => {
  w = await world();
}, 120_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Fleet = { clusters: { epoch: number; alarms: { kind: string }[] }[] };
const fleet = () => (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];
/** Whether its log, as far as there is one, tells of a renewal. */
const hasRenewed = (one: Machine): boolean =>
  one.reeve(["audit", "show"], "--json").stdout.includes('"kind":"renewed"');

const isReady = (one: Machine): boolean => one.reeve(["status"], "--json").code === 0;
const isOver = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;
const newMachine = (name: string): Machine => {
  const token = w.vendor("token", "--cluster", "prod-eu-1", "--ttl", "24h").stdout.trim();
  const machine = w.newMachine(name, token);
  writeFileSync(machine.token, token, { mode: 0o600 });
  return machine;
};
/** Killed at its `at`-th sync, or stopped once it came `beyond` that. Whether it was killed. */
async function killedAt(machine: Machine, at: number, beyond: () => boolean): Promise<boolean> {
  const inject = `inject=fdatasync:signal=SIGKILL:when=${at}`;
  const agent = machine.startAgent("strace", "-f", "-qq", "-e", "trace=fdatasync", "-e", inject, "-o", "/dev/null");
  await w.until("it was killed, or came beyond", () => isOver(agent) || beyond(), LONG);
  const killed = isOver(agent);
  agent.kill("SIGTERM");
  await ended(agent);
  return killed;
}
async function stopped(agent: ChildProcess): Promise<void> {
  agent.kill("SIGTERM");
  await ended(agent);
}
/** One epoch for each machine, however often it asked; nobody was taken for a thief, or for two. */
function holds(epoch: number): void {
  expect(fleet()?.epoch).toBe(epoch);
  expect(fleet()?.alarms.filter(({ kind }) => kind !== "fenced-agent")).toEqual([]);
}
let epochs = 0;

test("kill -9 at each sync of a first start: each machine enrols once, and goes on", async () => {
  let killed = 0;
  for (let at = 1; at <= SYNCS; at++) {
    const machine = newMachine(`m${at}`);
    if (await killedAt(machine, at, () => isReady(machine))) killed++;
    const second = machine.startAgent();
    await w.until(`m${at} is ready`, () => isReady(machine), LONG);
    holds(++epochs);
    await stopped(second);
  }
  expect(killed).toBeGreaterThan(5);
}, 560_000);

test("kill -9 at each sync of a start that renews: each machine has renewed in the end, and nobody is taken for two", async () => {
  let killed = 0;
  let renewedBefore = 0;
  for (let at = 1; at <= RENEWAL_SYNCS; at++) {
    const machine = newMachine(`r${at}`);
    const first = machine.startAgent();
    await w.until(`r${at} is ready`, () => isReady(machine), LONG);
    await stopped(first);
    const store = await openSqlite(join(w.data, "state.db"));
    // A certificate of the epoch that acts, whose end is near.
    await age({ dir: w.data, store }, "prod-eu-1", join(machine.state, "identity"), Date.now() + 3_600_000);
    store.close();
    const renewed = () => hasRenewed(machine);
    if (await killedAt(machine, at, renewed)) killed++;
    if (renewed()) renewedBefore++;
    const last = machine.startAgent();
    await w.until(`r${at} has renewed`, renewed, LONG);
    await w.until(`r${at} is ready`, () => isReady(machine), LONG);
    holds(++epochs);
    await stopped(last);
  }
  // Both sides of the renewal were met.
  expect(killed).toBeGreaterThan(2);
  expect(renewedBefore).toBeGreaterThan(0);
}, 560_000);
