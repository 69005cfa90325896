/** What can go wrong between the provider and AWS, each with the outcome's code, and what is the case in the cloud afterwards. */
import { expect, test } from "bun:test";
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import type { AuthorityState, JudgedCertificateArgs, RecordState, ScaleState } from "../../providers/provider.ts";
import { type Command, errand, gateFor, recall, act as run } from "../providers/world.ts";
import { came, providerFor } from "./account.ts";
import { failureOf } from "./fixture.ts";
import { worlds } from "./world/clients.ts";
import { makeRequest } from "./world/requests.ts";
import { policyOf } from "./world/setup.ts";
import type { World, WorldOptions } from "./world/world.ts";

const { make } = worlds();
const FOUND = { scale: { count: 2 }, dns: { record: null } };

async function commandsOn(world: World) {
  const provider = await providerFor(world);
  const { name } = world.group;
  const scale: Command<ScaleArgs, ScaleState> = {
    action: provider.scale,
    args: { group: name, count: 4 },
    resource: name,
  };
  const csr = makeRequest(["a.example.com"]).csr;
  const certificateArgs: JudgedCertificateArgs = {
    authority: world.authority.arn,
    usages: ["server"],
    validity: 3600,
    csrDer: new Uint8Array(Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ""), "base64")),
    names: ["a.example.com"],
    deliver: null,
  };
  const certificate: Command<JudgedCertificateArgs, AuthorityState> = {
    action: provider["issue-certificate"],
    args: certificateArgs,
    resource: world.authority.arn,
  };
  const record = `www.${world.zone.name}`;
  const args: DnsArgs = {
    zone: world.zone.id,
    name: record,
    type: "A",
    change: "create",
    values: ["10.20.0.1"],
    ttl: 60,
  };
  const dns: Command<DnsArgs, RecordState> = {
    action: provider["update-dns"],
    args,
    resource: `${world.zone.id}/${record}`,
  };
  const found: AuthorityState = { subject: world.authority.issuer.certificate.subject };
  const within = (milliseconds: number) => errand(AbortSignal.timeout(milliseconds));
  return {
    scale,
    record,
    /** Each action past its `describe`, as the road calls it. */
    act: {
      scale: (own = within(20_000)) => run(scale, {}, own, FOUND.scale),
      certificate: (own = within(20_000)) => run(certificate, {}, own, found),
      dns: (own = within(20_000)) => run(dns, {}, own, FOUND.dns),
    },
    describe: {
      scale: () =>
        scale.action.describe(
          gateFor(scale.action, scale.args, name, { phase: "read" }).gate,
          scale.args,
          within(5000),
        ),
      certificate: () =>
        certificate.action.describe(
          gateFor(certificate.action, certificateArgs, certificate.resource, { phase: "read" }).gate,
          certificateArgs,
          within(5000),
        ),
      dns: () =>
        dns.action.describe(gateFor(dns.action, args, dns.resource, { phase: "read" }).gate, args, within(5000)),
    },
  };
}

type Action = "scale" | "certificate" | "dns";
const ACTIONS = ["scale", "certificate", "dns"] as const satisfies readonly Action[];
const CHANGE = {
  scale: "SetDesiredCapacity",
  certificate: "IssueCertificate",
  dns: "ChangeResourceRecordSets",
} as const;
const FIRST_READ = {
  scale: "DescribeAutoScalingGroups",
  certificate: "DescribeCertificateAuthority",
  dns: "ListResourceRecordSets",
} as const;

async function madeOf(options: WorldOptions = {}) {
  const world = await make(options);
  const commands = await commandsOn(world);
  const changed = async () => {
    const { desired } = await world.look.group();
    const record = await world.look.record(commands.record, "A");
    return { scale: desired === 4, certificate: world.look.issued() > 0, dns: record !== null };
  };
  return { world, changed, ...commands };
}

