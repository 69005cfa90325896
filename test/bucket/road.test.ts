/** The compiled executables with the owner's folder in a bucket of moto's: the agent on a machine that nobody logs into. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Stage, stage } from "../aws/stage.ts";
import { type Moto, startMoto } from "../aws/world/moto.ts";
import { REEVE, running } from "../e2e/world.ts";
import { BUCKET, BUCKET_URL, motoS3, ownersBucket, PREFIX, type S3Server } from "./servers.ts";

let moto: Moto;
let s3: S3Server;
let s: Stage;

beforeAll(async () => {
  moto = await startMoto();
  s3 = await motoS3(moto);
  // Segments close after a few commands.
  s = await stage(moto, { bucket: ownersBucket(s3, "log: { retention: 400d, segment: 8KiB }") });
}, 600_000);
afterAll(async () => {
  await s?.end();
  await s3?.stop();
  await moto?.stop();
}, 60_000);

type Head = { epoch: number; size: number; intents: Record<string, number[]>; waiting: string[] };
/** Read without our code: the payload of a JWS. */
async function head(): Promise<Head> {
  const { answer } = await s3.owner("s3", "get_object", { Bucket: BUCKET, Key: `${PREFIX}/log/head` });
  return JSON.parse(Buffer.from(String(answer?.["Body"]).split(".")[1] ?? "", "base64url").toString()) as Head;
}
const code = (command: string) =>
  s.entries().find((entry) => entry.kind === "refused" && entry.command === command)?.code;

test("a command is judged by the policy in the bucket, and the head that names its intent lies there before its outcome", async () => {
  const done = await s.scale(3);
  expect(done.code).toBe(0);
  expect((await s.cloud.look.group()).desired).toBe(3);
  const intent = s.entries().find(({ kind }) => kind === "intent");
  const found = await head();
  expect(found.intents["brokers"]?.length).toBe(1);
  expect([found.epoch, found.size > (intent?.index ?? Number.NaN)]).toEqual([1, true]);
}, 120_000);

test("closed segments lie in the bucket as they are on disk, and what the owner fetches from there verifies", async () => {
  for (let n = 0; n < 4; n++) expect((await s.scale(n % 2 === 0 ? 4 : 3)).code).toBe(0);
  const audit = join(s.machine.state, "audit");
  const closed = () =>
    readdirSync(audit)
      .filter((name) => name.endsWith(".jsonl"))
      .sort()
      .slice(0, -1);
  expect(closed().length).toBeGreaterThan(0);
  const file = join(s.machine.state, "bucket.json");
  const next = () => (existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { next: number }).next : 0);
  const last = Number(closed().at(-1)?.slice(0, 20));
  await s.machine.until("they lie there", () => next() > last, 60);
  const fetched = join(s.machine.folder, "fetched");
  mkdirSync(fetched);
  const listed = await s3.owner("s3", "list_objects_v2", { Bucket: BUCKET, Prefix: `${PREFIX}/log/1/` });
  const names = ((listed.answer?.["Contents"] ?? []) as { Key: string }[]).map(({ Key }) => Key);
  for (const Key of names) {
    const { answer } = await s3.owner("s3", "get_object", { Bucket: BUCKET, Key });
    const name = Key.split("/").at(-1) ?? "";
    if (name.endsWith(".jsonl")) expect(answer?.["Body"]).toBe(readFileSync(join(audit, name), "utf8"));
    writeFileSync(join(fetched, name), String(answer?.["Body"]));
  }
  expect(names.filter((name) => name.endsWith(".jsonl")).length).toBe(closed().length);
  expect(names.some((name) => name.endsWith(".checkpoint"))).toBe(true);
  // By the vendor's root, from elsewhere than this machine: whole, and nobody has witnessed it.
  const verified = await running(REEVE, "audit", "verify", "--log", fetched, "--ca", s.machine.root, "--json");
  expect([verified.code, verified.stderr]).toEqual([11, ""]);
  expect(JSON.parse(verified.stdout)).toMatchObject({
    exit: 11,
    size: last + linesIn(join(fetched, names.filter(isSegment).at(-1)?.split("/").at(-1) ?? "")),
  });
  const asked = ["--config", s.machine.config, "--ca", s.machine.root];
  const there = await running(REEVE, "audit", "verify", "--bucket", ...asked);
  expect([there.code, there.stderr]).toEqual([11, ""]);
  expect(there.stdout).toContain(`${BUCKET_URL}/log/1`);
  const none = await running(REEVE, "audit", "verify", "--bucket", "--epoch", "9", ...asked);
  expect([none.code, none.stderr.includes("holds no segment yet")]).toEqual([14, true]);
  // The copy out of the bucket beside the machine's own: nothing differs.
  const beside = await running(
    REEVE,
    "audit",
    "verify",
    "--config",
    s.machine.config,
    "--ca",
    s.machine.root,
    "--against",
    fetched,
    "--json",
  );
  expect(beside.code).toBe(11);
}, 180_000);

