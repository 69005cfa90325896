/** The control plane is away, longer than a certificate lives. Its own clock is behind by almost a day: what it issues has little left. */
import { afterEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { send, type World, type WorldOptions, world } from "../e2e/world.ts";
import { atAnotherTime } from "./time.ts";

const LONG = 90;
/** What a certificate has left when it is issued; the token is made at another time, so that a slow machine has enough to join by. */
const LEFT_SECONDS = 20;
const TOKEN_SECONDS = 600;
const leaving = (seconds: number): string[] => atAnotherTime(`-${86_400 - seconds}s`);
let w: World;
let options: WorldOptions;
afterEach(async () => {
  await w?.end();
}, 60_000);

async function start(): Promise<void> {
  options = { under: leaving(LEFT_SECONDS) };
  w = await world(options);
  options.under = leaving(TOKEN_SECONDS);
  const token = w.vendor("token", "--cluster", "prod-eu-1", "--ttl", "24h");
  writeFileSync(w.token, token.stdout.trim(), { mode: 0o600 });
  w.startAgent();
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0, LONG);
}
type Slot = { chain: string[] };
type Stored = { current: Slot; next: Slot | null };
const stored = () => JSON.parse(readFileSync(join(w.state, "identity/agent.json"), "utf8")) as Stored;
/** Milliseconds since 1970, read by node's own parser. */
function notAfter(): number {
  const { current, next } = stored();

  const leaf = new X509Certificate(Buffer.from((next ?? current).chain[0] ?? "", "base64"));
  return leaf.validToDate.getTime();
}
type Fleet = { clusters: { epoch: number; alarms: unknown[] }[] };
const fleet = () => (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];
type Told = { state: string; out_of_contact: { reason: string } | null };
const told = () => JSON.parse(readFileSync(join(w.folder, "runtime/status.json"), "utf8")) as Told;
const said = () => (existsSync(join(w.folder, "agent.err")) ? readFileSync(join(w.folder, "agent.err"), "utf8") : "");

test("a certificate that expired while the control plane was away: past the grace it is not renewed and nothing changes, within it it is, and the same epoch goes on", async () => {
  await start();
  await w.stopControl();
  await w.until("it is past its end", () => Date.now() > notAfter() + 1000, LONG);
  expect(told().out_of_contact).not.toBeNull();
  // To the control plane's clock the grace is over.
  options.under = atAnotherTime("+8d");
  await w.startControl();
  await w.until("it says so", () => said().includes("Cannot renew: by the control plane's clock"), LONG);
  expect(said()).toMatch(/reeve leave.{1,4}, and a new join token/);
  expect(fleet()).toMatchObject({ epoch: 1, alarms: [] });
  expect(w.entries().some(({ kind }) => kind === "intent")).toBe(false);
  await w.stopControl();
  options.under = [];
  await w.startControl();
  await w.until("it is renewed", () => notAfter() > Date.now() + 3_600_000, LONG);
  await w.until("it is in contact", () => told().out_of_contact === null, LONG);
  const done = send(w, "scale", "--group", "brokers", "--count", "2");
  expect([done.code, w.pids().length]).toEqual([0, 2]);
  expect(fleet()).toMatchObject({ epoch: 1, alarms: [] });
  expect(w.entries().some(({ kind }) => kind === "renewed")).toBe(true);
}, 300_000);
