import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetCertificateCommand, IssueCertificateCommand } from "@aws-sdk/client-acm-pca";
import {
  type AutoScalingClient,
  DeleteAutoScalingGroupCommand,
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
import { CERTIFICATE_OPERATIONS, DNS_OPERATIONS, SCALE_OPERATIONS } from "../../providers/aws/operations.ts";
import { CallFailed, Halted } from "../../providers/provider.ts";
import { breachOf, COMMAND, CREDENTIALS, caught, configFor, failureOf, worldOf } from "./fixture.ts";
import { type Asked, type Reply, recorder, unknownTls } from "./recorder.ts";

type Recorder = Awaited<ReturnType<typeof recorder>>;
let reply: (asked: Asked, nth: number) => Reply | null = () => ({});
let server: Recorder;
const folder = mkdtempSync(join(tmpdir(), "reeve-aws-gate-"));
beforeAll(async () => {
  server = await recorder((asked, nth) => reply(asked, nth));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const AUTHORITY = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-1111-1111-1111-111111111111";
const ZONE = "Z0123456789ABCDEFGHIJ";
const scaling = (group = "brokers", more = {}) =>
  worldOf(configFor(server.url), "autoscaling", SCALE_OPERATIONS, group, { count: 3, ...more });
const describeGroup = (name: string) => new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] });
const setCount = (name: string) => new SetDesiredCapacityCommand({ AutoScalingGroupName: name, DesiredCapacity: 3 });
const EMPTY = `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`;
const throttled = {
  status: 400,
  body: "<ErrorResponse><Error><Code>Throttling</Code><Message>slow</Message></Error></ErrorResponse>",
};

function issue(authority: string) {
  return new IssueCertificateCommand({
    CertificateAuthorityArn: authority,
    Csr: new Uint8Array([1]),
    SigningAlgorithm: "SHA256WITHECDSA",
    Validity: { Type: "DAYS", Value: 1 },
    IdempotencyToken: "one",
  });
}
function changeOf(zone: string, ...names: string[]) {
  const Changes = names.map((Name) => ({
    Action: "CREATE" as const,
    ResourceRecordSet: { Name, Type: "A" as const, TTL: 60, ResourceRecords: [{ Value: "10.20.0.1" }] },
  }));
  return new ChangeResourceRecordSetsCommand({ HostedZoneId: zone, ChangeBatch: { Changes } });
}

