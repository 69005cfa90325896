/** Enrolment by what AWS says of a machine: the compiled control plane, moto's STS behind TLS, and whoever might ask. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Proof, STS } from "../../agent/wire/proof.ts";
import { openNonces } from "../../control/nonces.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { signedForSts } from "../../providers/aws/sign.ts";
import type { World as Cloud } from "../aws/world/world.ts";
import { call, makeKey } from "../control/client.ts";
import { CONTROL, type Machine, type Ran, running, type World as Vendor } from "../e2e/world.ts";
import { python } from "../python.ts";
import { ask, type Bind, bindingOf, type Caller, callerOf, enrolBy, nonceOf, proverOf } from "./attacker.ts";
import { type AwsSide, awsSide, vendorOf } from "./awsStage.ts";
import { type Front, STS_HOST } from "./sts.ts";

let aws: AwsSide;
let cloud: Cloud;
let front: Front;
let vendor: Vendor;
let caller: Caller;
beforeAll(async () => {
  aws = await awsSide();
  ({ cloud, front } = aws);
  vendor = await vendorOf(aws, { rootPinned: true });
  caller = callerOf(vendor.ports.enrol, vendor.root);
}, 600_000);
afterAll(async () => {
  await vendor?.end();
  await aws?.stop();
}, 60_000);

/** Not blocking: this process serves STS and the metadata service. */
const control = (...words: string[]): Promise<Ran> => running(CONTROL, ...words, "--dir", vendor.data);
const admit = async (...flags: string[]): Promise<Ran> => {
  const role = ["--aws", `${cloud.account}/${cloud.role}`];
  const done = await control("admit", "prod-eu-1", ...(flags.includes("--aws") ? [] : role), ...flags);
  expect([done.code, done.stderr]).toEqual([0, ""]);
  return done;
};
const admission = async (): Promise<{ used: number; budget: number }> => {
  const shown = await control("admit", "show", "prod-eu-1", "--json");
  return (JSON.parse(shown.stdout) as { admissions: { used: number; budget: number }[] }).admissions[0] ?? fail();
};
const fail = (): never => {
  throw new Error("nothing there");
};
type Seen = { epoch: number; alarms: { id: string; kind: string; words: string }[] };
const fleet = async (): Promise<Seen> => {
  const shown = await control("fleet", "--json");
  return (JSON.parse(shown.stdout) as { clusters: Seen[] }).clusters[0] ?? fail();
};
const alarms = async (kind: string): Promise<number> =>
  (await fleet()).alarms.filter((one) => one.kind === kind).length;
