import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OPEN_METRICS_TYPE, openMetrics } from "../../agent/wire/exposition.ts";
import { ROOT } from "../../build/command.ts";
import { newCounts } from "../../control/pages/counts.ts";
import { fleetMetrics, MAX_CLUSTER_SERIES } from "../../control/pages/metrics.ts";
import type { Snapshot } from "../../control/pages/snapshot.ts";
import { countStates, type Standing } from "../../control/pages/standings.ts";
import { running } from "../e2e/world.ts";
import { python } from "../python.ts";
import { requireDebian } from "../tools.ts";
import { oneOfEach } from "./fleet.ts";
import { endPrometheus, prometheus, withoutDelays } from "./prometheus.ts";
import { endPages, filled, paged, people, scratch } from "./stage.ts";

setDefaultTimeout(540_000);
afterAll(async () => {
  await endPrometheus();
  await endPages();
});

/** As the reference parser has it: each family with its type, unit and samples. */
const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]] for f in parse(sys.stdin.read())]))
`;
type Family = readonly [
  string,
  string,
  string,
  readonly (readonly [string, Readonly<Record<string, string>>, number])[],
];

/** Throws when a reader of OpenMetrics does not take it: prometheus_client's parser, which is the reference, and Prometheus' own, by promtool. */
async function held(text: string): Promise<Family[]> {
  requireDebian({ promtool: "prometheus" });
  const folder = scratch();
  writeFileSync(join(folder, "metrics"), text);
  // promtool takes only samples with a time.
  writeFileSync(join(folder, "timed"), text.replace(/^([^#\n].*)$/gm, "$1 1.0"));
  const stored = await running(
    "promtool",
    ...["tsdb", "create-blocks-from", "openmetrics", join(folder, "timed"), join(folder, "tsdb")],
  );
  if (stored.code !== 0) throw new Error(`promtool: ${stored.stdout}${stored.stderr}`);
  const program = python(join(import.meta.dir, "requirements.txt"));
  writeFileSync(join(folder, "parse.py"), PARSE);
  const parsed = await running(
    "/bin/sh",
    "-c",
    `exec "$0" "$1" < "$2"`,
    program,
    join(folder, "parse.py"),
    join(folder, "metrics"),
  );
  if (parsed.code !== 0) throw new Error(`prometheus_client: ${parsed.stderr}`);
  return JSON.parse(parsed.stdout) as Family[];
}

const sampleOf = (
  families: readonly Family[],
  name: string,
  labels: Readonly<Record<string, string>>,
): number | undefined =>
  families
    .flatMap(([, , , samples]) => samples)
    .find(
      ([sample, own]) => sample === name && Object.entries(labels).every(([key, value]) => own[key] === value),
    )?.[2];

test("/metrics is OpenMetrics as the reference parser and Prometheus read it, and says how the fleet stands", async () => {
  const served = await paged(await filled(oneOfEach));
  const answer = await served.get("/metrics");
  expect(answer.headers.get("content-type")).toBe(OPEN_METRICS_TYPE);
  await answer.text();
  // By the second time the first one was counted.
  const text = await (await served.get("/metrics")).text();
  expect(text).toEndWith("\n# EOF\n");
  const families = await held(text);
  const value = (name: string, labels = {}): number | undefined => sampleOf(families, name, labels);
  for (const state of [
    "ready",
    "suspended by customer",
    "waiting for approval",
    "refusing everything",
    "not heard from",
  ])
    expect([state, value("reeve_clusters", { state })]).toEqual([state, 1]);
  for (const state of ["never started", "fenced"]) expect(value("reeve_clusters", { state })).toBe(1);
  expect(value("reeve_cluster_state", { cluster: "off-eu-1", state: "suspended by customer" })).toBe(1);
  expect(value("reeve_cluster_state", { cluster: "off-eu-1", state: "ready" })).toBeUndefined();
  expect(value("reeve_cluster_last_seen_timestamp_seconds", { cluster: "new-eu-1" })).toBeUndefined();
  expect(value("reeve_cluster_last_seen_age_seconds_gcount")).toBe(6);
  expect(value("reeve_cluster_last_seen_age_seconds_bucket", { le: "3600.0" })).toBe(5);
  expect(value("reeve_refusals_total", { code: "policy.count.above-max" })).toBe(4);
  expect(value("reeve_commands", { state: "waiting" })).toBe(1);
  expect(value("reeve_commands", { state: "queued" })).toBe(0);
  expect(value("reeve_alarms", { kind: "copy" })).toBe(1);
  expect(value("reeve_rollouts", { state: "stopped" })).toBe(1);
  expect(value("reeve_rollout_lane_clusters", { rollout: "1", lane: "1", state: "failed" })).toBe(1);
  expect(value("reeve_rollout_lane_clusters", { rollout: "1", lane: "2", state: "pending" })).toBe(2);
  expect(value("reeve_rollout_silent_clusters", { rollout: "1" })).toBe(1);
  expect(value("reeve_http_requests_total", { listener: "pages", route: "/metrics", status: "200" })).toBe(1);
  expect(value("reeve_http_request_duration_seconds_count", { listener: "pages", route: "/metrics" })).toBe(1);
  expect(value("reeve_store_transactions_total", { outcome: "committed" })).toBeGreaterThan(1);
  expect(value("reeve_long_polls_held")).toBe(0);
  // A unit ends its name, and a name is begun once.
  for (const [name, , unit] of families) expect([name, unit === "" || name.endsWith(`_${unit}`)]).toEqual([name, true]);
  expect(new Set(families.map(([name]) => name)).size).toBe(families.length);
  await served.stop();
});

test("ten thousand clusters have a series each, and beyond that only the sums, which say how many are left out", async () => {
  const standing = (at: number): Standing => ({
    ...{ cluster: `c-${at}`, state: "ready", reason: null, epoch: 1, last_seen: 1, version: "0.1.0" },
    ...{ entries: 1, open_commands: 0, alarms: 0 },
  });
  const of = (size: number): string => {
    const standings = Array.from({ length: size }, (_, at) => standing(at));
    const none = {
      commands: new Map(),
      alarms: new Map(),
      refusalTotals: new Map(),
      rolloutStates: new Map(),
      oldestHanded: null,
    };
    const snapshot = {
      at: Date.now(),
      standings,
      states: countStates(standings),
      standing: [],
      refusals: [],
      rollouts: [],
    };
    return openMetrics(fleetMetrics({ ...snapshot, ...none } as Snapshot, newCounts()));
  };
  const [most, beyond] = [of(MAX_CLUSTER_SERIES), of(MAX_CLUSTER_SERIES + 1)];
  expect(most.match(/^reeve_cluster_state\{/gm)).toHaveLength(MAX_CLUSTER_SERIES);
  expect(most).toContain("\nreeve_cluster_series_left_out 0\n");
  expect(beyond.match(/^reeve_cluster_state\{/gm)).toBeNull();
  expect(beyond).toContain(`\nreeve_cluster_series_left_out ${MAX_CLUSTER_SERIES + 1}\n`);
  expect(beyond).toContain(`\nreeve_clusters{state="ready"} ${MAX_CLUSTER_SERIES + 1}\n`);
});

test("a label's value never ends its line, whatever stands in it", async () => {
  const hostile = ['a"} 7\nreeve_x 1', "back\\slash", "cr\rlf\n# EOF\n", "\ud800", "€ ∆"];
  const text = openMetrics([
    {
      name: "reeve_x",
      type: "gauge",
      help: 'its "help"\nof two lines \\',
      samples: hostile.map((label) => ({ labels: { label }, value: 1 })),
    },
  ]);
  const families = await held(text);
  expect(families).toHaveLength(1);
  const labels = families[0]?.[3].map(([, own]) => own["label"]);
  expect(labels).toEqual(['a"} 7\nreeve_x 1', "back\\slash", "cr lf\n# EOF\n", "\ufffd", "€ ∆"]);
});

test("a real Prometheus that scrapes a fleet with one cluster in each state fires exactly the alerts that it should", async () => {
  const { ca, person } = people();
  const served = await paged(await filled(oneOfEach), ["--pages", "127.0.0.1:0", "--pages-ca", ca]);
  const folder = join(scratch(), "prometheus");
  mkdirSync(folder);
  const rules = withoutDelays(join(ROOT, "deploy/alerts/reeve.rules.yml"), join(folder, "rules.yml"));
  const own = person("prometheus");
  const tls = { ca_file: join(served.dir, "ca/root.pem"), cert_file: own.cert, key_file: own.key };
  const job = { job_name: "reeve-control", scheme: "https", tls_config: tls };
  const watching = await prometheus(folder, [{ ...job, static_configs: [{ targets: [served.ready.pages] }] }], [rules]);
  const firing = async (): Promise<string> =>
    [...(await watching.query('count by (alertname) (ALERTS{alertstate="firing"})', "alertname")).keys()]
      .sort()
      .join(" ");
  const expected = [
    "ReeveAlarmStands",
    "ReeveClusterFenced",
    "ReeveClusterNeverStarted",
    "ReeveClusterNotHeardFrom",
    "ReeveClusterRefusesEverything",
    "ReeveClusterSuspended",
    "ReeveClusterWaitsForApproval",
    "ReeveRolloutSilences",
    "ReeveRolloutStopped",
  ].join(" ");
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const end = Date.now() + 120_000;
    while (!(await holds())) {
      if (Date.now() > end) throw new Error(`it never came to be: ${what}; firing: ${await firing()}`);
      await Bun.sleep(250);
    }
  };
  await until("it is scraped", async () => (await watching.query("up", "job")).get("reeve-control") === 1);
  await until("the alerts fire", async () => (await firing()) === expected);
  const pages = await watching.query('ALERTS{alertstate="firing",severity="page"}', "alertname");
  expect([...pages.keys()].sort()).toEqual([
    "ReeveAlarmStands",
    "ReeveClusterFenced",
    "ReeveRolloutSilences",
    "ReeveRolloutStopped",
  ]);
  expect((await watching.query("scrape_samples_scraped", "job")).get("reeve-control")).toBeGreaterThan(60);
  // Without the control plane it is one alert, once those of its clusters have ended.
  await served.stop();
  await until("one alert is left", async () => (await firing()) === "ReeveControlPlaneDown");
  await watching.stop();
});

test("what a rule asks for is there: each name in the alerts is one that is served", () => {
  const names = (file: string): string[] =>
    [...readFileSync(join(ROOT, "deploy/alerts", file), "utf8").matchAll(/\b(reeve_[a-z_]+)\b/g)].map(
      ([, name]) => name ?? "",
    );
  const sources = ["control/pages/metrics.ts", "agent/metrics.ts"].map((file) =>
    readFileSync(join(ROOT, file), "utf8"),
  );
  const said = (name: string): boolean => {
    const bare = name.replace(/_(?:total|info)$/, "");
    return sources.some((text) => text.includes(`"${bare}"`) || text.includes(`"${bare.replace("reeve_agent_", "")}"`));
  };
  const asked = [...names("reeve.rules.yml"), ...names("reeve-agent.rules.yml")];
  expect(asked.length).toBeGreaterThan(25);
  expect(asked.filter((name) => !said(name))).toEqual([]);
});
