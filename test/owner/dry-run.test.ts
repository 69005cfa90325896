import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RULES, send, type World, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

requireDebian({ strace: "strace" });

let w: World;
let trace: string;
const policy = (dryRun: "allowed" | "refused", revision: number): void =>
  writeFileSync(
    join(w.owner, "policy.yaml"),
    `version: 1
revision: ${revision}
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: ${dryRun}
rules:
${RULES}
tests: []
`,
    { mode: 0o644 },
  );
beforeAll(async () => {
  w = await world();
  trace = join(w.folder, "trace");
  // Every file that the agent opens, so that what was not read is seen not to have been read.
  w.startAgent("strace", "-f", "-qq", "--seccomp-bpf", "-D", "-e", "trace=openat,open", "-o", trace);
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0, 60);
}, 90_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Shown = { kind: string; code?: string; command?: string; index: number; first?: number | null; found?: unknown };
const entries = (): Shown[] => w.entries() as Shown[];
const last = (): Shown => entries().at(-1) ?? { kind: "none", index: -1 };
const many = (kind: string): number => entries().filter((entry) => entry.kind === kind).length;
const zone = (): string => readFileSync(join(w.folder, "zone/example.com.zone"), "utf8");
/** How often the agent has opened a file of this name. */
const opened = (name: string): number => (existsSync(trace) ? readFileSync(trace, "utf8").split(name).length - 1 : 0);
const record = (name: string, ...more: string[]) =>
  send(
    w,
    "update-dns",
    ...["--zone", "example.com", "--name", name, "--type", "A", "--change", "create", "--value", "10.20.0.5"],
    ...more,
  );

describe("a dry run, through the compiled executables", () => {
  test("what would be permitted is considered: found is said, nothing is changed, no intent is written", () => {
    const before = zone();
    const sent = record("b1.brokers.example.com", "--dry-run");
    expect(sent.code).toBe(0);
    expect(JSON.parse(sent.stdout)).toMatchObject({
      state: "considered",
      entry: { kind: "considered", found: { record: null } },
    });
    expect(zone()).toBe(before);
    expect(opened("example.com.zone")).toBeGreaterThan(0);
    const scaled = send(w, "scale", "--group", "brokers", "--count", "2", "--dry-run");
    expect(JSON.parse(scaled.stdout)).toMatchObject({
      entry: { kind: "considered", allowed: { rule: "brokers-grow" } },
    });
    expect(w.pids()).toEqual([]);
    expect([many("intent"), many("outcome")]).toEqual([0, 0]);
  }, 60_000);

  test("what a rule refuses is refused as the command itself would be, before anything is read", () => {
    const before = opened("example.com.zone");
    const sent = record("www.example.com", "--dry-run");
    expect([sent.code, last().kind, last().code]).toEqual([1, "refused", "policy.names"]);
    expect(record("www.example.com").code).toBe(1);
    expect(last().code).toBe("policy.names");
    expect(send(w, "scale", "--group", "brokers", "--count", "9", "--dry-run").code).toBe(1);
    expect([last().code, last().found]).toEqual(["policy.count.above-max", null]);
    expect(opened("example.com.zone")).toBe(before);
    expect([many("intent"), w.pids().length]).toEqual([0, 0]);
  }, 60_000);

  test("what depends on the state is refused by what was found", () => {
    expect(send(w, "scale", "--group", "brokers", "--count", "4", "--dry-run").code).toBe(1);
    expect([last().code, last().found]).toEqual(["policy.change.up", "0"]);
  }, 60_000);

  test("a policy with `dry_run: refused` refuses it, although it permits the command itself, and nothing is read", () => {
    policy("refused", 2);
    const before = opened("example.com.zone");
    const sent = record("b1.brokers.example.com", "--dry-run");
    expect([sent.code, last().kind, last().code]).toEqual([1, "refused", "match.dry-run"]);
    expect(opened("example.com.zone")).toBe(before);
    const text = w.vendor(
      "send",
      ...["--keys", w.keys, "--cluster", "prod-eu-1", "--wait", "--dry-run"],
      ...["scale", "--group", "brokers", "--count", "1"],
    );
    expect(text.stderr).toBe(
      `error: Cannot scale brokers to 1: the customer's policy refuses dry runs.
  found not read   asked 1   limit dry_run: refused   changed nothing   entry ${last().index}   code match.dry-run
hint: Ask prod-eu-1's owner to set dry_run: allowed.
`,
    );
    expect(record("b1.brokers.example.com").code).toBe(0);
    expect(zone()).toContain("10.20.0.5");
    policy("allowed", 3);
  }, 60_000);

  test("its id is used up, whether it was considered or refused: the same bytes again are refused as replayed", async () => {
    const decided = entries().filter((entry) => entry.kind === "considered" || entry.code === "match.dry-run");
    for (const entry of [
      decided.find((one) => one.kind === "considered"),
      decided.find((one) => one.kind === "refused"),
    ]) {
      const id = entry?.command ?? "";
      const before = entries().length;
      expect(w.vendor("send", "--keys", w.keys, "--cluster", "prod-eu-1", "--replay", id).code).toBe(0);
      await w.until("it is refused", () => entries().length > before);
      expect(last()).toMatchObject({ kind: "refused", code: "verify.replayed", command: id, first: entry?.index });
    }
  }, 60_000);

  test("a suspended agent refuses a dry run too", () => {
    expect(w.reeve(["suspend"]).code).toBe(0);
    expect(send(w, "scale", "--group", "brokers", "--count", "1", "--dry-run").code).toBe(1);
    expect(last().code).toBe("verify.suspended");
    expect(w.reeve(["resume"]).code).toBe(0);
  }, 60_000);
});
