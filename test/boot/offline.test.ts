/** The control plane is away, longer than a certificate lives: one that has seconds left when the agent starts beside nobody. */
import { afterEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../../control/sqlite.ts";
import { send, type World, type WorldOptions, world } from "../e2e/world.ts";
import { age } from "./aged.ts";
import { ended } from "./ran.ts";
import { atAnotherTime } from "./time.ts";

const LONG = 90;
const LEFT_SECONDS = 10;
let w: World;
let options: WorldOptions;
afterEach(async () => {
  await w?.end();
}, 60_000);

async function start(): Promise<void> {
  options = {};
  w = await world(options);
  const first = w.startAgent();
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0, LONG);
  // No command leaves before the log's first entry was handed in.
  await w.until("its log was heard", () => (fleet()?.entries ?? 0) > 0, LONG);
  first.kill("SIGTERM");
  await ended(first);
  await w.stopControl();
  const store = await openSqlite(join(w.data, "state.db"));
  await age({ dir: w.data, store }, "prod-eu-1", join(w.state, "identity"), Date.now() + LEFT_SECONDS * 1000);
  store.close();
  w.startAgent();
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
type Fleet = { clusters: { epoch: number; entries: number; alarms: unknown[] }[] };
const fleet = () => (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];
type Told = { state: string; out_of_contact: { reason: string } | null };
const told = (): Told | null => {
  const path = join(w.folder, "runtime/status.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Told) : null;
};
const said = () => (existsSync(join(w.folder, "agent.err")) ? readFileSync(join(w.folder, "agent.err"), "utf8") : "");

test("a certificate that expired while the control plane was away: past the grace it is not renewed and nothing changes, within it it is, and the same epoch goes on", async () => {
  await start();
  await w.until("it is past its end", () => Date.now() > notAfter() + 1000, LONG);
  await w.until("it is out of contact", () => (told()?.out_of_contact ?? null) !== null, LONG);
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
  await w.until("it is in contact", () => told()?.out_of_contact === null, LONG);
  const done = send(w, "scale", "--group", "brokers", "--count", "2");
  expect([done.code, w.pids().length]).toEqual([0, 2]);
  expect(fleet()).toMatchObject({ epoch: 1, alarms: [] });
  expect(w.entries().some(({ kind }) => kind === "renewed")).toBe(true);
}, 300_000);
