/** What goes wrong on the way and at Google's end, fault by fault: what is the case afterwards, and that the outcome says so. */
import { afterEach, describe, expect, test } from "bun:test";
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import { gcpProvider } from "../../providers/gcp/gcp.ts";
import { CallFailed, Halted, type JudgedCertificateArgs, type ScaleState } from "../../providers/provider.ts";
import { caught, failureOf, SETTING } from "../aws/fixture.ts";
import { makeRequest } from "../aws/world/requests.ts";
import { act, type Command, errand, gateFor, recall, see } from "../providers/world.ts";
import { came, configOf, groupOf, providerFor, zoneOf } from "./account.ts";
import type { Mistake } from "./world/issuing.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

const open: World[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) {
    await world.stop();
    expect(world.problems).toEqual([]);
  }
});
async function worldOf(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld(options);
  open.push(world);
  return world;
}
async function scaleOf(world: World, count = 4): Promise<Command<ScaleArgs, ScaleState>> {
  const group = groupOf(world);
  return { action: (await providerFor(world)).scale, args: { group, count }, resource: group };
}
async function recordOf(world: World, args: Partial<DnsArgs> = {}) {
  const [zone, name] = [zoneOf(world), `www.${world.zoneName}`];
  const whole: DnsArgs = { zone, name, type: "A", change: "create", values: ["10.20.0.1"], ttl: 60, ...args };
  return { action: (await providerFor(world))["update-dns"], args: whole, resource: `${zone}/${name}` };
}
async function certificateOf(world: World, more: Partial<JudgedCertificateArgs> = {}) {
  const pem = makeRequest(["a.example.com"]).csr;
  const csrDer = new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
  const args: JudgedCertificateArgs = {
    ...{ authority: world.pool, usages: ["server"], validity: 3600, csrDer, names: ["a.example.com"], deliver: null },
    ...more,
  };
  return { action: (await providerFor(world))["issue-certificate"], args, resource: world.pool };
}
const RESIZE = "compute.instanceGroupManagers.resize";
const CREATE = "privateca.projects.locations.caPools.certificates.create";
const CHANGE = "dns.changes.create";

