import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { OUTCOMES } from "../../agent/audit/filterWords.ts";
import { ROOT } from "../../build/command.ts";
import { type Ran, ran } from "../e2e/world.ts";
import { python } from "../python.ts";
import { DIGEST, intent, outcome, refused, started, type World, world } from "./world.ts";

setDefaultTimeout(500_000);
const REEVE = join(ROOT, "dist", "reeve");
const IDS = Array.from({ length: 10 }, () => Bun.randomUUIDv7());
const id = (number: number): string => IDS[number] ?? "";
let w: World;
let validator: string;

type Intent = Extract<EntryBody, { kind: "intent" }>;
type Outcome = Extract<EntryBody, { kind: "outcome" }>;
type Event = { readonly [name: string]: unknown } & {
  readonly metadata: {
    readonly sequence: number;
    readonly uid: string;
    readonly correlation_uid?: string;
    readonly event_code: string;
  };
  readonly api: { readonly operation: string; readonly request: { readonly uid: string } };
};

const ASKED = {
  dns: { change: "delete", name: "a.prod-eu-1.example.com", ttl: 60, type: "A", values: [], zone: "Z0123456789" },
  certificate: { authority: "ca-1", csr_sha256: "ab".repeat(32), usages: ["server"], validity: 3600 },
};
const operation = (more: object) => ({
  operation: "autoscaling:SetDesiredCapacity",
  resource: "brokers",
  request: "11aa22bb-0000-1111-2222-333344445555",
  status: "ok",
  milliseconds: 41,
  changes: true,
  ...more,
});

/** One entry at least of every kind that gives an event, each way a command can end, and others. */
function everything(): EntryBody[] {
  const ask = intent(id(0)) as Intent;
  const { signed, csr: _, resource: _group, ...asking } = ask;
  const bodies: EntryBody[] = [
    started,
    { kind: "switch", on: true, why: "" },
    { kind: "rejected", code: "open.signature", digest: DIGEST, bytes: 12 },
    refused(id(1)),
    {
      ...(refused(id(2)) as Extract<EntryBody, { kind: "refused" }>),
      rule: null,
      policy: null,
      field: null,
      found: null,
      limit: null,
    },
    { ...asking, kind: "considered", command: id(3), signed },
    {
      ...asking,
      kind: "waiting",
      command: id(4),
      signed,
      resource: "group:brokers",
      approval: { by: ["alice"], need: 1, within: 3600 },
      sentence: "vendor.example may …",
      until: ask.exp,
    },
    {
      kind: "approval",
      approves: id(4),
      code: null,
      digest: DIGEST,
      key: "ssh-ed25519 AAAA",
      person: "alice",
      signature: "AAAA",
    },
    {
      kind: "approval",
      approves: id(4),
      code: "approval.signature",
      digest: DIGEST,
      key: null,
      person: null,
      signature: null,
    },
    { kind: "cancelled", command: id(4) },
    ask,
    {
      ...(outcome(id(0), 11) as Outcome),
      operations: [operation({}), operation({ operation: "autoscaling:DescribeAutoScalingGroups", changes: false })],
    },
    { ...ask, command: id(5), action: "update-dns", asked: ASKED.dns },
    {
      ...(outcome(id(5), 13) as Outcome),
      result: "failed",
      code: "throttled",
      operations: [operation({ operation: "dns.update", request: null, status: "throttled" })],
    },
    { ...ask, command: id(6), action: "issue-certificate", asked: ASKED.certificate },
    { ...(outcome(id(6), 15) as Outcome), result: "unknown", code: "deadline", known_by: "nothing" },
    {
      kind: "gate",
      code: "gate.operation",
      command: id(6),
      operation: "acm-pca:DeleteCertificateAuthority",
      resource: "ca-1",
    },
    { kind: "stopped", why: "told to" },
  ];
  return bodies;
}