test.each(ACTIONS)(
  "throttled readings are asked again, and throttled for good end %s before anything is changed",
  async (action) => {
    const { world, act, changed } = await madeOf();
    const json = action === "certificate";
    const throttled = { kind: "error", code: json ? "ThrottlingException" : "Throttling", when: "before" } as const;
    world.fault(FIRST_READ[action], throttled, { times: 2 });
    expect((await act[action]()).result).toBe("succeeded");
    const other = await madeOf();
    other.world.fault(FIRST_READ[action], throttled, { times: 99 });
    expect(await other.act[action]()).toMatchObject({ result: "failed", code: "throttled", changed: [] });
    expect([(await changed())[action], (await other.changed())[action]]).toEqual([true, false]);
  },
);

test("a throttled change of a group had no effect and is not sent again", async () => {
  const { world, act, changed } = await madeOf();
  for (const status of [400, 503]) {
    world.fault(CHANGE.scale, { kind: "error", code: "Throttling", status, when: "before" });
    const done = await act.scale();
    expect(done).toMatchObject({ result: "failed", code: "throttled", changed: [] });
    expect(done.operations.at(-1)).toMatchObject({ status: "throttled", request: world.calls.at(-1)?.id ?? "" });
  }
  expect([came(world, CHANGE.scale).length, (await changed()).scale]).toEqual([2, false]);
});

test.each([
  ["the connection ends", { kind: "drop", when: "after" }],
  ["a gateway's page comes instead", { kind: "page", status: 504, when: "after" }],
  ["an internal error comes instead", { kind: "error", code: "InternalFailure", when: "after" }],
  ["the answer is cut short", { kind: "truncate" }],
] as const)(
  "the group was scaled and nobody heard so: %s; it is read, once sent, and counts as done",
  async (_, fault) => {
    const { world, act } = await madeOf();
    const rule = world.fault(CHANGE.scale, fault);
    const done = await act.scale();
    expect(done).toMatchObject({ result: "succeeded", code: null });
    expect(done.changed[0]).toEqual({ what: "count", from: "2", to: "4" });
    expect([rule.hits, came(world, CHANGE.scale).length]).toEqual([1, 1]);
    expect(await world.look.group()).toMatchObject({ desired: 4, inService: 4 });
  },
);

test.each([
  ["the connection ends", { kind: "drop", when: "before" }],
  ["a gateway's page comes instead", { kind: "page", status: 502, when: "before" }],
] as const)("the call never came to the group, and nobody can know: %s; unknown, sent once", async (_, fault) => {
  const { world, act, scale, changed } = await madeOf();
  world.fault(CHANGE.scale, fault);
  const done = await act.scale();
  expect(done).toMatchObject({ result: "unknown", changed: [] });
  expect([came(world, CHANGE.scale).length, (await changed()).scale]).toEqual([1, false]);
  expect(await recall(scale, FOUND.scale)).toMatchObject({ result: "failed", code: "interrupted", known_by: "state" });
});

test("an answer that comes later than is waited for: the group and the record are as asked, one certificate is issued", async () => {
  const { world, act, changed } = await madeOf();
  for (const action of ACTIONS) world.fault(CHANGE[action], { kind: "delay", milliseconds: 15_500, when: "after" });
  const [scaled, issued, updated] = await Promise.all(
    ACTIONS.map((action) => act[action](errand(AbortSignal.timeout(50_000)))),
  );
  expect([scaled?.result, issued?.result, updated?.result]).toEqual(["succeeded", "succeeded", "succeeded"]);
  expect(ACTIONS.map((action) => came(world, CHANGE[action]).length)).toEqual([1, 2, 1]);
  expect([await changed(), world.look.issued()]).toEqual([{ scale: true, certificate: true, dns: true }, 1]);
  expect(scaled?.operations.some(({ status, changes }) => changes && status === "timeout")).toBe(true);
}, 60_000);

test.each(ACTIONS)(
  "credentials that ran out too early fail one command, and the next has new ones: %s",
  async (action) => {
    const { world, describe, act, changed } = await madeOf();
    await describe[action]();
    world.expireCredentials();
    expect(await act[action]()).toMatchObject({ result: "failed", code: "credentials-expired", changed: [] });
    expect((await changed())[action]).toBe(false);
    expect((await act[action]()).result).toBe("succeeded");
    expect((await changed())[action]).toBe(true);
  },
);