describe("a group", () => {
  test("is not true before its operation is done, its machines run and it is stable", async () => {
    const world = await worldOf();
    Object.assign(world.scaling, { operationMilliseconds: 150, launchMilliseconds: 300, staleMilliseconds: 100 });
    const done = await act(await scaleOf(world));
    expect(done).toMatchObject({ result: "succeeded", code: null });
    expect(world.look.group()).toEqual({ target: 4, running: 4, machines: 4 });
    expect(done.changed.map(({ from, to }) => [from, to])).toEqual([
      ["2", "4"],
      [null, "RUNNING"],
      [null, "RUNNING"],
    ]);
  });

  test("whose machines all run and which is not stable is not true yet", async () => {
    const world = await worldOf();
    world.scaling.settleMilliseconds = 60_000;
    const ended = await act(await scaleOf(world), {}, errand(AbortSignal.timeout(500)));
    expect(ended).toMatchObject({ result: "failed", code: "deadline" });
    expect(world.look.group()).toEqual({ target: 4, running: 4, machines: 4 });
  });

  test("whose resize was not heard is one operation, found by the command's own id", async () => {
    const world = await worldOf();
    world.fault(RESIZE, { kind: "drop", when: "after" }, { times: 4 });
    const own = errand();
    expect(await act(await scaleOf(world), {}, own)).toMatchObject({ result: "succeeded" });
    expect([world.groups.operations(), came(world, RESIZE).map(({ query }) => query["requestId"])]).toEqual([
      1,
      Array(4).fill(own.id),
    ]);
  });

  test("whose resize never arrived is unknown, never succeeded", async () => {
    const world = await worldOf();
    world.fault(RESIZE, { kind: "drop", when: "before" }, { times: 4 });
    expect(await act(await scaleOf(world))).toMatchObject({ result: "unknown", code: "reset", changed: [] });
  });

  test("that was resized by someone else since it was judged is let be", async () => {
    const world = await worldOf();
    const command = await scaleOf(world);
    const found = await see(command);
    world.groups.set(world.group, 3);
    expect(await act(command, {}, errand(), found)).toMatchObject({
      result: "failed",
      code: "concurrent",
      changed: [],
    });
    expect(came(world, RESIZE)).toEqual([]);
  });

  test.each([
    [9, "above-autoscaler-max"],
    [1, "below-autoscaler-min"],
    [4, "autoscaled"],
  ])("with an autoscaler of 2 to 5 that is on is not set to %d: %s", async (count, code) => {
    const world = await worldOf();
    world.groups.of(world.group).autoscaler = { mode: "ON", min: 2, max: 5 };
    expect(await act(await scaleOf(world, count))).toMatchObject({ result: "failed", code, changed: [] });
    expect([came(world, RESIZE), world.look.group().target]).toEqual([[], 2]);
  });

  test("with an autoscaler that is off is resized", async () => {
    const world = await worldOf();
    world.groups.of(world.group).autoscaler = { mode: "OFF", min: 2, max: 3 };
    expect(await act(await scaleOf(world))).toMatchObject({ result: "succeeded" });
  });

  test("that lacks capacity has failed for it at the deadline, and what came is said", async () => {
    const world = await worldOf();
    world.scaling.capacity = 3;
    const ended = await act(await scaleOf(world), {}, errand(AbortSignal.timeout(600)));
    expect(ended).toMatchObject({ result: "failed", code: "capacity" });
    expect(ended.changed).toContainEqual({ what: "count", from: "2", to: "4" });
    expect(ended.words).toContain("ZONE_RESOURCE_POOL_EXHAUSTED");
  });

  test("whose operation ends with an error has failed for it, and nothing changed", async () => {
    const world = await worldOf();
    world.scaling.operationError = "QUOTA_EXCEEDED";
    expect(await act(await scaleOf(world))).toMatchObject({ result: "failed", code: "quota", changed: [] });
  });

  test("of several pages is read whole", async () => {
    const world = await worldOf({ size: 5 });
    world.scaling.page = 2;
    expect(await act(await scaleOf(world, 7))).toMatchObject({ result: "succeeded" });
  });

  test("that the agent itself runs in is never touched, and named", async () => {
    const world = await worldOf();
    const [name = ""] = world.groups.names(world.group);
    world.metadata.instance = { ...world.metadata.instance, name };
    const command = await scaleOf(world);
    expect((await failureOf(see(command))).status).toBe("own-group");
    expect(came(world, RESIZE)).toEqual([]);
    world.metadata.createdBy = `projects/123456789012/zones/${world.region}-b/instanceGroupManagers/${world.group.split("/").at(-1)}`;
    expect((await providerFor(world)).ownGroups).toEqual([groupOf(world)]);
  });

  test("suspended between two tries of a resize is in doubt, not unchanged", async () => {
    const world = await worldOf();
    world.fault(RESIZE, { kind: "drop", when: "after" });
    let looks = 0;
    const beforeChange = () => {
      if (++looks > 3) throw new Halted("suspended");
    };
    const ended = await act(await scaleOf(world), { beforeChange });
    // It was made, and its operation tells.
    expect([ended.result, world.look.group().target]).toEqual(["succeeded", 4]);
  });

  test("reconcile: an operation that failed is said so, by its token", async () => {
    const world = await worldOf();
    const command = await scaleOf(world);
    const [own, found] = [errand(), await see(command)];
    world.scaling.operationError = "QUOTA_EXCEEDED";
    await act(command, {}, own, found);
    expect(await recall(command, found, own)).toMatchObject({ result: "failed", code: "quota", known_by: "token" });
  });
});

