import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  DescribeCertificateAuthorityCommand,
  GetCertificateAuthorityCertificateCommand,
  GetCertificateCommand,
  IssueCertificateCommand,
} from "@aws-sdk/client-acm-pca";
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
  SetDesiredCapacityCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
} from "@aws-sdk/client-route-53";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { clientsOf, refusal, worlds } from "./world/clients.ts";
import { encodeCall } from "./world/codec.ts";
import { errorsOf, modelOf, type Service } from "./world/model.ts";
import { policyOf } from "./world/setup.ts";
import { isSigned, scopeOf, sign } from "./world/signature.ts";
import type { World } from "./world/world.ts";

const { make, moto } = worlds();

/** Each operation that reeve uses, as AWS's own client calls it. */
async function callsOn(world: World) {
  const { scaling, pca, dns, sts } = clientsOf(world, (await world.credentials()).secret);
  const AutoScalingGroupName = world.group.name;
  const CertificateAuthorityArn = world.authority.arn;
  const HostedZoneId = world.zone.id;
  const CertificateArn = `${CertificateAuthorityArn}/certificate/0`;
  const issue = {
    CertificateAuthorityArn,
    Csr: Buffer.from("x"),
    SigningAlgorithm: "SHA256WITHECDSA" as const,
    Validity: { Type: "DAYS" as const, Value: 1 },
  };
  const record = {
    Name: `w.${world.zone.name}`,
    Type: "A" as const,
    TTL: 60,
    ResourceRecords: [{ Value: "10.0.0.1" }],
  };
  const Changes = [{ Action: "UPSERT" as const, ResourceRecordSet: record }];
  return {
    SetDesiredCapacity: (DesiredCapacity = 3) =>
      scaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity })),
    DescribeAutoScalingGroups: () =>
      scaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] })),
    DescribeScalingActivities: () => scaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName })),
    IssueCertificate: () => pca.send(new IssueCertificateCommand(issue)),
    GetCertificate: () => pca.send(new GetCertificateCommand({ CertificateAuthorityArn, CertificateArn })),
    DescribeCertificateAuthority: () => pca.send(new DescribeCertificateAuthorityCommand({ CertificateAuthorityArn })),
    GetCertificateAuthorityCertificate: () =>
      pca.send(new GetCertificateAuthorityCertificateCommand({ CertificateAuthorityArn })),
    GetHostedZone: () => dns.send(new GetHostedZoneCommand({ Id: HostedZoneId })),
    ListResourceRecordSets: () => dns.send(new ListResourceRecordSetsCommand({ HostedZoneId })),
    ChangeResourceRecordSets: () =>
      dns.send(new ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch: { Changes } })),
    GetChange: () => dns.send(new GetChangeCommand({ Id: "C0" })),
    GetCallerIdentity: () => sts.send(new GetCallerIdentityCommand({})),
  };
}
type Name = keyof Awaited<ReturnType<typeof callsOn>>;
const SERVICES: Readonly<Record<Name, Service>> = {
  SetDesiredCapacity: "autoscaling",
  DescribeAutoScalingGroups: "autoscaling",
  DescribeScalingActivities: "autoscaling",
  IssueCertificate: "acm-pca",
  GetCertificate: "acm-pca",
  DescribeCertificateAuthority: "acm-pca",
  GetCertificateAuthorityCertificate: "acm-pca",
  GetHostedZone: "route53",
  ListResourceRecordSets: "route53",
  ChangeResourceRecordSets: "route53",
  GetChange: "route53",
  GetCallerIdentity: "sts",
};
const NAMES = Object.keys(SERVICES) as Name[];

test("every error that an operation may answer with is read by AWS's own client under its own name", async () => {
  const world = await make();
  const calls = await callsOn(world);
  let looked = 0;
  for (const name of NAMES) {
    for (const [code, status] of errorsOf(modelOf(SERVICES[name]), name)) {
      const rule = world.fault(name, { kind: "error", code, when: "before" });
      const refused = await refusal(calls[name]());
      expect([name, refused.name.replace(/Fault$/, ""), refused.status, rule.hits]).toEqual([
        name,
        code.replace(/Fault$/, ""),
        status,
        1,
      ]);
      expect(refused.request).toBe(world.calls.at(-1)?.id);
      looked++;
    }
  }
  expect(looked).toBeGreaterThan(120);
  expect(world.calls.every(({ error, changed }) => error !== null && !changed)).toBe(true);
}, 120_000);