test.each([
  ["scale", "credentials-expired", "ExpiredToken"],
  ["certificate", "credentials-expired", "ExpiredTokenException"],
  ["dns", "credentials-expired", "ExpiredToken"],
] as const)(
  "credentials that AWS calls expired and the metadata service does not: %s is not done",
  async (action, code, wire) => {
    const { world, act, changed } = await madeOf();
    for (const operation of [FIRST_READ[action], CHANGE[action]])
      world.fault(operation, { kind: "error", code: wire, when: "before" }, { times: 99 });
    expect(await act[action]()).toMatchObject({ result: "failed", code, changed: [] });
    expect((await changed())[action]).toBe(false);
  },
);

test.each(["scale", "certificate"] as const)(
  "another region's endpoint answers: wrong-region, nothing is done: %s",
  async (action) => {
    const { world, act, describe, changed } = await madeOf();
    await describe[action]();
    world.switches.endpointRegion = "us-west-2";
    expect(await act[action]()).toMatchObject({ result: "failed", code: "wrong-region", changed: [] });
    expect((await changed())[action]).toBe(false);
  },
);

test.each(ACTIONS)("denied: failed, with AWS's request id and nothing changed: %s", async (action) => {
  const { world, act, changed } = await madeOf({ iam: true });
  const actions = ["autoscaling:Describe*", "acm-pca:Describe*", "acm-pca:Get*", "route53:List*", "route53:Get*"];
  await world.allow(policyOf([{ Effect: "Allow", Action: actions, Resource: "*" }]));
  const done = await act[action]();
  expect(done).toMatchObject({ result: "failed", code: "denied", changed: [] });
  const denied = came(world, CHANGE[action]);
  expect(done.operations.filter(({ changes }) => changes)).toMatchObject([
    { status: "denied", request: denied[0]?.id ?? "" },
  ]);
  expect(done.words).toContain("is not authorized to perform");
  expect([denied.length, (await changed())[action]]).toEqual([1, false]);
});

test.each(ACTIONS)("a reading that is denied is no state: %s", async (action) => {
  const { world, describe } = await madeOf({ iam: true });
  await world.allow(policyOf([{ Effect: "Allow", Action: ["ec2:DescribeInstances"], Resource: "*" }]));
  expect((await failureOf(describe[action]())).status).toBe("denied");
});

test("a group that went away after it was judged", async () => {
  const { world, act } = await madeOf();
  await world.admin.call("autoscaling", "DeleteAutoScalingGroup", {
    AutoScalingGroupName: world.group.name,
    ForceDelete: true,
  });
  expect(await act.scale()).toMatchObject({ result: "failed", code: "missing", changed: [] });
});

test.each([
  ["above-group-max", { min: 1, max: 3, desired: 2 }],
  ["below-group-min", { min: 5, max: 9, desired: 5 }],
] as const)("the group's own sizes are looked at before the call: %s", async (code, group) => {
  const { world, scale } = await madeOf({ group });
  const done = await run(scale, {}, errand(), { count: group.desired });
  expect(done).toMatchObject({ result: "failed", code, changed: [] });
  expect(came(world, CHANGE.scale)).toEqual([]);
});

test("the group's sizes change between our reading and our call: AWS refuses, nothing changes", async () => {
  const { world, act, changed } = await madeOf();
  world.at("DescribeScalingActivities", "before", async () => {
    const sizes = { AutoScalingGroupName: world.group.name, MaxSize: 3 };
    await world.admin.call("autoscaling", "UpdateAutoScalingGroup", sizes);
  });
  const done = await act.scale();
  expect(done).toMatchObject({ result: "failed", code: "ValidationError", changed: [] });
  expect(done.words).toContain("above max value 3");
  expect([came(world, CHANGE.scale).length, (await changed()).scale]).toEqual([1, false]);
});

