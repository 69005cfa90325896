import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import { awsCalls } from "../../providers/aws/call.ts";
import { credentialSource } from "../../providers/aws/credentials.ts";
import { identityFault } from "../../providers/aws/identity.ts";
import { metadataService } from "../../providers/aws/metadata.ts";
import { SCALE_OPERATIONS } from "../../providers/aws/operations.ts";
import { prove } from "../../providers/aws/prove.ts";
import { ACCOUNT, COMMAND, configFor, failureOf, SETTING, worldOf } from "./fixture.ts";
import { type Asked, type Reply, recorder } from "./recorder.ts";

const TOKEN = "AQAAAEXAMPLE==";
const EMPTY =
  "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>";

/** What the machine and AWS say; each test changes what it is about. */
const said = {
  token: { status: 200, body: TOKEN } as Reply,
  arn: "",
  account: ACCOUNT,
  key: 1,
  seconds: 3600,
  credentials: null as Reply | null,
  away: false,
};
let server: Awaited<ReturnType<typeof recorder>>;

function given(): string {
  const until = new Date(Date.now() + said.seconds * 1000).toISOString().replace(/\.\d+Z/, "Z");
  return JSON.stringify({
    ...{ Code: "Success", Type: "AWS-HMAC", LastUpdated: until, Expiration: until },
    ...{
      AccessKeyId: `ASIAEXAMPLEEXAMPLE0${said.key}`,
      SecretAccessKey: `secret${said.key}`,
      Token: `session${said.key}`,
    },
  });
}

function reply(asked: Asked): Reply | null {
  if (asked.path.startsWith("/latest/")) {
    if (said.away) return null;
    if (asked.path === "/latest/api/token") return asked.method === "PUT" ? said.token : { status: 405 };
    if (asked.headers["x-aws-ec2-metadata-token"] !== TOKEN) return { status: 401 };
    if (asked.path === "/latest/meta-data/iam/security-credentials/reeve") return said.credentials ?? { body: given() };
    return { status: 404 };
  }
  if (asked.body.startsWith("Action=GetCallerIdentity"))
    return {
      body: `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>${said.arn}</Arn><UserId>A:i-0</UserId><Account>${said.account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
    };
  return { body: EMPTY };
}

beforeAll(async () => {
  server = await recorder((asked) => reply(asked));
});
afterAll(() => server.close());
beforeEach(() => {
  const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-0123456789abcdef0`;
  Object.assign(said, { token: { status: 200, body: TOKEN }, arn, account: ACCOUNT, key: 1, seconds: 3600 });
  Object.assign(said, { credentials: null, away: false });
  server.asked.length = 0;
});

const operations = () => server.asked.map(({ body, path }) => /Action=(\w+)/.exec(body)?.[1] ?? path);
const count = (name: string) => operations().filter((one) => one === name).length;

function source(role = "reeve") {
  const aws = configFor(server.url);
  const metadata = metadataService(aws.endpoints.metadata, SETTING);
  const credentials = credentialSource({
    clock: SETTING.host.clock,
    metadata,
    role,
    prove: (fresh, command) => prove({ ...SETTING, aws }, fresh, command),
  });
  const world = worldOf(aws, "autoscaling", SCALE_OPERATIONS, "brokers");
  const errand = { id: COMMAND, signal: new AbortController().signal };
  const calls = awsCalls({ ...SETTING, aws, credentials }, world.gate, errand, "brokers");
  const call = () =>
    calls.send("autoscaling", (client) =>
      client.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["brokers"] })),
    );
  return { call, credentials, metadata };
}

describe("the metadata service is spoken to in version 2 only", () => {
  test("a token is fetched by PUT, and each reading carries it", async () => {
    await source().call();
    expect(server.asked.slice(0, 2).map(({ method, path }) => [method, path])).toEqual([
      ["PUT", "/latest/api/token"],
      ["GET", "/latest/meta-data/iam/security-credentials/reeve"],
    ]);
    expect(server.asked[0]?.headers["x-aws-ec2-metadata-token-ttl-seconds"]).toBe("60");
    expect(server.asked[1]?.headers["x-aws-ec2-metadata-token"]).toBe(TOKEN);
  });

  test.each([
    ["refuses a token (version 1 only)", { status: 403 }, "metadata-refused"],
    ["has no token", { status: 404 }, "metadata-refused"],
    ["gives a token that is none", { status: 200, body: "a b\r\nx: y" }, "metadata-malformed"],
    ["gives an empty token", { status: 200, body: "" }, "metadata-malformed"],
    ["redirects", { status: 302, headers: { location: "/latest/meta-data/" } }, "metadata-refused"],
  ])("one that %s is not read without one", async (_, token, status) => {
    said.token = token;
    expect((await failureOf(source().call())).status).toBe(status);
    expect(new Set(server.asked.map(({ method }) => method))).toEqual(new Set(["PUT"]));
  });

  test.each([
    ["no JSON", "<html>", "metadata-malformed"],
    [
      "without a secret",
      JSON.stringify({ Code: "Success", AccessKeyId: "ASIAEXAMPLEEXAMPLE00" }),
      "metadata-malformed",
    ],
    ["of a failed role", JSON.stringify({ Code: "Failed" }), "metadata-malformed"],
  ])("credentials that are %s are none, and AWS is not called", async (_, body, status) => {
    said.credentials = { body };
    expect((await failureOf(source().call())).status).toBe(status);
    expect(operations().some((one) => !one.startsWith("/latest/"))).toBe(false);
  });

  test("an answer that does not end is not read to its end", async () => {
    said.credentials = { body: `${given()}${" ".repeat(20_000)}` };
    const failed = await failureOf(source().call());
    expect([failed.status, failed.words]).toEqual(["metadata-malformed", "the metadata service: over 16384 bytes"]);
  });

  test("a machine without the config's role: nothing else is asked for", async () => {
    expect((await failureOf(source("other").call())).status).toBe("no-role");
    expect(operations().some((one) => !one.startsWith("/latest/"))).toBe(false);
  });
});