test("an error that AWS's model does not declare for the operation cannot be sent by a test", async () => {
  const world = await make();
  world.fault("SetDesiredCapacity", { kind: "error", code: "NoSuchHostedZone", when: "before" });
  await refusal((await callsOn(world)).SetDesiredCapacity());
  expect(world.problems.splice(0)).toEqual([
    "autoscaling: Error: autoscaling:SetDesiredCapacity declares no NoSuchHostedZone",
  ]);
});

test("throttling comes with 400, and with 503 where a test wants that", async () => {
  const world = await make();
  const calls = await callsOn(world);
  for (const status of [400, 503]) {
    world.fault("ListResourceRecordSets", { kind: "error", code: "Throttling", status, when: "before" });
    expect(await refusal(calls.ListResourceRecordSets())).toMatchObject({ name: "Throttling", status });
  }
});

test("what was refused before had no effect; what was lost after had one", async () => {
  const world = await make();
  const calls = await callsOn(world);
  for (const fault of [
    { kind: "page", status: 502 },
    { kind: "drop" },
    { kind: "error", code: "InternalFailure" },
  ] as const) {
    world.fault("SetDesiredCapacity", { ...fault, when: "before" });
    await refusal(calls.SetDesiredCapacity(3));
    expect([fault.kind, (await world.look.group()).desired]).toEqual([fault.kind, 2]);
    world.fault("SetDesiredCapacity", { ...fault, when: "after" });
    await refusal(calls.SetDesiredCapacity(3));
    expect([fault.kind, (await world.look.group()).desired]).toEqual([fault.kind, 3]);
    await world.others.scale(2);
  }
  const seen = world.calls.map(({ reached, changed, heard }) => [reached, changed, heard]);
  const [none, lost] = [
    [false, false, false],
    [true, true, false],
  ];
  expect(seen).toEqual([none, lost, none, lost, [true, false, false], lost]);
});

test.each([{ kind: "truncate" }, { kind: "garbage" }] as const)(
  "an answer is spoiled on its way: $kind",
  async (fault) => {
    const world = await make();
    const calls = await callsOn(world);
    for (const name of [
      "DescribeAutoScalingGroups",
      "ListResourceRecordSets",
      "DescribeCertificateAuthority",
    ] as const) {
      world.fault(name, fault);
      await refusal(calls[name]());
      expect(await calls[name]()).toBeDefined();
    }
  },
);

