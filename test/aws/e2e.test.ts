/** The compiled executables against the world that stands for AWS: moto's IAM judges the actions, an IAM of others resources and conditions. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import { came } from "./account.ts";
import { callOf, permits } from "./simulate.ts";
import { type Stage, stage } from "./stage.ts";
import { clientsOf } from "./world/clients.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { verifies } from "./world/requests.ts";

let moto: Moto;
let s: Stage;
beforeAll(async () => {
  moto = await startMoto();
  s = await stage(moto);
  s.cloud.switches.judge = (made) => permits(s.permissions, callOf(made));
}, 600_000);
afterAll(async () => {
  await s?.end();
  await moto?.stop();
}, 60_000);

/** `audit reconcile` over CloudTrail's files as they would be now. */
function reconciled() {
  const folder = join(s.machine.folder, "trail");
  rmSync(folder, { recursive: true, force: true });
  s.cloud.trail(folder);
  return s.machine.reeve(["audit", "reconcile"], "--cloudtrail", folder);
}

test("a group is scaled, a certificate issued and a record changed, each true for others and on record with AWS's request ids", async () => {
  const { cloud } = s;
  const scaled = await s.scale(4);
  expect([scaled.code, scaled.stderr.includes("error")]).toEqual([0, false]);
  expect(await cloud.look.group()).toEqual({ desired: 4, instances: 4, inService: 4 });
  const issued = await s.certificate();
  expect([issued.code, cloud.look.issued()]).toEqual([0, 1]);
  const chain = readFileSync(join(s.machine.folder, "csr/b1.crt"), "utf8");
  const [leaf = "", root = ""] = chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  expect(verifies(leaf, root, "sslserver", "b1.prod-eu-1.example.com")).toBe(true);
  for (const [change, value] of [
    ["create", "10.20.0.1"],
    ["replace", "10.20.0.2"],
  ] as const) {
    expect((await s.record(change, value)).code).toBe(0);
    const found = await cloud.look.record(s.recordName, "A");
    expect(found).toMatchObject({ TTL: 60, ResourceRecords: [{ Value: value }] });
  }
  expect((await s.record("delete", "")).code).toBe(0);
  expect(await cloud.look.record(s.recordName, "A")).toBeNull();

  const outcomes = s.entries().filter(({ kind }) => kind === "outcome");
  expect(outcomes.map(({ result, known_by }) => [result, known_by])).toEqual(Array(5).fill(["succeeded", "answer"]));
  const ids = new Set(cloud.calls.map(({ id }) => id));
  const operations = outcomes
    .flatMap((one) => one.operations ?? [])
    .filter(({ operation }) => !operation.startsWith("local."));
  expect(operations.length).toBeGreaterThan(15);
  expect(operations.filter(({ request }) => request === null || !ids.has(request))).toEqual([]);
}, 120_000);

test("each call names its command in the user agent, and carries the command's id as its token", () => {
  const commands = new Set(s.entries().map(({ command }) => command));
  const made = s.cloud.calls.map(
    ({ userAgent }) => /^reeve\/\d+\.\d+\.\d+ cmd\/([0-9a-f-]{36})(?: |$)/.exec(userAgent)?.[1],
  );
  expect(made.filter((command) => command === undefined || !commands.has(command))).toEqual([]);
  const [issue] = came(s.cloud, "IssueCertificate");
  expect(issue?.token).toBe(s.entries().find(({ certificate }) => certificate != null)?.command ?? "none");
});

test("CloudTrail's files and the log hold the same calls", () => {
  const done = reconciled();
  expect([done.code, done.stdout.trim().split("\n").at(-1)]).toEqual([0, "verdict    0 unexplained, 0 missing"]);
});

test("what no rule permits reaches AWS with no call that changes anything", async () => {
  const changes = () => s.cloud.calls.filter(({ changed }) => changed).length;
  const before = changes();
  expect((await s.scale(10)).code).toBe(1);
  expect((await s.send(true, "scale", "--group", "others", "--count", "3")).code).toBe(1);
  expect((await s.record("create", "10.99.0.1")).code).toBe(1);
  const codes = s
    .entries()
    .filter(({ kind }) => kind === "refused")
    .map(({ code }) => code ?? "");
  expect(codes).toEqual([
    "policy.count.above-max",
    "match.no-rule",
    expect.stringMatching(/^policy\./) as unknown as string,
  ]);
  expect(changes()).toBe(before);
}, 60_000);

test("an alias is refused when it is read, and not damaged", async () => {
  const { cloud } = s;
  const target = { HostedZoneId: cloud.zone.id, DNSName: `www.${cloud.zone.name}.`, EvaluateTargetHealth: false };
  const alias = { Name: `${s.recordName}.`, Type: "A", AliasTarget: target };
  await cloud.others.changeRecords({ Action: "CREATE", ResourceRecordSet: alias });
  expect((await s.record("replace", "10.20.0.9")).code).toBe(1);
  expect(s.entries().at(-1)).toMatchObject({ kind: "refused" });
  expect(await cloud.look.record(s.recordName, "A")).toEqual(alias);
  await cloud.others.changeRecords({ Action: "DELETE", ResourceRecordSet: alias });
}, 60_000);

test("answers that are lost: one certificate, the group and the record as asked, and the outcomes say so", async () => {
  const { cloud } = s;
  const before = cloud.look.issued();
  for (const operation of ["SetDesiredCapacity", "IssueCertificate", "ChangeResourceRecordSets"])
    cloud.fault(operation, { kind: "drop", when: "after" });
  const sent = [await s.scale(3), await s.certificate(), await s.record("create", "10.20.0.3")];
  expect(sent.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(await cloud.look.group()).toMatchObject({ desired: 3, inService: 3 });
  expect(cloud.look.issued() - before).toBe(1);
  expect(await cloud.look.record(s.recordName, "A")).toMatchObject({ ResourceRecords: [{ Value: "10.20.0.3" }] });
  for (const { command } of sent) {
    const lost = s.outcomeOf(command)?.operations?.filter(({ status }) => status === "reset") ?? [];
    expect(lost.map(({ changes, request }) => [changes, request])).toEqual([[true, null]]);
  }
  expect(reconciled().code).toBe(0);
}, 120_000);

test("a permission that is taken away is a failure with AWS's request id, and nothing is changed", async () => {
  const { cloud } = s;
  cloud.switches.judge = async (made) =>
    made.operation !== "SetDesiredCapacity" && permits(s.permissions, callOf(made));
  const sent = await s.scale(5);
  cloud.switches.judge = (made) => permits(s.permissions, callOf(made));
  expect(sent.code).toBe(1);
  const outcome = s.outcomeOf(sent.command);
  expect(outcome).toMatchObject({ result: "failed", code: "denied", changed: [] });
  const denied = came(cloud, "SetDesiredCapacity").at(-1);
  expect(outcome?.operations?.at(-1)).toMatchObject({ status: "denied", request: denied?.id ?? "", changes: true });
  expect((await cloud.look.group()).desired).toBe(3);
}, 60_000);

test("another's calls with the agent's own role are found", async () => {
  expect(reconciled().code).toBe(0);
  const { scaling } = clientsOf(s.cloud, (await s.cloud.credentials()).secret);
  await scaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [s.cloud.group.name] }));
  const found = reconciled();
  expect(found.code).toBe(1);
  expect(found.stdout).toContain("1 unexplained, 0 missing");
  expect(found.stdout).toContain(s.cloud.calls.at(-1)?.id ?? "none");
}, 60_000);

test("the log is whole", () => {
  expect(s.machine.reeve(["audit", "verify"], "--ca", s.machine.root).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
});
