import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REEVE, ran, send, type World, world } from "../e2e/world.ts";

/** Each of the group takes its two seconds to stop. */
const STUBBORN = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n";
type Shown = {
  kind: string;
  result?: string;
  code?: string | null;
  changed?: { what: string; from: string; to: string }[];
  operations?: { operation: string; status: string }[];
};
type Fleet = { clusters: { state: string; reason: string | null; alarms: unknown[] }[] };

let w: World;
beforeAll(async () => {
  w = await world({ workload: STUBBORN });
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

const entries = (): Shown[] => w.entries() as Shown[];
const fleet = (): Fleet["clusters"][number] | undefined =>
  (JSON.parse(w.vendor("fleet", "--json").stdout) as Fleet).clusters[0];

test("suspend refuses every command, says why in the next poll as the customer's own act, and resume takes it back", async () => {
  expect(w.reeve(["suspend"], "--why", "change freeze until Monday").code).toBe(0);
  expect(existsSync(join(w.owner, "on"))).toBe(false);
  const sent = send(w, "scale", "--group", "brokers", "--count", "1");
  expect([sent.code, JSON.parse(sent.stdout).code]).toEqual([1, "verify.suspended"]);
  await w.until("the fleet says so", () => fleet()?.state === "suspended by customer", 40);
  expect(fleet()).toMatchObject({ reason: "change freeze until Monday", alarms: [] });
  const status = w.reeve(["status"]);
  expect([status.code, status.stdout.includes("off: change freeze until Monday")]).toEqual([1, true]);
  expect(w.reeve(["resume"]).code).toBe(0);
  await w.until("status says ready within seconds", () => w.reeve(["status"], "--json").code === 0, 5);
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  expect(entries().filter(({ kind }) => kind === "switch").length).toBeGreaterThanOrEqual(3);
}, 60_000);

test("deleting `on` by any other hand is the same, and a reason with control characters reaches no terminal", async () => {
  writeFileSync(join(w.owner, "suspended"), "red \u001b[31m alert\n", { mode: 0o644 });
  rmSync(join(w.owner, "on"));
  expect(JSON.parse(send(w, "scale", "--group", "brokers", "--count", "2").stdout).code).toBe("verify.suspended");
  const shown = w.reeve(["status"]).stdout;
  expect(shown).not.toContain("\u001b");
  expect(shown).toContain("off: red ");
  expect(w.reeve(["resume"]).code).toBe(0);
  expect(existsSync(join(w.owner, "suspended"))).toBe(false);
}, 60_000);

test("a command with several changing calls stops at the next one, and its outcome says how far it came", async () => {
  await w.until("ready", () => w.reeve(["status"], "--json").code === 0);
  expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
  expect(send(w, "scale", "--group", "brokers", "--count", "4").code).toBe(0);
  const sent = w.vendor(
    "send",
    "--keys",
    w.keys,
    "--cluster",
    "prod-eu-1",
    "scale",
    "--group",
    "brokers",
    "--count",
    "0",
  );
  const id = sent.stdout.trim();
  await w.until("the intent is on record", () =>
    (w.entries() as { kind: string; command?: string }[]).some((e) => e.kind === "intent" && e.command === id),
  );
  await w.until(
    "the first has begun to stop",
    () =>
      ran("sh", "-c", `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '${w.folder}/workload'`).stdout !==
      "0",
  );
  await Bun.sleep(500);
  expect(w.reeve(["suspend"], "--why", "stop now").code).toBe(0);
  await w.until(
    "it has its outcome",
    () => (w.entries() as { kind: string; command?: string }[]).some((e) => e.kind === "outcome" && e.command === id),
    30,
  );
  const outcome = (w.entries() as (Shown & { command?: string })[]).find(
    (e) => e.kind === "outcome" && e.command === id,
  );
  const left = w.pids().length;
  expect(outcome).toMatchObject({
    result: "failed",
    code: "suspended",
    changed: [{ what: "count", from: "4", to: String(left) }],
  });
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(4);
  expect(
    outcome?.operations?.filter(({ operation, status }) => operation === "local.process.stop" && status === "ok")
      .length,
  ).toBe(4 - left);
  expect(w.reeve(["resume"]).code).toBe(0);
}, 90_000);

test("status is one screen: state, policy, what waits, rates used, the last commands, contact, log; --json and --watch say the same", async () => {
  await w.until("ready", () => w.reeve(["status"], "--json").code === 0);
  send(w, "scale", "--group", "brokers", "--count", "9");
  await w.until("it is in the status", () => w.reeve(["status"]).stdout.includes("refused policy.count.above-max"));
  const { stdout } = w.reeve(["status"]);
  for (const words of [
    "state    ready",
    "cluster  prod-eu-1, epoch 1",
    "switch   on",
    "policy   revision 1, sha256:",
    "contact  yes, last 20",
    "log      ",
    "waiting  nothing",
    "rates    used of allowed",
    "  brokers-grow  4 of 1000 per hour",
    "commands newest first",
    "failed suspended",
    "scale brokers to 0",
  ])
    expect(stdout).toContain(words);
  expect(stdout.split("\n").length).toBeLessThan(35);
  const json = JSON.parse(w.reeve(["status"], "--json").stdout);
  expect(json.recent.length).toBeLessThanOrEqual(10);
  expect(json.recent.at(-1)).toMatchObject({ is: "refused", code: "policy.count.above-max", subject: "brokers to 9" });
  expect(json.rates).toContainEqual({ rule: "brokers-grow", used: 4, times: 1000, per: "hour" });
  const watching = ran("timeout", "2.5", REEVE, "status", "--watch", "--json", "--config", w.config);
  expect(JSON.parse(watching.stdout.split("\n")[0] ?? "")).toMatchObject({ state: "ready", alive: true });
}, 60_000);

test("status without an agent, without a config and with a damaged file says what is the case", () => {
  const none = ran(REEVE, "status", "--config", "/nowhere/reeve.yaml");
  expect([none.code, none.stderr.includes("there is no such file")]).toEqual([3, true]);
  const folder = ran(REEVE, "status", "--config", w.folder);
  expect([folder.code, folder.stderr.includes("it is a folder")]).toEqual([3, true]);
  const config = join(w.folder, "other.yaml");
  writeFileSync(config, readFileSync(w.config, "utf8").replace(/^runtime: .*/m, `runtime: ${w.folder}/nothing`));
  const never = ran(REEVE, "status", "--config", config);
  expect([never.code, never.stderr.includes("the agent has never run here")]).toEqual([8, true]);
}, 60_000);