function reeve(...words: string[]) {
  return spawnSync(REEVE, ["audit", ...words, "--log", w.folder], {
    env: {},
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
}

function exported(...words: string[]): Event[] {
  const { status, stdout, stderr } = reeve("export", "--format", "ocsf", ...words);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Event]));
}

function faultsOf(events: readonly unknown[]): string[][] {
  const input = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  const { status, stdout, stderr } = spawnSync(validator, [join(import.meta.dirname, "ocsf.py")], {
    input,
    encoding: "utf8",
    timeout: 400_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as string[][];
}

beforeAll(async () => {
  expect(existsSync(REEVE)).toBe(true);
  validator = python(join(import.meta.dirname, "ocsf-requirements.txt"));
  w = await world();
  const log = w.open();
  for (const body of everything()) log.append([body]);
  log.close();
});
afterAll(() => rmSync(dirname(w.folder), { recursive: true, force: true }));

test("every event that is exported is valid against OCSF 1.8.0's published schema, and the validator refuses what is not", () => {
  const events = exported();
  expect(faultsOf(events)).toEqual(events.map(() => []));
  expect(new Set(events.map(({ metadata }) => metadata.event_code))).toEqual(
    new Set(["rejected", "refused", "considered", "waiting", "approval", "cancelled", "intent", "outcome", "gate"]),
  );
  expect(new Set(events.map((event) => event["activity_name"]))).toEqual(
    new Set(["Unknown", "Create", "Read", "Update", "Delete"]),
  );
  const [good] = events;
  const bad = [
    { ...good, class_uid: 6004 },
    { ...good, actor: {} },
    { ...good, src_endpoint: undefined },
    { ...good, severity_id: 7 },
    { ...good, severity: "Bad" },
    { ...good, told: true },
  ];
  expect(faultsOf(bad).map((faults) => faults.length > 0)).toEqual(bad.map(() => true));
});

test("a command's entry is one event with its line of the log, and each operation of an outcome is one with its request id", () => {
  const events = exported();
  const lines = readFileSync(join(w.folder, "00000000000000000000.jsonl"), "utf8").trimEnd().split("\n");
  const whole = events.filter((event) => "raw_data" in event);
  for (const event of whole) {
    expect(event["raw_data"]).toBe(lines[event.metadata.sequence]);
    const digest = new Bun.CryptoHasher("sha256").update(String(event["raw_data"])).digest("hex");
    expect(event["raw_data_hash"]).toMatchObject({ algorithm: "SHA-256", value: digest });
  }
  expect(whole.map(({ metadata }) => metadata.sequence)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
  const operations = events.filter((event) => !("raw_data" in event));
  expect(
    operations.map(({ metadata, api }) => [metadata.uid, metadata.correlation_uid, api.operation, api.request.uid]),
  ).toEqual([
    [
      "prod-eu-1/epoch/1/entry/12/operation/0",
      id(0),
      "autoscaling:SetDesiredCapacity",
      "11aa22bb-0000-1111-2222-333344445555",
    ],
    [
      "prod-eu-1/epoch/1/entry/12/operation/1",
      id(0),
      "autoscaling:DescribeAutoScalingGroups",
      "11aa22bb-0000-1111-2222-333344445555",
    ],
    ["prod-eu-1/epoch/1/entry/14/operation/0", id(5), "dns.update", id(5)],
  ]);
  expect(operations.map((event) => [event["activity_name"], event["status"]])).toEqual([
    ["Update", "Success"],
    ["Read", "Success"],
    ["Delete", "Failure"],
  ]);
  const ended = events.find(({ metadata }) => metadata.sequence === 12);
  expect(ended).toMatchObject({
    api: { operation: "scale", request: { data: { count: 4, group: "brokers" } } },
    actor: { user: { credential_uid: "cmd-1", name: "maria" } },
    policy: { name: "brokers-grow", uid: DIGEST },
    status: "Success",
  });
});

test("time, action, command and outcome leave entries out, of export and show alike", () => {
  const of = (...words: string[]) => [...new Set(exported(...words).map(({ metadata }) => metadata.sequence))];
  const shown = (...words: string[]) =>
    reeve("show", "--json", ...words)
      .stdout.split("\n")
      .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as { index: number; time: string }]));
  for (const outcomeWord of OUTCOMES) {
    const indexes = of("--outcome", outcomeWord);
    expect(indexes.length).toBeGreaterThan(0);
    expect(shown("--outcome", outcomeWord).map(({ index }) => index)).toEqual(indexes);
  }
  expect(of("--outcome", "refused")).toEqual([3, 4, 5, 17]);
  // An outcome does not say the action: its intent does.
  expect(of("--action", "update-dns")).toEqual([13, 14]);
  expect(of("--action", "scale", "--outcome", "succeeded")).toEqual([12]);
  expect(of("--command", id(4))).toEqual([7, 8, 9, 10]);
  expect(of("--outcome", "failed", "--action", "scale")).toEqual([]);
  const all = shown();
  const [middle] = all.slice(9);
  const before = shown("--until", middle?.time ?? "");
  const after = shown("--since", middle?.time ?? "");
  expect(before.every(({ time }) => time < (middle?.time ?? ""))).toBe(true);
  expect([...before, ...after].map(({ index }) => index)).toEqual(all.map(({ index }) => index));
  for (const words of [
    ["--outcome", "good"],
    ["--action", "reboot"],
    ["--since", "yesterday"],
    ["--until", "2026-02-30"],
  ])
    expect([words, reeve("export", "--format", "ocsf", ...words).status]).toEqual([words, 2]);
  expect(reeve("export").status).toBe(2);
  expect(reeve("export", "--format", "csv").status).toBe(2);
});