const newToken = async (): Promise<string> => (await control("token", "--cluster", "prod-eu-1")).stdout.trim();
/** Waits for what is true in the end, however slow the machine is. */
const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
  const end = performance.now() + 90_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it never came to be: ${what}`);
    await Bun.sleep(100);
  }
};
type Status = { state: string; reason: string; epoch: number | null };
const status = async (machine: Machine): Promise<Status> => {
  const shown = await running(join(CONTROL, "../reeve"), "status", "--config", machine.config, "--json");
  return shown.stdout.startsWith("{") ? (JSON.parse(shown.stdout) as Status) : { state: "", reason: "", epoch: null };
};
const code = (answer: { body: Record<string, unknown> }): unknown => answer.body["code"] ?? "enrolled";

test("nobody is admitted yet: a proof alone enrols nobody, and AWS is not even asked", async () => {
  expect(code(await enrolBy(caller, cloud))).toBe("proof-not-admitted");
  expect(front.came).toEqual([]);
});

test("the first enrolment on a platform needs a token and a proof: either alone burns nothing", async () => {
  await admit();
  expect(code(await enrolBy(caller, cloud))).toBe("token-needed");
  const token = await newToken();
  expect(code(await ask(caller, { token, key: await makeKey() }))).toBe("proof-needed");
  expect((await fleet()).epoch).toBe(0);
});

test("an agent joins by token and proof; STS is asked just what the control plane made itself", async () => {
  front.came.length = 0;
  vendor.startAgent();
  await until("the first agent is ready", async () => (await status(vendor)).epoch === 1);
  expect(await admission()).toMatchObject({ used: 0, budget: 3 });
  expect(front.came).toHaveLength(1);
  const [{ method, path, headers, body }] = front.came as [Front["came"][number]];
  expect([method, path, body]).toEqual([STS.method, STS.path, STS.body]);
  expect(Object.keys(headers).sort()).toEqual(
    `accept-encoding authorization connection content-length content-type host user-agent x-amz-date x-amz-security-token x-reeve-binding`.split(
      " ",
    ),
  );
  expect(headers).toMatchObject({ host: STS_HOST, "content-type": STS.contentType });
  expect(headers["x-reeve-binding"]).toMatch(/^[0-9a-f]{64}$/);
  // The customer sees the call in CloudTrail, by the role: its log explains it.
  const trail = join(vendor.folder, "trail");
  cloud.trail(trail);
  const reconciled = await running(
    join(CONTROL, "../reeve"),
    ...["audit", "reconcile", "--config", vendor.config, "--cloudtrail", trail],
  );
  expect(reconciled.stdout).toContain("0 unexplained, 0 missing");
}, 120_000);

test("a machine that replaces it joins by its proof alone, as the next epoch; one that has the burnt token too, and that is no theft", async () => {
  const bare = vendor.newMachine("bare", "");
  rmSync(bare.token);
  bare.startAgent();
  await until("the second is ready", async () => (await status(bare)).epoch === 2);
  expect(await admission()).toMatchObject({ used: 1 });
  await until("the first is fenced", async () => (await status(vendor)).state === "fenced");
  const token = await newToken();
  expect(code(await enrolBy(caller, cloud, { token }))).toBe("enrolled");
  expect(await admission()).toMatchObject({ used: 1 });
  const burnt = vendor.newMachine("burnt", token);
  burnt.startAgent();
  await until("the fourth is ready", async () => (await status(burnt)).epoch === 4);
  expect(await admission()).toMatchObject({ used: 2 });
  expect(await alarms("token-theft")).toBe(0);
}, 480_000);

test("over the budget nobody joins, the fleet shows it, and the machine waits until an operator admits it again", async () => {
  await admit("--budget", "0");
  expect(code(await enrolBy(caller, cloud))).toBe("proof-budget");
  const over = vendor.newMachine("over", "");
  rmSync(over.token);
  over.startAgent();
  await until("it says why it waits", async () => (await status(over)).reason.includes("without a human are used up"));
  expect((await status(over)).state).toBe("enrolling");
  expect((await fleet()).epoch).toBe(4);
  expect(await alarms("proof-budget")).toBe(1);
  const said = await admit("--budget", "1", "--by", "maria@vendor.example", "--why", "the disk was swapped");
  expect(said.stdout).toContain("1 of 1 times left without a human\n  said maria@vendor.example");
  await until("it went on by itself", async () => (await status(over)).epoch === 5);
  expect(await admission()).toMatchObject({ used: 1, budget: 1 });
}, 480_000);

test("a lost answer is given again for the same key with a fresh proof, and uses no budget, until the certificate's first use", async () => {
  await admit();
  const key = await makeKey();
  const first = await enrolBy(caller, cloud, { key });
  const again = await enrolBy(caller, cloud, { key });
  expect(again).toEqual(first);
  expect(await admission()).toMatchObject({ used: 1 });
  const chain = (first.body["chain"] as string[]).map(
    (der) => `-----BEGIN CERTIFICATE-----\n${der.replace(/(.{64})/g, "$1\n").trim()}\n-----END CERTIFICATE-----\n`,
  );
  await call(vendor.ports.agents, "/v1/reports", {}, { ca: caller.rootPem, cert: chain.join(""), key: key.pem });
  expect(code(await enrolBy(caller, cloud, { key }))).toBe("key-used");
  expect(await admission()).toMatchObject({ used: 1 });
});

type Aws = Extract<Proof, { platform: "aws" }>;
/** Each is refused, changes nothing and uses up nothing. `asked`: whether STS had to say no. */
const ATTACKS: Record<
  string,
  { bind?: () => Promise<Bind>; change?: (proof: Aws) => unknown; code?: string; asked: number }
> = {
  "bound to another key": { bind: async () => ({ key: await makeKey() }), asked: 1 },
  "bound to another control plane's root": { bind: async () => ({ pin: randomBytes(32) }), asked: 1 },
  "bound to another cluster": { bind: async () => ({ cluster: "prod-us-2" }), asked: 1 },
  "of a region that AWS does not have": { change: (proof) => ({ ...proof, region: "eu-nowhere-9" }), asked: 0 },
  "of a region that is another host's name": {
    change: (proof) => ({ ...proof, region: "eu-west-1.evil.example#" }),
    code: "malformed",
    asked: 0,
  },
  "of another region than it was signed for": { change: (proof) => ({ ...proof, region: "us-east-1" }), asked: 0 },
  "with a host of the caller's": {
    change: (proof) => ({ ...proof, host: "sts.evil.example" }),
    code: "malformed",
    asked: 0,
  },
  "with a header more than was signed": {
    change: (proof) => ({
      ...proof,
      authorization: proof.authorization.replace("content-type;", "action;content-type;"),
    }),
    asked: 0,
  },
  "with a session of another": { change: (proof) => ({ ...proof, session: `${proof.session}x` }), asked: 1 },
  "of another day": { change: (proof) => ({ ...proof, date: "20260101T000000Z" }), asked: 0 },
  "of another minute": {
    change: (proof) => ({
      ...proof,
      date: proof.date.replace(/\d{6}Z$/, (time) => `${time === "000000Z" ? "000001" : "000000"}Z`),
    }),
    asked: 1,
  },
  "with two lines in its authorization": {
    change: (proof) => ({ ...proof, authorization: `${proof.authorization}\r\nx-amz-target: other` }),
    code: "malformed",
    asked: 0,
  },
  "for another service": {
    change: (proof) => ({ ...proof, authorization: proof.authorization.replace("/sts/", "/iam/") }),
    asked: 0,
  },
  "of another cloud": { change: () => ({ platform: "gcp", token: "a.b.c" }), code: "proof-not-admitted", asked: 0 },
};
for (const [what, { bind, change, code: wanted = "proof-invalid", asked }] of Object.entries(ATTACKS)) {
  test(`a proof is refused: ${what}`, async () => {
    const before = { ...(await admission()), epoch: (await fleet()).epoch };
    front.came.length = 0;
    const how = { ...(bind === undefined ? {} : { bind: await bind() }), ...(change === undefined ? {} : { change }) };
    const answer = await enrolBy(caller, cloud, how);
    expect([code(answer), front.came.length]).toEqual([wanted, asked]);
    expect({ ...(await admission()), epoch: (await fleet()).epoch }).toEqual(before);
  });
}

test("a signature that STS would take, and that does not cover the binding, is refused without asking", async () => {
  const { secret } = await cloud.credentials();
  const credentials = {
    accessKeyId: secret.accessKey,
    secretAccessKey: secret.secretKey,
    sessionToken: secret.token ?? "",
  };
  const plain = {
    method: STS.method,
    hostname: STS_HOST,
    path: STS.path,
    headers: { "content-type": STS.contentType },
  };
  const signed = await signedForSts(
    { ...plain, body: STS.body },
    { region: "eu-west-1", credentials, now: Date.now() },
  );
  const { host: _, ...headers } = signed;
  const taken = await fetch(cloud.endpoints.sts, {
    method: "POST",
    headers: { ...headers, host: STS_HOST, [STS.bindingHeader]: "00".repeat(32) },
    body: STS.body,
  });
  expect(taken.status).toBe(200);
  front.came.length = 0;
  const { "x-amz-date": date = "", authorization = "" } = signed;
  const change = (proof: Aws): unknown => ({ ...proof, date, authorization });
  expect(code(await enrolBy(caller, cloud, { change }))).toBe("proof-invalid");
  expect(front.came).toEqual([]);
});

test("a nonce is ours, fresh, and used once", async () => {
  const [key, prove] = [await makeKey(), await proverOf(cloud)];
  const nonce = await nonceOf(caller);
  const proof = await prove(bindingOf(caller, nonce, key, { pin: randomBytes(32) }));
  expect(code(await ask(caller, { proof, nonce, key }))).toBe("proof-invalid");
  const good = await prove(bindingOf(caller, nonce, key));
  expect(code(await ask(caller, { proof: good, nonce, key }))).toBe("proof-nonce");
  const own = randomBytes(32).toString("base64url");
  expect(code(await ask(caller, { proof: await prove(bindingOf(caller, own, key)), nonce: own, key }))).toBe(
    "proof-nonce",
  );
  expect(code(await ask(caller, { proof: good, nonce: null, key }))).toBe("malformed");
  let now = 1_000;
  const store = await openSqlite(":memory:");
  const nonces = await openNonces(store, { newest: () => 0 }, () => now);
  const [old, fresh] = [nonces.make(), nonces.make()];
  now += 59_999;
  expect(await nonces.use(fresh)).toBe(true);
  now += 1;
  expect(await nonces.use(old)).toBe(false);
  store.close();
});

test("another role, another account, and a session that is no instance's are not admitted", async () => {
  const { role } = cloud.switches;
  await cloud.more.role("other-machines");
  cloud.switches.role = "other-machines";
  const other = await enrolBy(caller, cloud);
  expect([code(other), other.body["message"]]).toEqual([
    "proof-not-admitted",
    `the proof shows aws ${cloud.account}/other-machines, who is not admitted here`,
  ]);
  cloud.switches.role = role;
  await admit("--aws", `444455556666/${role}`);
  expect(code(await enrolBy(caller, cloud))).toBe("proof-not-admitted");
  await admit();
  const answer = (session: string): string =>
    `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::${cloud.account}:assumed-role/${role}/${session}</Arn><UserId>AROAEXAMPLE:${session}</UserId><Account>${cloud.account}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;
  const said = async (body: string, type = "text/xml"): Promise<unknown> => {
    front.instead = { status: 200, headers: { "content-type": type }, body };
    const result = code(await enrolBy(caller, cloud));
    front.instead = null;
    return result;
  };
  expect(await said(answer("alice"))).toBe("proof-invalid");
  expect(await said(answer("i-0feedfeed").replaceAll("assumed-role/", "user/"))).toBe("proof-invalid");
  expect(await said(answer("i-0feedfeed").replace("<Account>1", "<Account>2"))).toBe("proof-invalid");
  expect(await said(answer("i-0feedfeed").replace("arn:aws:", "arn:aws-cn:"))).toBe("proof-invalid");
  expect(await said(answer("i-0feedfeed").replace("AROAEXAMPLE:i-0", "AROAEXAMPLE:i-1"))).toBe("proof-invalid");
  // What is not STS's own answer, whole and alone, says nothing.
  for (const [body, type] of [
    [answer("i-0feedfeed"), "application/json"],
    [`${answer("i-0feedfeed")}<x/>`, "text/xml"],
    [answer("i-0feedfeed").replace("<Account>", "<!-- --><Account>"), "text/xml"],
    [answer("i-0feedfeed").replaceAll("GetCallerIdentity", "AssumeRole"), "text/xml"],
    [answer("i-0feedfeed").replace(/<UserId>[^<]*<\/UserId>/, ""), "text/xml"],
    ["", "text/xml"],
  ] as const)
    expect(await said(body, type)).toBe("unavailable");
  // The last proof of the fixture itself: unspoiled, that answer would enrol.
  expect(await said(answer("i-0feedfeed"))).toBe("enrolled");
}, 60_000);

