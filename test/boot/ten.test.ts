/** The group of one, replaced again and again: each machine has an empty disk, the owner's folder is a bucket of moto's. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Stage, stage } from "../aws/stage.ts";
import { type Moto, startMoto } from "../aws/world/moto.ts";
import { BUCKET, motoS3, ownersBucket, PREFIX, type S3Server } from "../bucket/servers.ts";
import { type Machine, type Ran, REEVE, ran, running } from "../e2e/world.ts";
import { ended } from "./ran.ts";

const TIMES = 10;
const LONG = 90;
let moto: Moto;
let s3: S3Server;
let s: Stage;
/** The newest, and its process. */
let now: { readonly machine: Machine; readonly agent: ChildProcess };

beforeAll(async () => {
  moto = await startMoto();
  s3 = await motoS3(moto);
  s = await stage(moto, { bucket: ownersBucket(s3, "log: { retention: 400d, segment: 16MiB }") });
  now = { machine: s.machine, agent: s.agent };
}, 600_000);
afterAll(async () => {
  await s?.end();
  await s3?.stop();
  await moto?.stop();
}, 60_000);

/** A machine that was never there before, with a token of its own. */
async function replace(name: string): Promise<typeof now> {
  const machine = s.machine.newMachine(name, s.machine.newToken());
  const agent = machine.startAgent();
  await s.machine.until(`${name} is ready`, () => machine.reeve(["status"], "--json").code === 0, LONG);
  return { machine, agent };
}
async function stop(agent: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
  agent.kill(signal);
  return ended(agent);
}
type Link = {
  epoch: number;
  exit: number;
  size: number;
  joins: string;
  before: { epoch: number; size: number } | null;
};
type Verified = { exit: number; says: string; epochs: Link[] };
async function verified(): Promise<{ ran: Ran; said: Verified }> {
  const asked = ["--config", now.machine.config, "--ca", s.machine.root, "--json"];
  const ran = await running(REEVE, "audit", "verify", "--bucket", ...asked);
  return { ran, said: JSON.parse(ran.stdout) as Verified };
}
type Head = { epoch: number; intents: Record<string, number[]>; before: Record<string, number[]> };
/** Read without our code: the payload of a JWS. */
async function head(): Promise<Head> {
  const { answer } = await s3.owner("s3", "get_object", { Bucket: BUCKET, Key: `${PREFIX}/log/head` });
  return JSON.parse(Buffer.from(String(answer?.["Body"]).split(".")[1] ?? "", "base64url").toString()) as Head;
}
const entry0 = ({ machine }: typeof now) =>
  machine.entries()[0] as { kind: string; epoch: number; before: string | null };

test("replaced ten times in a row the group of one has one chain of logs, and each machine counts what those before it did", async () => {
  expect((await s.scale(3)).code).toBe(0);
  for (let time = 1; time <= TIMES; time++) {
    const before = now;
    // The fifth is there while the fourth still acts: it is fenced, and ends by itself.
    const overlap = time === 5;
    if (!overlap) expect(await stop(before.agent, "SIGTERM")).toBe(0);
    now = await replace(`m${time}`);
    if (overlap) expect(await ended(before.agent)).toBe(6);
    expect(entry0(now)).toMatchObject({ kind: "epoch", epoch: time + 1 });
    expect(entry0(now).before?.split("\n")[0]).toBe(`spiffe://vendor.example/cluster/prod-eu-1/agent/epoch/${time}`);
    // Permitted only by who knows how much of the rate is used up.
    expect((await s.scale(time % 2 === 0 ? 3 : 4)).code).toBe(0);
  }
  expect(await stop(now.agent, "SIGTERM")).toBe(0);
  const { epoch, before, intents } = await head();
  expect([epoch, (before["brokers"]?.length ?? 0) + (intents["brokers"]?.length ?? 0)]).toEqual([TIMES + 1, TIMES + 1]);
  const { ran, said } = await verified();
  expect([ran.code, said.exit, said.says]).toEqual([
    11,
    11,
    "one chain of 11 epochs: each begins with the head of the one before",
  ]);
  expect(said.epochs.map(({ epoch, joins }) => `${epoch} ${joins}`)).toEqual([
    "1 first",
    ...Array.from({ length: TIMES }, (_, at) => `${at + 2} held`),
  ]);
  expect(said.epochs.every(({ exit, size }) => exit === 11 && size > 3)).toBe(true);
}, 600_000);

test("an epoch whose log somebody took away is found missing by the one after it", async () => {
  const listed = await s3.owner("s3", "list_objects_v2", { Bucket: BUCKET, Prefix: `${PREFIX}/log/3/` });
  const names = ((listed.answer?.["Contents"] ?? []) as { Key: string }[]).map(({ Key }) => Key);
  const segment = names.find((name) => name.endsWith("00000000000000000000.jsonl")) ?? "";
  const { answer } = await s3.owner("s3", "get_object", { Bucket: BUCKET, Key: segment });
  await s3.remove("log/3/00000000000000000000.jsonl");
  const gone = await verified();
  expect([gone.ran.code, gone.said.says]).toEqual([
    12,
    expect.stringMatching(
      /^epoch 4: its entry 0 names the head of the first \d+ entries of epoch 3, which are not all here$/,
    ),
  ]);
  await s3.put("log/3/00000000000000000000.jsonl", String(answer?.["Body"]));
  expect((await verified()).ran.code).toBe(11);
}, 120_000);

test("a machine that was lost with its disk leaves a head that names more than the bucket has, and verify says so", async () => {
  now = await replace("lost");
  expect((await s.scale(5)).code).toBe(0);
  expect(await stop(now.agent, "SIGKILL")).toBeNull();
  now = await replace("after");
  expect((await s.scale(4)).code).toBe(0);
  expect(await stop(now.agent, "SIGTERM")).toBe(0);
  const { ran, said } = await verified();
  expect(ran.code).toBe(12);
  expect(said.epochs.at(-1)).toMatchObject({ epoch: TIMES + 3, joins: "unknown", before: { epoch: TIMES + 2 } });
}, 240_000);

test("an approval that lies in the bucket lets a command act that waited, on the machine that is there then", async () => {
  const key = join(s.machine.folder, "alice");
  expect(ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).code).toBe(0);
  const alice = readFileSync(`${key}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  const policy = readFileSync(s.policy, "utf8")
    .replace("revision: 1", "revision: 2")
    .replace("people: {}", `people: ${JSON.stringify({ alice })}`)
    .replace("approval: none", "approval: { by: [alice], need: 1, within: 2h }");
  await s3.put("owner/policy.yaml", policy);
  now = await replace("approved");
  const asked = await s.scale(6);
  expect(asked.code).toBe(8);
  const entries = join(s.machine.folder, "entries.jsonl");
  await Bun.write(entries, (await running(REEVE, "audit", "show", "--json", "--config", now.machine.config)).stdout);
  const out = join(s.machine.folder, "approval.sig");
  const yes = await running(REEVE, "approve", asked.command, "--from", entries, "--key", key, "--out", out, "--yes");
  expect([yes.code, yes.stderr]).toEqual([0, ""]);
  await s3.put(`owner/approvals/${asked.command}.sig`, readFileSync(out, "utf8"));
  const outcome = () =>
    now.machine.entries().find((one) => one["kind"] === "outcome" && one["command"] === asked.command);
  await s.machine.until("it acts", () => outcome() !== undefined, LONG);
  expect(outcome()).toMatchObject({ result: "succeeded" });
  expect((await s.cloud.look.group()).desired).toBe(6);
}, 240_000);