describe("what the SDK is about to send is held to the rule before anything leaves", () => {
  const group = "brokers";
  const record = `${ZONE}/b1.example.com`;
  const cases: [string, string, () => Promise<unknown>][] = [
    [
      "an operation that the table does not hold",
      "gate.operation",
      () =>
        scaling().calls.send("autoscaling", (client) =>
          client.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: group })),
        ),
    ],
    [
      "a change while only reading is permitted",
      "gate.operation",
      () => scaling(group, { phase: "read" }).calls.send("autoscaling", (client) => client.send(setCount(group))),
    ],
    [
      "another group",
      "gate.resource",
      () => scaling().calls.send("autoscaling", (client) => client.send(setCount("brokers-2"))),
    ],
    ...[2, 4, undefined].map((count): [string, string, () => Promise<unknown>] => [
      `another count than the judged one: ${count}`,
      "gate.resource",
      () =>
        scaling().calls.send("autoscaling", (client) =>
          client.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: group, DesiredCapacity: count })),
        ),
    ]),
    [
      "a count, of a command that is about none",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "autoscaling", SCALE_OPERATIONS, group).calls.send("autoscaling", (client) =>
          client.send(setCount(group)),
        ),
    ],
    [
      "a second group beside the first",
      "gate.resource",
      () =>
        scaling().calls.send("autoscaling", (client) =>
          client.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group, "other"] })),
        ),
    ],
    [
      "no group, which is every group",
      "gate.resource",
      () => scaling().calls.send("autoscaling", (client) => client.send(new DescribeAutoScalingGroupsCommand({}))),
    ],
    [
      "the activities of every group",
      "gate.resource",
      () => scaling().calls.send("autoscaling", (client) => client.send(new DescribeScalingActivitiesCommand({}))),
    ],
    [
      "another authority",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "acm-pca", CERTIFICATE_OPERATIONS, AUTHORITY).calls.send("acm-pca", (client) =>
          client.send(issue(`${AUTHORITY}2`)),
        ),
    ],
    [
      "a certificate of another authority",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "acm-pca", CERTIFICATE_OPERATIONS, AUTHORITY).calls.send("acm-pca", (client) =>
          client.send(
            new GetCertificateCommand({
              CertificateAuthorityArn: AUTHORITY,
              CertificateArn: `${AUTHORITY}2/certificate/1`,
            }),
          ),
        ),
    ],
    [
      "another zone",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record).calls.send("route53", (client) =>
          client.send(changeOf("ZOTHER", "b1.example.com")),
        ),
    ],
    [
      "another name in the same batch",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record).calls.send("route53", (client) =>
          client.send(changeOf(ZONE, "b1.example.com", "www.example.com")),
        ),
    ],
    [
      "a batch of no name",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record).calls.send("route53", (client) =>
          client.send(changeOf(ZONE)),
        ),
    ],
    [
      "the whole zone's records",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record).calls.send("route53", (client) =>
          client.send(new ListResourceRecordSetsCommand({ HostedZoneId: ZONE })),
        ),
    ],
    [
      "another zone's description",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record).calls.send("route53", (client) =>
          client.send(new GetHostedZoneCommand({ Id: "ZOTHER" })),
        ),
    ],
    [
      "a change that is not this command's own",
      "gate.resource",
      () =>
        worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record).calls.send("route53", (client) =>
          client.send(new GetChangeCommand({ Id: "C1" })),
        ),
    ],
  ];
  test.each(cases)("%s: %s, and not one byte arrives", async (_, code, call) => {
    const before = server.bytes();
    expect((await breachOf(call())).code).toBe(code as never);
    expect(server.bytes() - before).toBe(0);
  });

  test("a breach sticks: the provider catches it and tries what is permitted, and still nothing leaves", async () => {
    const { calls, gate } = scaling();
    const before = server.bytes();
    await breachOf(calls.send("autoscaling", (client) => client.send(setCount("other"))));
    await breachOf(calls.send("autoscaling", (client) => client.send(describeGroup("brokers"))));
    expect(gate.breach()?.resource).toBe("other");
    expect(server.bytes() - before).toBe(0);
  });

  test("this command's own change may be asked about", async () => {
    reply = () => ({
      body: `<GetChangeResponse><ChangeInfo><Id>/change/C1</Id><Status>INSYNC</Status><SubmittedAt>2026-11-24T09:00:00Z</SubmittedAt></ChangeInfo></GetChangeResponse>`,
    });
    const { calls } = worldOf(configFor(server.url), "route53", DNS_OPERATIONS, record);
    calls.changeIds.add("C1");
    const answer = await calls.send("route53", (client) => client.send(new GetChangeCommand({ Id: "C1" })));
    expect(answer.ChangeInfo?.Status).toBe("INSYNC");
  });
});