test("an STS that redirects, answers without end, or is not the one that the CA vouches for, shows nobody", async () => {
  const { epoch } = await fleet();
  const elsewhere = `https://${front.at}/elsewhere`;
  for (const instead of [
    { status: 302, headers: { location: elsewhere }, body: "" },
    { status: 307, headers: { location: elsewhere }, body: "" },
    { status: 200, headers: { "content-type": "text/xml" }, body: "x".repeat(200_000) },
    { status: 500, headers: {}, body: "" },
    { status: 400, headers: { "content-type": "text/xml" }, body: "<Code>Throttling</Code>" },
  ]) {
    front.came.length = 0;
    front.instead = instead;
    expect(code(await enrolBy(caller, cloud))).toBe("unavailable");
    expect(front.came.map(({ path }) => path)).toEqual(["/"]);
  }
  front.instead = null;
  expect((await fleet()).epoch).toBe(epoch);
});

test("credentials that have expired show nobody", async () => {
  const prove = await proverOf(cloud);
  const [key, nonce] = [await makeKey(), await nonceOf(caller)];
  const proof = await prove(bindingOf(caller, nonce, key));
  cloud.expireCredentials();
  expect(code(await ask(caller, { proof, nonce, key }))).toBe("proof-invalid");
});

test("a burnt token with another key is theft without a proof, and with the proof of another role", async () => {
  await admit();
  const token = await newToken();
  expect(code(await enrolBy(caller, cloud, { token }))).toBe("enrolled");
  expect(code(await ask(caller, { token, key: await makeKey() }))).toBe("token-theft");
  expect(await alarms("token-theft")).toBe(1);
  const cleared = (await fleet()).alarms.filter(({ kind }) => kind === "token-theft").map(({ id }) => id);
  await control("fleet", "alarms", "--clear", ...cleared);
  const { role } = cloud.switches;
  cloud.switches.role = "other-machines";
  expect(code(await enrolBy(caller, cloud, { token }))).toBe("proof-not-admitted");
  cloud.switches.role = role;
  expect(await alarms("token-theft")).toBe(1);
  // While STS is away nobody can say who asks: that is no theft.
  await control("fleet", "alarms", "--clear", ...(await fleet()).alarms.map(({ id }) => id));
  front.instead = { status: 503, headers: {}, body: "" };
  expect(code(await enrolBy(caller, cloud, { token }))).toBe("unavailable");
  front.instead = null;
  expect(await alarms("token-theft")).toBe(0);
});

