/** `reeve doctor`, compiled, against the world that stands for AWS: moto's IAM judges each read, IAM's simulator is an evaluator of others. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { REEVE, running, type Says, writePolicy } from "../e2e/world.ts";
import { SIGNERS } from "../policy/deploy-world.ts";
import { type Document, providerLines, rulesFor, widened } from "./stage.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import type { Document as Simulated } from "./world/simulator.ts";
import { startWorld, type World } from "./world/world.ts";

let moto: Moto;
let cloud: World;
let folder: string;
let permissions: Document;

/** Granted besides, by whoever wants changes asked about. */
const SIMULATE = "iam:SimulatePrincipalPolicy";
const READS = [
  "autoscaling:DescribeAutoScalingGroups",
  "autoscaling:DescribeScalingActivities",
  "acm-pca:DescribeCertificateAuthority",
  "acm-pca:GetCertificateAuthorityCertificate",
  "acm-pca:GetCertificate",
  "route53:GetHostedZone",
  "route53:ListResourceRecordSets",
  "route53:GetChange",
];
const CHANGES = ["autoscaling:SetDesiredCapacity", "acm-pca:IssueCertificate", "route53:ChangeResourceRecordSets"];

function write(more: object = {}, rules = rulesFor(cloud), says: Says = {}): void {
  const place = `{ cloud: aws, account: "${cloud.account}", region: ${cloud.region} }`;
  writePolicy({ owner: join(folder, "owner") }, rules, 1, { place, ...says });
  const config = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
state: ${folder}/state
runtime: ${folder}/run
owner: { directory: ${folder}/owner }
token: { file: ${folder}/token }
${providerLines(cloud, more)}`;
  writeFileSync(join(folder, "reeve.yaml"), config, { mode: 0o644 });
}

type Line = { check: string; level: string; looked_at: string; found: string; hint: string | null };

/** What it says of the provider, without what a machine that is slow just now did not answer in time. */
async function doctor(): Promise<Line[]> {
  for (let round = 0; ; round++) {
    const { stdout } = await running(REEVE, "doctor", "--json", "--config", join(folder, "reeve.yaml"));
    const { lines } = JSON.parse(stdout) as { lines: Line[] };
    const own = lines.filter(({ check }) => check === "provider");
    const late = own.some(({ found }) => /timeout|did not say within/.test(found));
    if (!late || round === 5) return own;
  }
}
const bad = (lines: readonly Line[]): Line[] => lines.filter(({ level }) => level !== "ok");
const of = (lines: readonly Line[], operation: string): Line[] =>
  lines.filter(({ looked_at }) => looked_at.startsWith(`aws ${operation} `));

/** moto's copy of the role's permissions, less one; the simulator's with its resources and conditions. */
async function grant(without: readonly string[] = []): Promise<void> {
  const { Version, Statement } = permissions;
  const all = { Version, Statement: [...Statement, { Effect: "Allow", Action: SIMULATE }] };
  await cloud.allow(widened(all, without));
  const left = Statement.filter(({ Action }) => ![Action].flat().some((each) => without.includes(each)));
  cloud.simulated.document = { Version, Statement: left } as unknown as Simulated;
}

beforeAll(async () => {
  moto = await startMoto();
  cloud = await startWorld(moto, { iam: true });
  folder = mkdtempSync(join(tmpdir(), "reeve-aws-doctor-"));
  mkdirSync(join(folder, "owner"));
  write();
  const rendered = await running(REEVE, "policy", "permissions", join(folder, "owner", "policy.yaml"));
  permissions = JSON.parse(rendered.stdout) as Document;
}, 600_000);
afterAll(async () => {
  await cloud?.stop();
  await moto?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}, 60_000);

test("each read that the rules make necessary is tried on what they name, and of the changes it says that it cannot know", async () => {
  write();
  await grant();
  const before = cloud.calls.length;
  const lines = await doctor();
  expect(bad(lines)).toEqual([]);
  for (const read of READS) expect([read, of(lines, read).map(({ level }) => level)]).toEqual([read, ["ok"]]);
  expect(of(lines, READS[0] ?? "")[0]?.found).toBe("it has 2 of 1 to 9 machines");
  expect(lines.find(({ looked_at }) => looked_at === "aws changes")?.found).toStartWith("not known:");
  const asked = cloud.calls.slice(before).map(({ service, operation }) => `${service}:${operation}`);
  expect([...new Set(asked)].sort()).toEqual([...READS, "sts:GetCallerIdentity"].sort());
  expect(cloud.calls.slice(before).every(({ userAgent }) => userAgent.includes("cmd/doctor"))).toBe(true);
}, 120_000);

test("without any one of the permissions to read, doctor names exactly that one", async () => {
  write();
  for (const read of READS) {
    await grant([read]);
    const wrong = bad(await doctor());
    expect([read, wrong.map(({ level, looked_at }) => [level, looked_at.split(" ")[1]])]).toEqual([
      read,
      [["fail", read]],
    ]);
    const named = [...(wrong[0]?.hint ?? "").matchAll(/[a-z0-9-]+:[A-Z]\w+/g)].map(([name]) => name);
    expect([read, wrong[0]?.found.startsWith("denied:"), named]).toEqual([read, true, [read]]);
  }
}, 300_000);

test("where the config names IAM's endpoint, IAM's simulator is asked of each change, and none is made", async () => {
  write({ iam: cloud.iam });
  const before = cloud.calls.length;
  for (const change of CHANGES) {
    await grant([change]);
    const lines = await doctor();
    const wrong = bad(lines);
    expect(wrong.length).toBeGreaterThan(0);
    for (const { level, looked_at, found, hint } of wrong) {
      expect([level, looked_at.split(" ")[1]]).toEqual(["fail", change]);
      expect(found).toContain("no policy of it permits it");
      expect(hint).toContain(`Give the role ${change},`);
    }
    for (const other of CHANGES.filter((each) => each !== change))
      expect([other, of(lines, other).every(({ level }) => level === "ok"), of(lines, other).length > 0]).toEqual([
        other,
        true,
        true,
      ]);
  }
  expect(of(await doctor(), "changes")).toEqual([]);
  expect(cloud.calls.slice(before).filter(({ operation }) => CHANGES.some((each) => each.endsWith(operation)))).toEqual(
    [],
  );
}, 300_000);

test("a simulator that may not be asked, or does not know the role, leaves the changes unknown, and nothing else", async () => {
  write({ iam: cloud.iam });
  await grant([SIMULATE]);
  const [denied, ...more] = bad(await doctor());
  expect(more).toEqual([]);
  expect(denied).toMatchObject({ level: "warn", looked_at: "aws changes" });
  expect(denied?.hint).toContain(SIMULATE);
  await grant();
  cloud.simulated.document = null;
  const [unknown, ...others] = bad(await doctor());
  expect(others).toEqual([]);
  expect(unknown).toMatchObject({ level: "warn", looked_at: "aws changes" });
  expect(unknown?.hint).toContain("with a path");
}, 120_000);

test("what a rule names and the account does not have is said", async () => {
  write({}, rulesFor({ ...cloud, group: { ...cloud.group, name: "not-there" } }));
  await grant();
  const wrong = bad(await doctor()).filter(({ looked_at }) => looked_at.includes("DescribeAutoScalingGroups"));
  expect(wrong.map(({ level, found }) => [level, found])).toEqual([["fail", "missing: there is no such group"]]);
}, 120_000);

test("a rule to deploy has it looked at who else would launch what a deploy makes", async () => {
  const { name } = cloud.group;
  const deploy = `  - id: releases
    why: New releases.
    allow: deploy
    group: ${name}
    signers: { by: [release], need: 1 }
    version: { min: 1.0.0, max: 1.9.9 }
    unavailable: 1
    rate: 1 per hour
    when: always
    approval: none`;
  write({}, deploy, { signers: { release: SIGNERS[0] } });
  await grant();
  const looked = async () =>
    of(await doctor(), "autoscaling:DescribeAutoScalingGroups").map(({ level, looked_at, found }) => [
      level,
      looked_at.split(" ").slice(2).join(" "),
      found.split(":")[0],
    ]);
  const [own, others] = await looked();
  expect(own).toEqual(["ok", name, "it has 2 of 1 to 9 machines"]);
  expect(others?.slice(0, 2)).toEqual(["ok", `every group, beside ${name}`]);
  await cloud.more.group(`floating-${name}`, { min: 0, max: 1, desired: 0 }, "$Latest");
  expect((await looked())[1]).toEqual(["fail", `every group, beside ${name}`, "template-shared"]);
}, 120_000);

test("the world has no problem of its own", () => {
  expect(cloud.problems).toEqual([]);
});