describe("a certificate", () => {
  const mistakes: readonly (readonly [Mistake, string])[] = [
    ["other-key", "issued-other-key"],
    ["other-name", "issued-other-names"],
    ["more-names", "issued-other-names"],
    ["longer", "issued-other-validity"],
    ["other-usage", "issued-other-usages"],
    ["an-authority", "issued-authority"],
    ["other-issuer", "issued-other-chain"],
    ["other-subject", "issued-other-subject"],
    ["no-chain", "issued-other-chain"],
  ];
  test.each(mistakes)("that was issued with %s does not count, and is on record: %s", async (mistake, code) => {
    const world = await worldOf();
    world.issuing.mistake = mistake;
    const ended = await act(await certificateOf(world));
    expect(ended).toMatchObject({ result: "failed", code });
    expect([ended.certificate === null, ended.changed.length, world.look.issued()]).toEqual([false, 1, 1]);
  });

  test("whose answer is lost each time is one certificate, found by its own name", async () => {
    const world = await worldOf();
    world.fault(CREATE, { kind: "drop", when: "after" }, { times: 4 });
    world.issuing.staleMilliseconds = 100;
    expect(await act(await certificateOf(world))).toMatchObject({ result: "succeeded" });
    expect(world.look.issued()).toBe(1);
  });

  test("asked for is said field by field: key, names, usages and no more; one second is left out", async () => {
    const world = await worldOf();
    await act(await certificateOf(world, { usages: ["client", "server"] }));
    const [{ body } = { body: {} }] = came(world, CREATE);
    expect(body).toMatchObject({
      lifetime: "3599s",
      config: {
        subjectConfig: { subjectAltName: { dnsNames: ["a.example.com"] } },
        x509Config: {
          caOptions: { isCa: false },
          keyUsage: {
            baseKeyUsage: { digitalSignature: true },
            extendedKeyUsage: { serverAuth: true, clientAuth: true },
          },
        },
      },
    });
    expect(JSON.stringify(body)).not.toContain("pemCsr");
  });

  test("of a pool without an authority that is enabled, or that is no pool of the config's place", async () => {
    const world = await worldOf();
    for (const authority of world.pools.of(world.pool).authorities) authority.state = "DISABLED";
    expect(await act(await certificateOf(world))).toMatchObject({
      result: "failed",
      code: "precondition",
      changed: [],
    });
    const elsewhere = world.pool.replace(world.region, "us-east1");
    const { action, args } = await certificateOf(world, { authority: elsewhere });
    expect(
      await action.describe(gateFor(action, args, elsewhere, { phase: "read" }).gate, args, errand()),
    ).toHaveProperty("missing");
  });

  test("never lives longer than its authority, and counts all the same", async () => {
    const world = await worldOf({ authorityDays: 2 });
    expect(await act(await certificateOf(world, { validity: 30 * 86_400 }))).toMatchObject({ result: "succeeded" });
  });
});

describe("a record", () => {
  test("is replaced by deleting exactly what was read and adding what is wanted, in one change that is awaited", async () => {
    const world = await worldOf();
    world.syncing.syncMilliseconds = 200;
    world.zones.put(world.zone, `www.${world.zoneName}`, "A", { ttl: 300, rrdatas: ["10.20.0.9", "10.20.0.8"] });
    expect(await act(await recordOf(world, { change: "replace" }))).toMatchObject({ result: "succeeded" });
    expect(came(world, CHANGE).map(({ body }) => body)).toMatchObject([
      {
        deletions: [{ ttl: 300, rrdatas: ["10.20.0.9", "10.20.0.8"] }],
        additions: [{ ttl: 60, rrdatas: ["10.20.0.1"] }],
      },
    ]);
    expect(came(world, "dns.changes.get").length).toBeGreaterThan(0);
  });

  test("that someone else changed after it was read is let be: the change is refused whole", async () => {
    const world = await worldOf();
    const name = `www.${world.zoneName}`;
    world.zones.put(world.zone, name, "A", { ttl: 300, rrdatas: ["10.20.0.9"] });
    world.at(CHANGE, "before", async () =>
      world.zones.put(world.zone, name, "A", { ttl: 300, rrdatas: ["10.20.0.7"] }),
    );
    expect(await act(await recordOf(world, { change: "replace" }))).toMatchObject({
      result: "failed",
      code: "concurrent",
      changed: [],
    });
    expect(world.look.record(name, "A")?.rrdatas).toEqual(["10.20.0.7"]);
  });

  test.each([
    ["after", "succeeded"],
    ["before", "unknown"],
  ] as const)("whose answer is lost %s it was made is looked at, and never sent twice: %s", async (when, result) => {
    const world = await worldOf();
    world.fault(CHANGE, { kind: "drop", when });
    expect(await act(await recordOf(world))).toMatchObject({ result });
    expect(came(world, CHANGE)).toHaveLength(1);
  });

  test("of each type goes there and back, long texts and odd characters too", async () => {
    const world = await worldOf();
    for (const [type, values] of [
      ["TXT", ['v=spf1 "quoted" \\ back', "ä".repeat(200)]],
      ["AAAA", ["2001:db8::1"]],
      ["CNAME", ["other.example.com"]],
    ] as const) {
      const name = `${type.toLowerCase()}.${world.zoneName}`;
      const command = await recordOf(world, { type, values, name });
      const named = { ...command, resource: `${zoneOf(world)}/${name}` };
      expect(await act(named)).toMatchObject({ result: "succeeded" });
      expect(await see(named)).toEqual({ record: { values: [...values].sort(), ttl: 60 } });
    }
  });

  test("with a routing policy, and a name outside its zone", async () => {
    const world = await worldOf();
    world.zones.put(world.zone, `www.${world.zoneName}`, "A", { routingPolicy: { geo: { items: [] } } });
    const { action, args, resource } = await recordOf(world);
    const look = (of: DnsArgs, at: string) =>
      action.describe(gateFor(action, of, at, { phase: "read" }).gate, of, errand());
    expect(await look(args, resource)).toEqual({ unreadable: "record-routed" });
    const outside = `www.not${world.zoneName}`;
    expect(await look({ ...args, name: outside }, `${args.zone}/${outside}`)).toHaveProperty("missing");
  });
});