test("dropped, the admission admits nobody any more, and a token alone enrols again", async () => {
  expect((await control("admit", "drop", "prod-eu-1")).code).toBe(0);
  expect(code(await enrolBy(caller, cloud))).toBe("proof-not-admitted");
  expect(code(await ask(caller, { token: await newToken(), key: await makeKey() }))).toBe("enrolled");
  expect((await control("admit", "drop", "prod-eu-1")).code).toBe(1);
});

test("the signature is the one that botocore makes of the same request", async () => {
  const credentials = {
    accessKeyId: "AKIAEXAMPLEEXAMPLE00",
    secretAccessKey: "a/secret+key",
    sessionToken: "token/with+signs==",
  };
  const headers = { "content-type": STS.contentType, [STS.bindingHeader]: "ab".repeat(32) };
  const ours = await signedForSts(
    { method: STS.method, hostname: STS_HOST, path: STS.path, headers, body: STS.body },
    { region: "eu-west-1", credentials, now: Date.parse("2026-11-29T03:00:00Z") },
  );
  expect(ours["authorization"]).toContain(`SignedHeaders=${STS.signedHeaders},`);
  const theirs = await botocore(JSON.stringify({ credentials, headers, body: STS.body, url: `https://${STS_HOST}/` }));
  expect(ours["authorization"]).toBe(theirs);
});

