/**
 * kill -9 at each sync of a first start, through the enrolment, the log's beginning and a renewal: the answer that was under way is lost,
 * and what was not yet durable too. An honest agent is never locked out by that, and never taken for a copy.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type Machine, type World, world } from "../e2e/world.ts";
import { atAnotherTime } from "./time.ts";

const LONG = 90;
const SYNCS = 15;
let w: World;
beforeAll(async () => {
  // What it issues has an hour left, so that it is renewed at once.
  w = await world({ under: atAnotherTime("-23h") });
}, 120_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
type Fleet = { clusters: { epoch: number; alarms: { kind: string }[] }[] };
const fleet = () => (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];
/** Whether its log, as far as there is one, tells of a renewal. */
const hasRenewed = (one: Machine): boolean =>
  one.reeve(["audit", "show"], "--json").stdout.includes('"kind":"renewed"');

test("kill -9 at each sync of a first start: each machine enrols once, renews, and goes on", async () => {
  let killed = 0;
  let renewedBefore = 0;
  for (let at = 1; at <= SYNCS; at++) {
    const token = w.vendor("token", "--cluster", "prod-eu-1", "--ttl", "24h").stdout.trim();
    const machine = w.newMachine(`m${at}`, token);
    writeFileSync(machine.token, token, { mode: 0o600 });
    const inject = `inject=fdatasync:signal=SIGKILL:when=${at}`;
    const strace = ["strace", "-f", "-qq", "-e", "trace=fdatasync", "-e", inject, "-o", "/dev/null"];
    const first = machine.startAgent(...strace);
    const renewed = () => hasRenewed(machine);
    await w.until(
      "it was killed, or came beyond",
      () => first.exitCode !== null || first.signalCode !== null || renewed(),
      LONG,
    );
    if (first.exitCode !== null || first.signalCode !== null) killed++;
    if (renewed()) renewedBefore++;
    first.kill("SIGTERM");
    await ended(first);
    const second = machine.startAgent();
    await w.until(`m${at} is ready`, () => machine.reeve(["status"], "--json").code === 0, LONG);
    await w.until(`m${at} has renewed`, renewed, LONG);
    // One epoch for each machine, however often it asked; nobody was taken for a thief, or for two.
    expect(fleet()?.epoch).toBe(at);
    expect(fleet()?.alarms.filter(({ kind }) => kind !== "fenced-agent")).toEqual([]);
    second.kill("SIGTERM");
    await ended(second);
  }
  // Both sides of the renewal were met.
  expect(killed).toBeGreaterThan(8);
  expect(renewedBefore).toBeGreaterThan(0);
}, 560_000);