test("a redirect names another place: nobody goes there on his own", async () => {
  const world = await make();
  let visitors = 0;
  const elsewhere = createServer((_, response) => {
    visitors++;
    response.end();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  const address = elsewhere.address();
  const port = typeof address === "object" ? address?.port : 0;
  world.fault("GetHostedZone", { kind: "redirect", status: 307, to: `http://127.0.0.1:${port}/` });
  const answer = await fetch(`${world.endpoints.route53}/2013-04-01/hostedzone/${world.zone.id}`, {
    redirect: "manual",
    headers: { authorization: "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/route53/aws4_request" },
  });
  expect([answer.status, answer.headers.get("location"), visitors]).toEqual([307, `http://127.0.0.1:${port}/`, 0]);
  elsewhere.close();
});

test("a delay keeps the answer, and a rule strikes as often as it was told to, after as many calls as it let pass", async () => {
  const world = await make();
  const calls = await callsOn(world);
  world.fault("GetCallerIdentity", { kind: "delay", milliseconds: 150, when: "before" }, { skip: 1, times: 2 });
  const times: boolean[] = [];
  for (let n = 0; n < 4; n++) {
    const start = performance.now();
    await calls.GetCallerIdentity();
    times.push(performance.now() - start > 140);
  }
  expect(times).toEqual([false, true, true, false]);
});

test("the caller is the instance's role", async () => {
  const world = await make();
  expect(await (await callsOn(world)).GetCallerIdentity()).toMatchObject({
    Account: world.account,
    Arn: `arn:aws:sts::${world.account}:assumed-role/${world.role}/${world.instance}`,
  });
  expect(world.calls[0]).toMatchObject({ operation: "GetCallerIdentity", heard: true, error: null });
});

test.each([
  ["another secret", "SignatureDoesNotMatch", "InvalidSignatureException", { secretKey: "x" }, "eu-west-1"],
  [
    "a key that is not known",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    { accessKey: "ASIAUNKNOWN" },
    "eu-west-1",
  ],
  ["another session's token", "InvalidClientTokenId", "UnrecognizedClientException", { token: "x" }, "eu-west-1"],
  ["no session token", "InvalidClientTokenId", "UnrecognizedClientException", { token: null }, "eu-west-1"],
  ["a signature for another region", "SignatureDoesNotMatch", "InvalidSignatureException", {}, "us-west-2"],
])("%s is refused, in XML and in JSON", async (_, xml, json, more, region) => {
  const world = await make();
  const { scaling, pca } = clientsOf(world, { ...(await world.credentials()).secret, ...more }, region);
  expect(await refusal(scaling.send(new DescribeAutoScalingGroupsCommand({})))).toMatchObject({
    name: xml,
    status: 403,
  });
  const read = new DescribeCertificateAuthorityCommand({ CertificateAuthorityArn: world.authority.arn });
  expect(await refusal(pca.send(read))).toMatchObject({ name: json, status: 400 });
});

test("credentials that ran out are refused, new ones are taken", async () => {
  const world = await make();
  const calls = await callsOn(world);
  await calls.DescribeAutoScalingGroups();
  world.expireCredentials();
  expect(await refusal(calls.DescribeAutoScalingGroups())).toMatchObject({ name: "ExpiredToken", status: 403 });
  expect(await refusal(calls.GetCertificate())).toMatchObject({ name: "ExpiredTokenException", status: 400 });
  expect(await refusal(calls.GetHostedZone())).toMatchObject({ name: "ExpiredToken", status: 403 });
  await (await callsOn(world)).DescribeAutoScalingGroups();
});

test("a signature covers body, path, query, host and token", async () => {
  const secret = { accessKey: "ASIAX", secretKey: "s", token: "t" };
  const message = {
    ...encodeCall(modelOf("route53"), "ListResourceRecordSets", { HostedZoneId: "Z", MaxItems: "5" }),
    body: "b",
  };
  const signed = sign(message, "host", secret, "us-east-1", "route53");
  const scope = scopeOf(signed);
  if (scope === null) throw new Error("no scope");
  const good = (changed: object) => isSigned({ ...signed, ...changed }, scope, "s");
  expect(good({})).toBe(true);
  expect(good({ body: "c" })).toBe(false);
  expect(good({ path: signed.path.replace("5", "6") })).toBe(false);
  expect(good({ method: "POST" })).toBe(false);
  for (const name of ["host", "x-amz-security-token", "x-amz-date"])
    expect([name, good({ headers: { ...signed.headers, [name]: "x" } })]).toEqual([name, false]);
  expect(good({ headers: { ...signed.headers, "x-amz-other": "x" } })).toBe(false);
});

test("moto itself, without the proxy, takes the same signatures from AWS's client and from ours, and refuses a wrong one", async () => {
  const world = await make({ iam: true });
  const { secret } = await world.credentials();
  const direct = (secretAccessKey: string) =>
    new AutoScalingClient({
      region: world.region,
      maxAttempts: 1,
      endpoint: `http://127.0.0.1:${moto().port}`,
      credentials: { accessKeyId: secret.accessKey, secretAccessKey, sessionToken: secret.token ?? "" },
    });
  const read = new DescribeAutoScalingGroupsCommand({});
  expect((await direct(secret.secretKey).send(read)).AutoScalingGroups).toBeDefined();
  expect(await refusal(direct("other").send(read))).toMatchObject({ name: "SignatureDoesNotMatch" });
  expect(await world.admin.as(secret).call("autoscaling", "DescribeAutoScalingGroups", {})).toBeDefined();
});

test("with IAM on, each action needs its permission, and the refusal is worded and formed as the service's own", async () => {
  const world = await make({ iam: true });
  const calls = await callsOn(world);
  await world.allow(policyOf([{ Effect: "Allow", Action: ["ec2:DescribeInstances"], Resource: "*" }]));
  for (const name of NAMES.filter((one) => one !== "GetCallerIdentity")) {
    const json = SERVICES[name] === "acm-pca";
    expect([name, await refusal(calls[name]())]).toMatchObject([
      name,
      { name: json ? "AccessDeniedException" : "AccessDenied", status: json ? 400 : 403 },
    ]);
    expect(world.calls.at(-1)?.message).toContain(
      `is not authorized to perform: ${SERVICES[name]}:${name} on resource: `,
    );
  }
  await calls.GetCallerIdentity();
  expect((await world.look.group()).desired).toBe(2);
  await world.allow(policyOf([{ Effect: "Allow", Action: ["autoscaling:SetDesiredCapacity"], Resource: "*" }]));
  await calls.SetDesiredCapacity(3);
  expect((await world.look.group()).desired).toBe(3);
  await refusal(calls.DescribeAutoScalingGroups());
});

test("an IAM of the tests' own is asked about each call with its resource and keys, before anything is done", async () => {
  const world = await make();
  const calls = await callsOn(world);
  const asked: string[] = [];
  world.switches.judge = ({ operation, resources }) => {
    asked.push(`${operation} ${resources.join(" ")}`);
    return operation !== "SetDesiredCapacity";
  };
  expect(await refusal(calls.SetDesiredCapacity(3))).toMatchObject({ name: "AccessDenied" });
  await calls.GetHostedZone();
  expect(asked).toEqual([
    `SetDesiredCapacity ${world.group.arn}`,
    `GetHostedZone arn:aws:route53:::hostedzone/${world.zone.id}`,
  ]);
  expect((await world.look.group()).desired).toBe(2);
});

test("what is asked of the world in another region finds nothing there", async () => {
  const world = await make();
  world.switches.endpointRegion = "us-west-2";
  const { scaling, pca } = clientsOf(world, (await world.credentials()).secret, "us-west-2");
  const groups = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [world.group.name] });
  expect((await scaling.send(groups)).AutoScalingGroups).toEqual([]);
  const read = new DescribeCertificateAuthorityCommand({ CertificateAuthorityArn: world.authority.arn });
  expect(await refusal(pca.send(read))).toMatchObject({ name: "ResourceNotFoundException" });
  const home = clientsOf(world, (await world.credentials()).secret);
  expect(await refusal(home.scaling.send(groups))).toMatchObject({ name: "SignatureDoesNotMatch" });
});