const isSegment = (name: string): boolean => name.endsWith(".jsonl");
function linesIn(path: string): number {
  return readFileSync(path, "utf8").split("\n").length - 1;
}

test("deleting owner/on in the bucket is the off switch, and putting it back the way on", async () => {
  await s3.remove("owner/on");
  const refused = await s.scale(4);
  expect([refused.code, code(refused.command)]).toEqual([1, "verify.suspended"]);
  await s.machine.until("status says so", () => s.machine.reeve(["status"], "--json").code === 1, 60);
  expect(s.machine.reeve(["status"]).stdout).toContain("switch   off");
  await s3.put("owner/on", "on\n");
  expect((await s.scale(4)).code).toBe(0);
}, 120_000);

test("the next command is judged by the policy as it was changed in the bucket", async () => {
  const policy = readFileSync(s.policy, "utf8");
  await s3.put("owner/policy.yaml", policy.replace("revision: 1", "revision: 2").replace("max: 9", "max: 4"));
  const refused = await s.scale(5);
  expect([refused.code, code(refused.command)]).toEqual([1, "policy.count.above-max"]);
  // An older one put back is seen to be older, as in a directory.
  await s3.put("owner/policy.yaml", policy);
  const older = await s.scale(5);
  expect([older.code, code(older.command)]).toEqual([1, "policy.revision"]);
  await s3.put("owner/policy.yaml", policy.replace("revision: 1", "revision: 3"));
  expect((await s.scale(5)).code).toBe(0);
}, 120_000);

test("nothing on the machine changes what the bucket says: suspend, resume and install say where it is done", () => {
  for (const verb of ["suspend", "resume"]) {
    const { code, stderr } = s.machine.reeve([verb]);
    expect([code, stderr.includes(`${BUCKET_URL}/owner/on`)]).toEqual([4, true]);
  }
  const installed = s.machine.reeve(["policy", "check"], s.policy, "--install");
  expect([installed.code, installed.stderr.includes(`${BUCKET_URL}/owner/policy.yaml`)]).toEqual([4, true]);
});

test("doctor reads policy and switch in the bucket, and says so", async () => {
  // Without blocking: the world that stands for AWS answers out of this process.
  const { stdout } = await running(REEVE, "doctor", "--config", s.machine.config, "--json");
  const { lines } = JSON.parse(stdout) as { lines: { looked_at: string; level: string; found: string }[] };
  const of = (path: string) => lines.filter(({ looked_at }) => looked_at === path);
  expect(of(`${BUCKET_URL}/owner/policy.yaml`)).toMatchObject([{ level: "ok" }]);
  expect(of(`${BUCKET_URL}/owner/on`)).toMatchObject([{ level: "ok", found: "on: commands are judged by the policy" }]);
}, 60_000);

test("without the right to add to the log nothing is changed: the intent is on record, and its outcome says why", async () => {
  const permitted = s.permissions.Statement.flatMap(({ Action }) => [Action].flat());
  const without = permitted.filter((action) => action !== "s3:PutObject");
  const Version = "2012-10-17";
  await s.cloud.allow({ Version, Statement: [{ Effect: "Allow", Action: without, Resource: "*" }] });
  const before = await s.cloud.look.group();
  const failed = await s.scale(6);
  expect(failed.code).toBe(1);
  expect(s.outcomeOf(failed.command)).toMatchObject({ result: "failed", code: "head-unwritten", operations: [] });
  expect(await s.cloud.look.group()).toEqual(before);
  await s.cloud.allow({ Version, Statement: [{ Effect: "Allow", Action: permitted, Resource: "*" }] });
  expect((await s.scale(6)).code).toBe(0);
}, 120_000);

test("a bucket that is away refuses everything, and an agent that was killed goes on with what the bucket counted", async () => {
  await s.kill();
  await s.start();
  const counted = (await head()).intents["brokers"]?.length ?? 0;
  expect((await s.scale(5)).code).toBe(0);
  expect((await head()).intents["brokers"]?.length).toBe(counted + 1);
  await s.cloud.allow({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["none:Nothing"], Resource: "*" }],
  });
  const refused = await s.scale(6);
  expect([refused.code, code(refused.command)]).toEqual([1, "verify.suspended"]);
}, 120_000);

test("a head that somebody else put there is let be, and nothing is changed until the owner takes it away", async () => {
  const permitted = s.permissions.Statement.flatMap(({ Action }) => [Action].flat());
  await s.cloud.allow({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: permitted, Resource: "*" }] });
  await s3.put("log/head", "somebody else's");
  const failed = await s.scale(6);
  expect(s.outcomeOf(failed.command)).toMatchObject({ result: "failed", code: "head-unwritten" });
  expect(readFileSync(join(s.machine.folder, "agent.err"), "utf8")).not.toContain("reeve broke");
  await s3.remove("log/head");
  expect((await s.scale(6)).code).toBe(0);
  expect((await head()).epoch).toBe(1);
}, 120_000);