const SIGN = `
import datetime, json, sys
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
said = json.load(sys.stdin)
at = datetime.datetime(2026, 11, 29, 3, 0, 0)
class Fixed(datetime.datetime):
    @classmethod
    def utcnow(cls): return at
    @classmethod
    def now(cls, tz=None): return at
botocore.auth.datetime = type("M", (), {"datetime": Fixed, "timezone": datetime.timezone})
botocore.auth.get_current_datetime = lambda *a, **k: at
c = said["credentials"]
request = AWSRequest("POST", said["url"], headers=said["headers"], data=said["body"])
auth = botocore.auth.SigV4Auth(Credentials(c["accessKeyId"], c["secretAccessKey"], c["sessionToken"]), "sts", "eu-west-1")
auth.add_auth(request)
print(request.headers["Authorization"])
`;

/** Another implementation of Signature Version 4, that came along with moto. */
async function botocore(input: string): Promise<string> {
  const program = python(join(import.meta.dirname, "../aws/world/requirements.txt"));
  const child = spawn(program, ["-c", SIGN], { env: { PATH: "/usr/bin:/bin" }, stdio: ["pipe", "pipe", "pipe"] });
  let [out, said] = ["", ""];
  child.stdout.on("data", (part: Buffer) => {
    out += part.toString();
  });
  child.stderr.on("data", (part: Buffer) => {
    said += part.toString();
  });
  child.stdin.end(input);
  const exit = await new Promise((resolve) => child.once("close", resolve));
  if (exit !== 0) throw new Error(said);
  return out.trim();
}
