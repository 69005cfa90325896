import { beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { realHost } from "../../agent/host/real.ts";
import {
  ACCOUNT,
  agentOf,
  COMMANDS,
  type Event,
  event,
  fileOf,
  LOG,
  ROLE_ARN,
  SOMEBODY,
  seconds,
  TRAIL,
  type Written,
  writeTrail,
} from "../audit/cloudtrail.ts";
import { world } from "../audit/world.ts";
import { type Ran, REEVE, ran } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

requireDebian({ time: "time" });

/** A log as the agent writes it, one entry a moment. Returns its folder. */
async function writeLog(written: Written, epoch = 1): Promise<string> {
  let time = seconds(written[0]?.[0] ?? 0);
  const host = realHost();
  const w = await world({ epoch });
  const log = w.open({ ...host, clock: { ...host.clock, now: () => time } }, { segmentBytes: 2048 });
  for (const [at, body] of written) {
    time = seconds(at);
    // Entry 0 is the epoch's: what names another entry names one more.
    log.append([body.kind === "outcome" ? { ...body, intent: body.intent + 1 } : body]);
  }
  log.close();
  return w.folder;
}

let log = "";
let trail = "";
beforeAll(async () => {
  log = await writeLog(LOG);
});
function newTrail(...files: (readonly Event[])[]): string {
  const folder = mkdtempSync(join(tmpdir(), "reeve-trail-"));
  for (const [number, events] of files.entries()) writeTrail(folder, fileOf(...events), number);
  return folder;
}
const reconcile = (folder: string, ...more: string[]): Ran =>
  ran(REEVE, "audit", "reconcile", "--cloudtrail", folder, "--log", log, "--role", ROLE_ARN, ...more);

/** The log's lines, with those that it adds itself when it begins a segment. */
const lines = (): string[] =>
  readdirSync(log)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) => readFileSync(join(log, name), "utf8").trimEnd().split("\n"));