describe("where a call goes is held to the config again, before and after it is signed", () => {
  type Request = { protocol: string; hostname: string; port?: number; method: string; headers: Record<string, string> };
  type Step = "build" | "finalizeRequest";
  const tamper = (client: AutoScalingClient, step: Step, how: (request: Request) => void) =>
    client.middlewareStack.add(
      (next) => (args) => {
        how((args as { request: Request }).request);
        return next(args);
      },
      { step: step as "finalizeRequest", priority: "low" },
    );
  const other = () => recorder(() => ({ body: EMPTY }));
  const steps: Step[] = ["build", "finalizeRequest"];

  for (const step of steps) {
    const when = step === "build" ? "before it is signed" : "after it was signed";
    test.each([
      ["another port", (request: Request, to: Recorder) => Object.assign(request, { port: to.port })],
      [
        "another host",
        (request: Request, to: Recorder) => Object.assign(request, { hostname: "localhost", port: to.port }),
      ],
      ["another method", (request: Request) => Object.assign(request, { method: "PUT" })],
      ["TLS left out or put on", (request: Request) => Object.assign(request, { protocol: "https:" })],
    ])(`%s ${when}: gate.place, and not one byte arrives anywhere`, async (_, how) => {
      const elsewhere = await other();
      const before = server.bytes();
      const { calls } = scaling();
      let signed = false;
      const error = await breachOf(
        calls.send("autoscaling", (client) => {
          tamper(client, "finalizeRequest", () => {
            signed = true;
          });
          tamper(client, step, (request) => how(request, elsewhere));
          return client.send(describeGroup("brokers"));
        }),
      );
      expect(error.code).toBe("gate.place");
      expect(signed).toBe(step === "finalizeRequest");
      expect([server.bytes() - before, elsewhere.bytes()]).toEqual([0, 0]);
      elsewhere.close();
    });
  }

  test("another host in the signed header, another region or service in the signature: gate.place", async () => {
    const before = server.bytes();
    const scope = (from: string, to: string) => (request: Request) => {
      request.headers["authorization"] = (request.headers["authorization"] ?? "").replace(from, to);
    };
    for (const how of [
      (request: Request) => Object.assign(request.headers, { host: "autoscaling.us-east-1.amazonaws.com" }),
      scope("/eu-west-1/", "/us-east-1/"),
      scope("/autoscaling/aws4", "/iam/aws4"),
      (request: Request) => delete request.headers["authorization"],
    ]) {
      const sent = scaling().calls.send("autoscaling", (client) => {
        tamper(client, "finalizeRequest", how);
        return client.send(describeGroup("brokers"));
      });
      expect((await breachOf(sent)).code).toBe("gate.place");
    }
    expect(server.bytes() - before).toBe(0);
  });

  test("a client that was set to another region signs nothing", async () => {
    const before = server.bytes();
    const sent = scaling().calls.send("autoscaling", (client) => {
      client.config.region = async () => "us-east-1";
      return client.send(describeGroup("brokers"));
    });
    expect((await breachOf(sent)).code).toBe("gate.place");
    expect(server.bytes() - before).toBe(0);
  });

  test("a certificate that nobody vouches for ends the connection before a byte of the call", async () => {
    const tls = await unknownTls(folder);
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      const aws = configFor(server.url, { endpoints: { autoscaling: tls.url } });
      const { calls, recorded } = worldOf(aws, "autoscaling", SCALE_OPERATIONS, "brokers", { count: 3 });
      const failed = await failureOf(calls.send("autoscaling", (client) => client.send(setCount("brokers"))));
      expect([failed.status, failed.effect, tls.bytes()]).toEqual(["tls", "none", 0]);
      // No byte of it left: no call was made.
      expect(recorded).toEqual([]);
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      tls.close();
    }
  });

  test("no redirect is followed: it is a failed call, and nobody else is asked", async () => {
    const elsewhere = await other();
    reply = () => ({ status: 307, headers: { location: `${elsewhere.url}/` } });
    const { calls } = scaling();
    const failed = await failureOf(calls.send("autoscaling", (client) => client.send(setCount("brokers"))));
    expect([failed.status, failed.effect, elsewhere.bytes()]).toEqual(["redirected", "unknown", 0]);
    elsewhere.close();
  });
});