test("a bad line ends the export with its place, after all that is good before it", async () => {
  const bad = await world();
  const log = bad.open();
  log.append(everything());
  log.close();
  const path = join(bad.folder, "00000000000000000000.jsonl");
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const events = (): Ran => ran(REEVE, "audit", "export", "--format", "ocsf", "--log", bad.folder);
  const whole = events();
  expect(whole.code).toBe(0);
  writeFileSync(path, `${lines.join("\n")}\nno entry\n`);
  const cut = events();
  expect(cut.code).toBe(1);
  expect(cut.stdout).toBe(whole.stdout);
  expect(cut.stdout.length).toBeGreaterThan(1000);
  expect(cut.stderr).toContain(`line ${lines.length} in 00000000000000000000.jsonl is no entry`);
  rmSync(dirname(bad.folder), { recursive: true });
});

test("a reader that goes away ends the export, and a log that is not there is said", async () => {
  const long = await world();
  const log = long.open();
  log.append(Array.from({ length: 2000 }, () => refused(Bun.randomUUIDv7())));
  log.close();
  const words = ["audit", "export", "--format", "ocsf", "--log", long.folder];
  const script = `"$0" "$@" | head -n 1 | wc -l; echo "\${PIPESTATUS[0]}"`;
  const ended = spawnSync("/bin/bash", ["-c", script, REEVE, ...words], {
    env: { PATH: "/usr/bin:/bin" },
    encoding: "utf8",
  });
  expect({ stdout: ended.stdout, stderr: ended.stderr }).toEqual({ stdout: "1\n0\n", stderr: "" });
  expect(
    spawnSync(REEVE, words, { env: {}, maxBuffer: 1 << 26 })
      .stdout.toString()
      .split("\n").length,
  ).toBe(2001);
  rmSync(dirname(long.folder), { recursive: true, force: true });
  const nowhere = spawnSync(REEVE, ["audit", "export", "--format", "ocsf", "--log", "/nowhere"], {
    env: {},
    encoding: "utf8",
  });
  expect(nowhere.status).toBe(14);
  expect(nowhere.stderr).toContain("/nowhere cannot be read (ENOENT)");
});
