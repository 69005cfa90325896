import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../agent/host/real.ts";
import { REEVE, ran, send, type World, world } from "../e2e/world.ts";

/** The compiled agent and control plane over a log whose segments, and with them its keys, change every few entries. */
let w: World;
beforeAll(async () => {
  w = await world({ config: "log: { retention: 8d, segment: 6KiB }\n" });
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

const audit = (): string => join(w.state, "audit");
const segments = (): string[] => realDisk.list(audit()).filter((name) => name.endsWith(".jsonl"));

async function ready(): Promise<void> {
  await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0, 60);
}

test("commands are carried out over many segments and kill -9, every entry is handed in, and the control plane follows each key", async () => {
  w.startAgent();
  await ready();
  let sent = 0;
  const command = (): void => {
    sent += 1;
    expect(send(w, "scale", "--group", "brokers", "--count", String(1 + (sent % 2)))).toMatchObject({ code: 0 });
  };
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 4; n++) command();
    ran("pkill", "-KILL", "-f", `^${REEVE} run --config ${w.config}`);
    await w.until(
      "the agent is gone",
      () => ran("pgrep", "-f", `^${REEVE} run --config ${w.config}`).stdout === "",
      60,
    );
    w.startAgent();
    await ready();
  }
  command();
  expect(segments().length).toBeGreaterThan(5);
  const entries = w.entries() as { kind: string; key?: string; index: number }[];
  const keys = entries.filter(({ kind }) => kind === "segment").map(({ key }) => key);
  expect(new Set(keys).size).toBe(segments().length - 1);
  expect(entries.filter(({ kind }) => kind === "outcome").length).toBe(sent);
  expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
  // Nobody was alarmed, and the control plane has all of it.
  const fleet = w.vendor("fleet", "--json");
  expect(fleet.code).toBe(0);
  expect(fleet.stdout).not.toContain("log-");
  expect(readFileSync(join(w.folder, "agent.err"), "utf8")).not.toContain("Cannot go on");
}, 300_000);

test("a state folder moves to another disk with its keys; without the newest key the agent does not go on, and says what to do", async () => {
  ran("pkill", "-TERM", "-f", `^${REEVE} run --config ${w.config}`);
  const identity = join(w.state, "identity/agent.json");
  await w.until("the agent is gone", () => ran("pgrep", "-f", `^${REEVE} run --config ${w.config}`).stdout === "", 60);
  const kept = readFileSync(identity);
  const stored = JSON.parse(kept.toString("utf8"));
  expect(stored.next_log_key).toBeNull();
  const { newLogKeyPem } = await import("../../agent/identity/keys.ts");
  realDisk.replace(identity, Buffer.from(JSON.stringify({ ...stored, log_key: newLogKeyPem() })), 0o600);
  const child = w.startAgent();
  await w.until("the agent is gone", () => child.exitCode !== null, 60);
  expect(child.exitCode).toBe(7);
  expect(readFileSync(join(w.folder, "agent.err"), "utf8")).toContain("restore both, or `reeve leave` and join anew");
  // As an agent wrote it before segments had keys: without the field it is read.
  const { next_log_key: _, ...older } = stored;
  realDisk.replace(identity, Buffer.from(JSON.stringify(older)), 0o600);
  w.startAgent();
  await ready();
  expect(send(w, "scale", "--group", "brokers", "--count", "2")).toMatchObject({ code: 0 });
}, 120_000);