describe("audit reconcile, through the compiled executable", () => {
  test("a log and the trail of the same time: 0 unexplained, 0 missing, exit 0, in packed files in S3's folders", () => {
    trail = newTrail(TRAIL.slice(0, 4), TRAIL.slice(4));
    const done = reconcile(trail);
    expect(done.stderr).toBe("");
    expect(done.code).toBe(0);
    expect(done.stdout).toContain(
      "looked at  10 calls by role reeve of account 111122223333, 6 operations with a request id\n",
    );
    expect(done.stdout).toContain("matched    6  by request id");
    expect(done.stdout).toContain("reads      3  of a command");
    expect(done.stdout.trimEnd().split("\n").at(-1)).toBe("verdict    0 unexplained, 0 missing");
    const named = ran(
      ...[REEVE, "audit", "reconcile", "--cloudtrail", trail, "--log", log],
      ...["--account", ACCOUNT, "--role", "reeve", "--json"],
    );
    expect(named.code).toBe(0);
    expect(JSON.parse(named.stdout)).toMatchObject({
      agrees: true,
      role: { account: ACCOUNT, name: "reeve" },
      log: { entries: lines().length, commands: 4, operations: 6 },
      files: { events: 2, digests: 0, ignored: 0 },
      calls: 10,
      unexplained: { count: 0, shown: [] },
      missing: { count: 0, shown: [] },
    });
  });

  test("a call that the log does not have and an entry that CloudTrail does not have: both are shown, exit 1", () => {
    const root = event("ec2:RunInstances", "req-root", 50, {
      userAgent: `${agentOf(COMMANDS.scale)}\u001b[2Jgone\u202e`,
      sourceIPAddress: "203.0.113.9",
      errorCode: "Client.UnauthorizedOperation\u0007",
    });
    const folder = newTrail([...TRAIL.filter(({ requestID }) => requestID !== "req-change"), root]);
    const done = reconcile(folder);
    expect(done.code).toBe(1);
    expect(done.stdout).toMatch(
      /^unexplained 2025-11-24T09:00:50\.000Z {2}ec2:RunInstances {2}- {2}request req-root {2}event \S+ {2}eu-west-1 from 203\.0\.113\.9 {2}error Client\.UnauthorizedOperation\\u\{7\} {2}as arn:aws:sts::111122223333:assumed-role\/reeve\/i-0abcdef1234567890 {2}agent "reeve/m,
    );
    const entry = lines().findIndex((line) => line.includes("req-change"));
    expect(entry).toBeGreaterThan(6);
    expect(done.stdout).toContain(
      `missing    entry ${entry}  2025-11-24T09:00:34.000Z  route53:ChangeResourceRecordSets`,
    );
    expect(done.stdout).toContain("\\u{1b}[2Jgone\\u{202e}");
    expect(done.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(done.stdout).toContain("verdict    1 unexplained, 1 missing");
    const json = reconcile(folder, "--json");
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      agrees: false,
      unexplained: {
        count: 1,
        shown: [{ operation: "ec2:RunInstances", command: COMMANDS.scale, address: "203.0.113.9" }],
      },
      missing: { count: 1, shown: [{ entry, request: "req-change" }] },
    });
    expect(json.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test("plain files, digests, insights, twice delivered files and others' calls: each is said", () => {
    const folder = newTrail(TRAIL, TRAIL);
    writeFileSync(join(folder, "unpacked.json"), fileOf(...TRAIL.map((one) => ({ ...one, userIdentity: SOMEBODY }))));
    writeFileSync(
      join(folder, "insight.json"),
      fileOf({ eventCategory: "Insight", eventTime: "2025-11-24T08:00:00Z" }),
    );
    writeFileSync(join(folder, "notes.txt"), "copied on Monday\n");
    const digest = { digestStartTime: "2025-11-24T08:00:00Z", digestEndTime: "2025-11-24T09:00:00Z", logFiles: [] };
    writeFileSync(join(folder, "x_CloudTrail-Digest_y.json.gz"), gzipSync(JSON.stringify(digest)));
    const done = reconcile(folder);
    expect(done.code).toBe(0);
    expect(done.stdout).toContain("31 events in 4 files, from 2025-11-24T08:00:00Z to 2025-11-24T09:00:39Z");
    expect(done.stdout).toContain(
      `passed by  1 digest files, 1 insights, 10 delivered twice, 0 outside the period, 1 other files ${folder}/notes.txt`,
    );
  });

  test("a period leaves out what is before and after it", () => {
    const early = event("ec2:RunInstances", "req-early", -86_400, {});
    const folder = newTrail([early, ...TRAIL]);
    expect(reconcile(folder).code).toBe(1);
    const done = reconcile(folder, "--from", "2025-11-24", "--to", "2025-11-25T00:00:00Z");
    expect([done.code, done.stdout.includes("1 outside the period")]).toEqual([0, true]);
    expect(done.stdout).toContain("period     2025-11-24T00:00:00.000Z to 2025-11-25T00:00:00.000Z");
    expect(reconcile(folder, "--from", "2025-11-25", "--to", "2025-11-24").code).toBe(2);
    expect(reconcile(folder, "--from", "yesterday").code).toBe(2);
  });

  test("the log of an epoch before, beside the present one, is looked at too", async () => {
    const present = await writeLog([[7200, LOG[0]?.[1] as Written[number][1]]], 2);
    cpSync(log, join(present, "epoch-1"), { recursive: true });
    const args = ["audit", "reconcile", "--cloudtrail", trail, "--role", ROLE_ARN, "--log"];
    expect(ran(REEVE, ...args, present).code).toBe(0);
    rmSync(join(present, "epoch-1"), { recursive: true });
    const without = ran(REEVE, ...args, present);
    expect(without.code).toBe(1);
    expect(without.stdout).toContain("verdict    9 unexplained, 0 missing");
    expect(without.stdout).toContain("calls before it are of a log that is not here");
  });

  test("the config says where the log is and which role is the agent's", () => {
    const folder = mkdtempSync(join(tmpdir(), "reeve-trail-"));
    cpSync(log, join(folder, "audit"), { recursive: true });
    const config = join(folder, "reeve.yaml");
    const write = (role: string): void =>
      writeFileSync(
        config,
        `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:8443", trust_sha256: ${"A".repeat(43)} }
state: ${folder}
token: { credential: reeve-token }
provider: aws
aws: { account: "${ACCOUNT}", role: ${role}, region: eu-west-1, partition: aws }
`,
        { mode: 0o644 },
      );
    write("reeve");
    const by = (...more: string[]): Ran =>
      ran(REEVE, "audit", "reconcile", "--cloudtrail", trail, "--config", config, ...more);
    expect(by()).toMatchObject({ code: 0, stderr: "" });
    write("another");
    expect(by().stdout).toContain("verdict    0 unexplained, 6 missing");
    expect(by("--role", ROLE_ARN).code).toBe(0);
  });

  test("a role that is not said, or is none, is a matter of usage", () => {
    const args = ["audit", "reconcile", "--cloudtrail", trail, "--log", log];
    for (const more of [
      [],
      ["--role", "reeve"],
      ["--role", `arn:aws:iam::${ACCOUNT}:user/reeve`],
      ["--account", ACCOUNT],
      ["--role", "reeve", "--account", "1"],
      ["--role", "a/b", "--account", ACCOUNT],
    ])
      expect(ran(REEVE, ...args, ...more).code).toBe(2);
    expect(ran(REEVE, "audit", "reconcile", "--role", ROLE_ARN, "--log", log).code).toBe(2);
  });

  test("where there is nothing to look at, it says so with 14, and never 0", () => {
    const empty = mkdtempSync(join(tmpdir(), "reeve-trail-"));
    expect([reconcile(empty).code, reconcile(join(empty, "nowhere")).code]).toEqual([14, 14]);
    writeFileSync(join(empty, "notes.txt"), "");
    expect(reconcile(empty).code).toBe(14);
    const args = ["audit", "reconcile", "--cloudtrail", trail, "--role", ROLE_ARN, "--log"];
    expect(ran(REEVE, ...args, join(empty, "nowhere")).code).toBe(14);
  });
});

/** A packed file of any length: gzip's members one after another, the last of them again and again. */
function packed(path: string, begin: string, piece: Uint8Array, times: number): void {
  writeFileSync(path, gzipSync(begin));
  const member = gzipSync(piece);
  for (let at = 0; at < times; at++) appendFileSync(path, member);
}

const MIB = 1024 * 1024;
type Hostile = readonly [name: string, write: (path: string) => void, because: string];
const HOSTILE: readonly Hostile[] = [
  ["a.json", (path) => writeFileSync(path, "not json"), "it is no JSON object"],
  ["b.json", (path) => writeFileSync(path, ""), "it is no JSON"],
  ["c.json.gz", (path) => writeFileSync(path, gzipSync(fileOf(...TRAIL)).subarray(0, 700)), "it is no whole gzip file"],
  [
    "d.json.gz",
    (path) => {
      const bytes = gzipSync(fileOf(...TRAIL));
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    },
    "it is no whole gzip file",
  ],
  ["e.json", (path) => writeFileSync(path, fileOf({ ...TRAIL[1], eventID: undefined })), "an event's eventID"],
  ["f.json", (path) => symlinkSync("/dev/zero", path), "it is a link"],
  [
    "g.json",
    // 10 GB in one line, which take no room.
    (path) => {
      const descriptor = openSync(path, "w");
      ftruncateSync(descriptor, 10_000 * MIB);
      closeSync(descriptor);
    },
    "it is no JSON object",
  ],
  [
    "h.json",
    (path) => {
      writeFileSync(path, '{"Records":[{"a":"');
      const descriptor = openSync(path, "r+");
      ftruncateSync(descriptor, 10_000 * MIB);
      closeSync(descriptor);
    },
    "an event of more than 2097152 bytes",
  ],
  ["i.json.gz", (path) => packed(path, '{"Records":[{"a":"', Buffer.alloc(64 * MIB, "x"), 32), "an event of more than"],
  [
    "j.json.gz",
    (path) => packed(path, '{"Records":[', Buffer.alloc(64 * MIB, " "), 17),
    "it is longer than 1073741824 bytes when unpacked",
  ],
];

describe("hostile files are refused by name, with 14, in little memory and with nothing concluded", () => {
  test.each([...HOSTILE])(
    "%s",
    (name, write, because) => {
      const folder = newTrail(TRAIL);
      const path = join(folder, name);
      write(path);
      // What was resident at most, in KiB, as the kernel counts it.
      const done = ran("/usr/bin/time", "-f", "%M", REEVE, ...words(folder));
      expect(done.code).toBe(14);
      expect(done.stdout).toBe("");
      expect(done.stderr).toContain(
        `error: Cannot reconcile the log with CloudTrail: ${path} cannot be looked into: ${because}`,
      );
      expect(Number(done.stderr.trim().split("\n").at(-1))).toBeLessThan(400_000);
      rmSync(folder, { recursive: true });
    },
    60_000,
  );

  const words = (folder: string): string[] => [
    ...["audit", "reconcile", "--cloudtrail", folder, "--log", log, "--role", ROLE_ARN],
  ];
});

test("folders that go round or go deep are refused", () => {
  const folder = newTrail(TRAIL);
  symlinkSync(folder, join(folder, "round"));
  expect(reconcile(folder).stderr).toContain(`${folder}/round cannot be looked into: it is a link`);
  rmSync(join(folder, "round"));
  const deep = join(folder, ...Array.from({ length: 40 }, () => "d"));
  mkdirSync(deep, { recursive: true });
  expect(reconcile(folder)).toMatchObject({ code: 14, stderr: expect.stringContaining("it lies too deep") });
});

test("a damaged line of the log is named, and nothing is concluded", async () => {
  const damaged = await writeLog(LOG);
  const copy = join(damaged, "00000000000000000000.jsonl");
  copyFileSync(copy, `${copy}.old`);
  renameSync(`${copy}.old`, join(damaged, "old"));
  appendFileSync(copy, "not an entry\n");
  const done = ran(REEVE, "audit", "reconcile", "--cloudtrail", trail, "--log", damaged, "--role", ROLE_ARN);
  expect([done.code, done.stdout]).toEqual([14, ""]);
  expect(done.stderr).toContain("is no entry (not-json)");
});