describe("whose the credentials are is compared with the config before the first call and after each refresh", () => {
  test.each([
    ["account", () => ({ arn: "arn:aws:sts::999999999999:assumed-role/reeve/i-0", account: "999999999999" })],
    ["role", () => ({ arn: `arn:aws:sts::${ACCOUNT}:assumed-role/admin/i-0` })],
    ["partition", () => ({ arn: `arn:aws-cn:sts::${ACCOUNT}:assumed-role/reeve/i-0` })],
    ["unclear", () => ({ arn: `arn:aws:iam::${ACCOUNT}:user/reeve` })],
    ["unclear", () => ({ arn: `arn:aws:iam::${ACCOUNT}:root` })],
    ["unclear", () => ({ account: "999999999999" })],
  ])("another %s: refused as such, and nothing but that question was asked", async (what, wrong) => {
    Object.assign(said, wrong());
    const failed = await failureOf(source().call());
    expect([failed.status, failed.effect]).toEqual([`identity-${what}`, "none"]);
    expect(operations().filter((one) => !one.startsWith("/latest/"))).toEqual(["GetCallerIdentity"]);
  });

  test("the same credentials are asked about once; new ones again, and another's after a refresh end the calls", async () => {
    const { call } = source();
    await call();
    await call();
    expect([count("GetCallerIdentity"), count("DescribeAutoScalingGroups")]).toEqual([1, 2]);

    const { call: soon } = source();
    server.asked.length = 0;
    said.seconds = 200;
    await soon();
    said.key = 2;
    await soon();
    expect(count("GetCallerIdentity")).toBe(2);
    said.key = 3;
    said.arn = `arn:aws:sts::${ACCOUNT}:assumed-role/admin/i-0`;
    server.asked.length = 0;
    expect((await failureOf(soon())).status).toBe("identity-role");
    expect((await failureOf(soon())).status).toBe("identity-role");
    expect(count("DescribeAutoScalingGroups")).toBe(0);
  });

  test("many commands at once share one refresh and one question", async () => {
    const { call, credentials } = source();
    const all = await Promise.all([1, 2, 3, 4].map(() => credentials.current(COMMAND)));
    expect(new Set(all).size).toBe(1);
    await call();
    expect([count("/latest/api/token"), count("GetCallerIdentity")]).toEqual([1, 1]);
  });

  test("the metadata service is away: what was proved is used while it holds, and not a moment longer", async () => {
    const { call } = source();
    said.seconds = 120;
    await call();
    said.away = true;
    await call();
    const other = source();
    said.away = false;
    said.seconds = 31;
    await other.call();
    said.away = true;
    await Bun.sleep(1500);
    expect((await failureOf(other.call())).status).toBe("metadata-unreachable");
  });

  test("expired ones are never used", async () => {
    said.seconds = 10;
    expect((await failureOf(source().call())).status).toBe("credentials-expired");
    expect(operations().some((one) => !one.startsWith("/latest/"))).toBe(false);
  });
});

test("an identity is only one whole ARN of an assumed role", () => {
  const aws = configFor("http://127.0.0.1:1");
  const fault = (Arn: string, Account = ACCOUNT) => identityFault(aws, { Arn, Account })?.status ?? null;
  expect(fault(`arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-1`)).toBeNull();
  expect(fault(`arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-1\nx`)).toBe("identity-unclear");
  expect(fault(`x arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-1`)).toBe("identity-unclear");
  expect(fault(`arn:aws:sts::${ACCOUNT}:assumed-role/ops/reeve/i-1`)).toBe("identity-unclear");
  expect(fault(`arn:aws:sts::${ACCOUNT}:federated-user/reeve`)).toBe("identity-unclear");
  expect(identityFault(aws, {})?.status).toBe("identity-unclear");
});