test.each(["ScalingActivityInProgress", "ResourceContention"] as const)(
  "AWS's %s is a failure of its own, sent once",
  async (code) => {
    const { world, act, changed } = await madeOf();
    world.fault(CHANGE.scale, { kind: "error", code, when: "before" });
    const status = code === "ResourceContention" ? "contention" : "activity-in-progress";
    expect((await act.scale()).code).toBe(status);
    expect([came(world, CHANGE.scale).length, (await changed()).scale]).toEqual([1, false]);
  },
);

test("someone else scaled it before the call, after it, or while it was waited for", async () => {
  const before = await madeOf();
  await before.world.others.scale(3);
  expect(await before.act.scale()).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
  expect(came(before.world, CHANGE.scale)).toEqual([]);
  const after = await madeOf();
  after.world.at(CHANGE.scale, "after", () => after.world.others.scale(7));
  expect(await after.act.scale()).toMatchObject({ result: "failed", code: "concurrent" });
  expect((await after.world.look.group()).desired).toBe(7);
  const between = await madeOf();
  between.world.at(CHANGE.scale, "before", () => between.world.others.scale(3));
  // There is no compare-and-set: it is done, and AWS's own record says that it was not from what was judged.
  expect(await between.act.scale()).toMatchObject({ result: "failed", code: "concurrent" });
  expect((await between.world.look.group()).desired).toBe(4);
});

test("it waits for instances that take their time, up and down", async () => {
  const { world, act, scale } = await madeOf();
  world.scaling.launchMilliseconds = 600;
  world.scaling.terminateMilliseconds = 600;
  expect(await act.scale()).toMatchObject({ result: "succeeded" });
  expect(await world.look.group()).toEqual({ desired: 4, instances: 4, inService: 4 });
  const shrink = { ...scale, args: { ...scale.args, count: 3 } };
  expect(await run(shrink, {}, errand(), { count: 4 })).toMatchObject({ result: "succeeded" });
  expect(await world.look.group()).toEqual({ desired: 3, instances: 3, inService: 3 });
});

test("no capacity by the deadline: failed as capacity, with the count as it is and AWS's words in the details", async () => {
  const { world, act } = await madeOf();
  world.scaling.capacity = 1;
  const done = await act.scale(errand(AbortSignal.timeout(1500)));
  expect(done).toMatchObject({ result: "failed", code: "capacity" });
  expect(done.changed[0]).toEqual({ what: "count", from: "2", to: "4" });
  expect(done.words).toContain("do not have sufficient t3.micro capacity");
});

test.each([
  ["launch-suspended", "Launch", 4],
  ["terminate-suspended", "Terminate", 1],
] as const)("a suspended process is why: %s", async (code, process, count) => {
  const { world, scale } = await madeOf();
  const suspended = { AutoScalingGroupName: world.group.name, ScalingProcesses: [process] };
  await world.admin.call("autoscaling", "SuspendProcesses", suspended);
  const command = { ...scale, args: { ...scale.args, count } };
  expect(await run(command, {}, errand(), FOUND.scale)).toMatchObject({ result: "failed", code, changed: [] });
  expect(came(world, CHANGE.scale)).toEqual([]);
});

test.each([
  ["version-1-only", "metadata-refused"],
  ["unauthorized", "metadata-refused"],
  ["nothing-but-errors", "metadata-refused"],
  ["no-role", "no-role"],
  ["hop-limit", "metadata-unreachable"],
  ["slow", "metadata-unreachable"],
] as const)(
  "the metadata service's fault %s: no call leaves, the code is %s",
  async (fault, code) => {
    const { world, describe } = await madeOf();
    world.metadata.fault = fault;
    expect((await failureOf(describe.dns())).status).toBe(code);
    expect(world.calls).toEqual([]);
  },
  30_000,
);

test("another role's credentials: nothing is asked but who they are", async () => {
  const { world, describe } = await madeOf();
  const other = `x${world.role}`;
  await world.more.role(other);
  world.switches.role = other;
  expect((await failureOf(describe.dns())).status).toBe("no-role");
  expect(world.calls).toEqual([]);
});