describe("an answer", () => {
  const reads = "compute.instanceGroupManagers.get";
  test.each([
    ["throttled", { kind: "error", code: "rateLimitExceeded", when: "before" }, 3],
    ["unavailable", { kind: "error", code: "backendError", when: "before" }, 3],
    ["reset", { kind: "drop", when: "before" }, 3],
    ["cut short", { kind: "truncate" }, 3],
  ] as const)("that is %s is asked for again, and comes", async (_, fault, times) => {
    const world = await worldOf();
    const rule = world.fault(reads, fault, { times });
    expect([await see(await scaleOf(world)), rule.hits]).toEqual([{ count: 2 }, 3]);
  });

  test.each([
    ["garbage", { kind: "garbage" }, "malformed"],
    ["a page", { kind: "page", status: 503, when: "before" }, "unavailable"],
    ["a redirect", { kind: "redirect", status: 302, to: "http://127.0.0.1:1/" }, "redirected"],
    ["a denial", { kind: "error", code: "forbidden", when: "before" }, "denied"],
    ["an API that is off", { kind: "error", code: "accessNotConfigured", when: "before" }, "api-disabled"],
  ] as const)("that is %s is none, and no other call is made of it", async (_, fault, status) => {
    const world = await worldOf();
    world.fault(reads, fault, { times: 4 });
    const error = await caught(see(await scaleOf(world)));
    expect([error instanceof CallFailed, (error as CallFailed).status]).toEqual([true, status]);
  });

  test("of a change that cannot be read leaves it in doubt", async () => {
    const world = await worldOf();
    world.fault(CHANGE, { kind: "garbage" });
    expect(await act(await recordOf(world))).toMatchObject({ result: "succeeded" });
    world.fault(CREATE, { kind: "garbage" });
    expect(await act(await certificateOf(world))).toMatchObject({ result: "succeeded" });
    expect([came(world, CHANGE).length, world.look.issued()]).toEqual([1, 1]);
  });
});

describe("the network", () => {
  test("is the setting's alone: each call and each reading of the metadata server is a connection that its dial made", async () => {
    const world = await worldOf();
    const dialed: string[] = [];
    const dial: typeof SETTING.dial = (to, wait) => {
      dialed.push(`http://${to.host}:${to.port}`);
      return SETTING.dial(to, wait);
    };
    const provider = await gcpProvider({ ...SETTING, dial }, configOf(world));
    const group = groupOf(world);
    await act({ action: provider.scale, args: { group, count: 4 }, resource: group });
    const record = await recordOf(world);
    await act({ ...record, action: provider["update-dns"] });
    const certificate = await certificateOf(world);
    await act({ ...certificate, action: provider["issue-certificate"] });
    const to = (service: keyof World["endpoints"]) =>
      dialed.filter((place) => place === world.endpoints[service]).length;
    for (const service of ["compute", "dns", "privateca"] as const)
      expect([service, to(service)]).toEqual([service, world.calls.filter((made) => made.service === service).length]);
    expect(to("metadata")).toBeGreaterThan(2);
    expect(dialed.length).toBe(to("compute") + to("dns") + to("privateca") + to("metadata"));
  });

  test("that a proxy refuses lets no call out, and says so", async () => {
    const world = await worldOf();
    const dial: typeof SETTING.dial = (to, wait) =>
      to.port === Number(new URL(world.endpoints.metadata).port)
        ? SETTING.dial(to, wait)
        : Promise.resolve({ unreachable: "proxy: 403" });
    const provider = await gcpProvider({ ...SETTING, dial }, configOf(world));
    const group = groupOf(world);
    const ended = failureOf(see({ action: provider.scale, args: { group, count: 4 }, resource: group }));
    expect((await ended).status).toBe("proxy-denied");
    expect(world.calls).toEqual([]);
  });
});