describe("a permitted call", () => {
  test("carries reeve's version and the command's id, and its answer's request id is on record", async () => {
    reply = () => ({ body: EMPTY });
    const { calls, recorded } = scaling();
    const before = server.asked.length;
    await calls.send("autoscaling", (client) => client.send(describeGroup("brokers")));
    const [asked] = server.asked.slice(before);
    expect(asked?.headers["user-agent"]?.split(" ").slice(0, 2)).toEqual(["reeve/9.9.9", `cmd/${COMMAND}`]);
    expect(recorded).toMatchObject([
      {
        operation: "autoscaling:DescribeAutoScalingGroups",
        resource: "brokers",
        status: "ok",
        request: `req-${before + 1}`,
        changes: false,
      },
    ]);
  });

  test("a read is tried again, each try a call of its own with its own request id; a change without a token never", async () => {
    const first = server.asked.length;
    reply = (_, nth) => (nth === first + 3 ? { body: EMPTY } : throttled);
    const reading = scaling();
    await reading.calls.send("autoscaling", (client) => client.send(describeGroup("brokers")));
    expect(reading.recorded.map(({ status, request }) => [status, request])).toEqual([
      ["throttled", `req-${first + 1}`],
      ["throttled", `req-${first + 2}`],
      ["ok", `req-${first + 3}`],
    ]);
    reply = () => throttled;
    const changing = scaling();
    const failed = await failureOf(changing.calls.send("autoscaling", (client) => client.send(setCount("brokers"))));
    expect([failed.status, failed.effect]).toEqual(["throttled", "none"]);
    expect(changing.recorded.length).toBe(1);
  });

  test("the switch is looked at before each try: off after the first, a change with a token is not tried again", async () => {
    const first = server.asked.length;
    reply = () => ({ status: 400, body: JSON.stringify({ __type: "ThrottlingException", message: "slow" }) });
    let on = true;
    const beforeChange = () => {
      if (!on && server.asked.length > first) throw new Halted("suspended");
      on = false;
    };
    const { calls } = worldOf(configFor(server.url), "acm-pca", CERTIFICATE_OPERATIONS, AUTHORITY, { beforeChange });
    on = true;
    const error = await caught(calls.send("acm-pca", (client) => client.send(issue(AUTHORITY))));
    expect(error).toBeInstanceOf(Halted);
    expect(server.asked.length - first).toBe(1);
  });

  test("a change with a token whose first answer was lost stays unknown, whatever a later try is told", async () => {
    const first = server.asked.length;
    reply = (_, nth) =>
      nth === first + 1
        ? null
        : { status: 400, body: JSON.stringify({ __type: "AccessDeniedException", message: "no" }) };
    const { calls, recorded } = worldOf(configFor(server.url), "acm-pca", CERTIFICATE_OPERATIONS, AUTHORITY);
    const failed = await failureOf(calls.send("acm-pca", (client) => client.send(issue(AUTHORITY))));
    expect([failed.status, failed.effect]).toEqual(["denied", "unknown"]);
    expect(recorded.map(({ status, request }) => [status, request])).toEqual([
      ["reset", null],
      ["denied", `req-${first + 2}`],
    ]);
  });

  test("a change with a token whose first answer was lost stays unknown when a later try is halted or has no credentials", async () => {
    reply = () => null;
    const certificates = (more = {}) =>
      worldOf(configFor(server.url), "acm-pca", CERTIFICATE_OPERATIONS, AUTHORITY, more);
    for (const why of ["suspended", "deadline"] as const) {
      const first = server.asked.length;
      const beforeChange = () => {
        if (server.asked.length > first) throw new Halted(why);
      };
      const { calls } = certificates({ beforeChange });
      const failed = await failureOf(calls.send("acm-pca", (client) => client.send(issue(AUTHORITY))));
      expect([failed.status, failed.effect, server.asked.length - first]).toEqual([why, "unknown", 1]);
    }
    let given = 0;
    const current = async () => {
      if (++given > 1) throw new CallFailed("metadata-unreachable", "away", "none");
      return CREDENTIALS;
    };
    const { calls } = certificates({ current });
    const failed = await failureOf(calls.send("acm-pca", (client) => client.send(issue(AUTHORITY))));
    expect([failed.status, failed.effect, given]).toEqual(["metadata-unreachable", "unknown", 2]);
  });

  test("a breach stays a breach after an answer that was lost", async () => {
    reply = () => null;
    let tries = 0;
    const { calls } = worldOf(configFor(server.url), "acm-pca", CERTIFICATE_OPERATIONS, AUTHORITY);
    const send = calls.send("acm-pca", (client) => client.send(issue(++tries > 1 ? `${AUTHORITY}2` : AUTHORITY)));
    expect([(await breachOf(send)).code, tries]).toEqual(["gate.resource", 2]);
  });
});
