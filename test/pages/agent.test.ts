import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { DiskError } from "../../agent/host/host.ts";
import { METRICS_SECONDS } from "../../agent/limits.ts";
import { metricsFile } from "../../agent/metrics.ts";
import type { Status } from "../../agent/status.ts";
import { CONTROL, running, type World, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

setDefaultTimeout(300_000);
let w: World;
const children: ChildProcess[] = [];
beforeAll(async () => {
  requireDebian({ promtool: "prometheus", "prometheus-node-exporter": "prometheus-node-exporter" });
  w = await world();
});
afterAll(async () => {
  for (const child of children) {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
  await w?.end();
});

/** A real node_exporter with its textfile collector alone; what it says when it is asked. */
async function nodeExporter(folder: string): Promise<() => Promise<string>> {
  const only = ["--collector.disable-defaults", "--collector.textfile", `--collector.textfile.directory=${folder}`];
  const child = spawn("prometheus-node-exporter", [...only, "--web.listen-address=127.0.0.1:0"], {
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  const port = await new Promise<string>((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
      const found = /127\.0\.0\.1:([1-9]\d*)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", () => reject(new Error(`node_exporter ended: ${said}`)));
  });
  return async () => (await fetch(`http://127.0.0.1:${port}/metrics`, { keepalive: false })).text();
}

test("a running agent keeps its numbers in a file that promtool and a real node_exporter take, and that holds no secret", async () => {
  const runtime = join(w.folder, "runtime");
  const file = join(runtime, "metrics.prom");
  const text = (): string => readFileSync(file, "utf8");
  const agent = w.startAgent();
  const says = (line: string): boolean => readdirSync(w.folder).includes("runtime") && text().includes(`\n${line}\n`);
  await w.until(
    "it says that it is ready",
    () => w.reeve(["status"], "--json").code === 0 && says('reeve_agent_state{state="ready"} 1'),
    120,
  );
  const exporter = await nodeExporter(runtime);
  const who = ["--dir", w.data, "--keys", w.keys, "--cluster", "prod-eu-1", "--by", "m", "--why", "w", "--wait"];
  const sent = await running(CONTROL, "send", ...who, "scale", "--group", "brokers", "--count", "9");
  expect(sent.code).toBe(1);
  await w.until(
    "its refusal is counted",
    () => says('reeve_agent_refused_total{code="policy.count.above-max"} 1'),
    120,
  );
  expect(statSync(file).mode & 0o777).toBe(0o644);
  const checked = await running("/bin/sh", "-c", 'exec promtool check metrics < "$0"', file);
  expect([checked.code, checked.stdout + checked.stderr]).toEqual([0, ""]);
  for (const line of [
    "reeve_agent_epoch 1",
    "reeve_agent_in_contact 1",
    "reeve_agent_log_reserve_whole 1",
    "reeve_agent_intake_full 0",
  ])
    expect([line, says(line)]).toEqual([line, true]);
  const until = Number(/^reeve_agent_certificate_expiry_timestamp_seconds (\S+)$/m.exec(text())?.[1]);
  expect(until).toBeGreaterThan(Date.now() / 1000 + 3600);
  const read = await exporter();
  expect(read).toContain("node_textfile_scrape_error 0");
  expect(read).toContain('reeve_agent_state{state="ready"} 1');
  expect(read).toContain('cluster="prod-eu-1"');
  // Neither groups nor people, no key, no digest: nothing that the policy or a command names.
  for (const word of ["brokers", "vendor.example", "sha256", "spiffe", "clients"])
    expect([word, text().includes(word)]).toEqual([word, false]);
  expect(readdirSync(runtime).filter((name) => name.endsWith(".prom"))).toEqual(["metrics.prom"]);
  agent.kill("SIGTERM");
  await w.until("it says that it has stopped", () => says('reeve_agent_state{state="stopped"} 1'), 120);
});

const STATUS: Omit<Status, "since"> = {
  state: "ready",
  ...{ reason: "", pid: 1, version: "0.1.0", cluster: "c", agent: null, epoch: 1, policy: null },
  ...{
    out_of_contact: null,
    last_contact: null,
    log: null,
    witnesses: [],
    running: 0,
    waiting: [],
    rates: [],
    recent: [],
  },
  ...{ intake: { taken: 0, of: 1, full: false }, refused: { commands: 0, unread: 0, trust: 0 } },
};

test("a disk that does not take the numbers stops nothing, and is said once; what is ours to mend is thrown", () => {
  let now = 1_795_000_000_000;
  let fault: Error | null = new DiskError("ENOSPC", "metrics.prom", "no space");
  const said: string[] = [];
  let written = 0;
  const disk = {
    replace() {
      if (fault !== null) throw fault;
      written += 1;
    },
  };
  const file = metricsFile(
    disk as never,
    "metrics.prom",
    () => now,
    (level, words) => said.push(`${level} ${words}`),
  );
  const later = (): void => {
    now += METRICS_SECONDS * 1000;
    file.take(STATUS);
  };
  for (let at = 0; at < 3; at++) later();
  expect(said).toEqual(["warn the numbers for the monitoring cannot be written"]);
  fault = null;
  later();
  expect(written).toBe(1);
  // Not more often than that, but at once when the state is another.
  file.take(STATUS);
  expect(written).toBe(1);
  file.take({ ...STATUS, state: "suspended" });
  expect(written).toBe(2);
  fault = new TypeError("ours");
  expect(later).toThrow(TypeError);
});

test("each refusal is counted by its code, of what is written from this start on", () => {
  let text = "";
  const disk = {
    replace(_path: string, bytes: Uint8Array) {
      text = Buffer.from(bytes).toString();
    },
  };
  const file = metricsFile(
    disk as never,
    "metrics.prom",
    () => 1_795_000_000_000,
    () => undefined,
  );
  const bodies = [
    { kind: "rejected", code: "open.signature" },
    { kind: "intent" },
    { kind: "trust-refused", code: "trust.version" },
  ];
  file.count(bodies as unknown as EntryBody[]);
  file.count([bodies[0]] as unknown as EntryBody[]);
  file.take(STATUS);
  expect(text).toContain('\nreeve_agent_refused_total{code="open.signature"} 2\n');
  expect(text).toContain('\nreeve_agent_refused_total{code="trust.version"} 1\n');
  // There from the start, so that the first one is a rise.
  expect(text).toContain('\nreeve_agent_refused_total{code="gate.operation"} 0\n');
});