test("the user agent is on record as it was sent", async () => {
  const world = await make();
  const { secret } = await world.credentials();
  const sts = new STSClient({
    region: world.region,
    endpoint: world.endpoints.sts,
    customUserAgent: [
      ["reeve", "9.9.9"],
      ["cmd", "0193"],
    ],
    credentials: { accessKeyId: secret.accessKey, secretAccessKey: secret.secretKey, sessionToken: secret.token ?? "" },
  });
  await sts.send(new GetCallerIdentityCommand({}));
  expect(world.calls[0]?.userAgent).toMatch(/ reeve\/9\.9\.9 cmd\/0193/);
});

type Event = Readonly<Record<string, unknown>> & { userIdentity: Readonly<Record<string, unknown>> };

test("CloudTrail has each call that AWS took in hand, also the refused and the unheard, and none that never came there", async () => {
  const world = await make();
  const calls = await callsOn(world);
  await calls.SetDesiredCapacity(3);
  world.fault("SetDesiredCapacity", { kind: "drop", when: "after" });
  await refusal(calls.SetDesiredCapacity(4));
  world.fault("SetDesiredCapacity", { kind: "drop", when: "before" });
  await refusal(calls.SetDesiredCapacity(5));
  await refusal(calls.GetChange());
  await calls.ChangeResourceRecordSets();
  const folder = mkdtempSync(join(tmpdir(), "reeve-trail-"));
  try {
    const files = world.trail(folder);
    const events = files.flatMap(
      (path) => (JSON.parse(gunzipSync(readFileSync(path)).toString("utf8")) as { Records: Event[] }).Records,
    );
    expect(
      files.every((path) =>
        /\/AWSLogs\/\d{12}\/CloudTrail\/[a-z0-9-]+\/\d{4}\/\d\d\/\d\d\/\d{12}_CloudTrail_.*\.json\.gz$/.test(path),
      ),
    ).toBe(true);
    const shown = events.map(({ eventSource, eventName, requestID, errorCode = null, awsRegion, readOnly }) => [
      eventSource,
      eventName,
      requestID,
      errorCode,
      awsRegion,
      readOnly,
    ]);
    const ids = world.calls.map(({ id }) => id);
    expect(shown).toEqual([
      ["autoscaling.amazonaws.com", "SetDesiredCapacity", ids[0], null, "eu-west-1", false],
      ["autoscaling.amazonaws.com", "SetDesiredCapacity", ids[1], null, "eu-west-1", false],
      ["route53.amazonaws.com", "GetChange", ids[3], "NoSuchChange", "us-east-1", true],
      ["route53.amazonaws.com", "ChangeResourceRecordSets", ids[4], null, "us-east-1", false],
    ]);
    expect(events[0]).toMatchObject({
      eventVersion: "1.10",
      recipientAccountId: world.account,
      requestParameters: { autoScalingGroupName: world.group.name, desiredCapacity: 3 },
      userIdentity: {
        type: "AssumedRole",
        arn: `arn:aws:sts::${world.account}:assumed-role/${world.role}/${world.instance}`,
        sessionContext: { sessionIssuer: { arn: `arn:aws:iam::${world.account}:role/${world.role}` } },
      },
    });
    expect(events.every(({ eventTime }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(String(eventTime)))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

async function tell(world: World, path: string, headers: Record<string, string> = {}, method = "GET") {
  const answer = await fetch(`${world.endpoints.metadata}/latest/${path}`, {
    method,
    headers,
    signal: AbortSignal.timeout(500),
  });
  return { status: answer.status, body: await answer.text() };
}
async function tokenOf(world: World): Promise<Record<string, string>> {
  const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
  const { body } = await tell(world, "api/token", ttl, "PUT");
  return { "x-aws-ec2-metadata-token": body };
}

test("the metadata service tells nothing without a token, and with one who the instance is", async () => {
  const world = await make();
  expect((await tell(world, "meta-data/instance-id")).status).toBe(401);
  expect((await tell(world, "meta-data/instance-id", { "x-aws-ec2-metadata-token": "x" })).status).toBe(401);
  expect((await tell(world, "api/token", {}, "PUT")).status).toBe(400);
  const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": "21601" };
  expect((await tell(world, "api/token", ttl, "PUT")).status).toBe(400);
  const forwarded = { "x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "10.0.0.1" };
  expect((await tell(world, "api/token", forwarded, "PUT")).status).toBe(403);
  const token = await tokenOf(world);
  expect(await tell(world, "meta-data/instance-id", token)).toEqual({ status: 200, body: world.instance });
  expect((await tell(world, "meta-data/iam/security-credentials/", token)).body).toBe(world.role);
  expect((await tell(world, "meta-data/iam/security-credentials/other", token)).status).toBe(404);
  const given = JSON.parse((await tell(world, `meta-data/iam/security-credentials/${world.role}`, token)).body);
  const { secret, expires } = await world.credentials();
  expect(given).toMatchObject({ Code: "Success", AccessKeyId: secret.accessKey, Token: secret.token });
  expect(Math.abs(Date.parse(given.Expiration) - expires)).toBeLessThan(1001);
  expect(JSON.parse((await tell(world, "dynamic/instance-identity/document", token)).body)).toMatchObject({
    accountId: world.account,
    region: world.region,
    instanceId: world.instance,
  });
  expect((await tell(world, "meta-data/tags/instance/Name", token)).body).toBe("reeve");
});

test.each([
  ["version-1-only", 404, 200],
  ["unauthorized", 200, 401],
  ["no-role", 200, 404],
  ["nothing-but-errors", 503, 503],
] as const)("the metadata service's fault %s", async (fault, put, read) => {
  const world = await make();
  world.metadata.fault = fault;
  const ttl = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
  const asked = await tell(world, "api/token", ttl, "PUT");
  expect(asked.status).toBe(put);
  const token: Record<string, string> = put === 200 ? { "x-aws-ec2-metadata-token": asked.body } : {};
  expect((await tell(world, "meta-data/iam/security-credentials/", token)).status).toBe(read);
});

test.each(["slow", "hop-limit"] as const)("the metadata service does not answer in time: %s", async (fault) => {
  const world = await make();
  world.metadata.fault = fault;
  world.metadata.slowMilliseconds = 700;
  expect((await refusal(tokenOf(world))).name).toBe("TimeoutError");
});

test("another role's credentials, and ones that end soon, are given out when a test wants that", async () => {
  const world = await make({ credentialsSeconds: 5 });
  const other = `other-${world.role}`;
  await world.more.role(other);
  const first = await world.credentials();
  expect(first.expires - Date.now()).toBeLessThan(5001);
  world.switches.role = other;
  expect((await world.credentials()).principal.role).toBe(other);
  expect((await tell(world, "meta-data/iam/security-credentials/", await tokenOf(world))).body).toBe(other);
});
