import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { DnsArgs } from "../../policy/asked.ts";
import { plainName, readValue } from "../../providers/aws/recordValue.ts";
import { Halted, type Provider, type RecordState } from "../../providers/provider.ts";
import { act, errand, gateFor, recall } from "../providers/world.ts";
import { came, providerFor } from "./account.ts";
import { failureOf } from "./fixture.ts";
import { recorder } from "./recorder.ts";
import type { Structure } from "./world/codec.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { startWorld, type World } from "./world/world.ts";

let moto: Moto;
let world: World;
let provider: Provider;
beforeAll(async () => {
  moto = await startMoto();
  world = await startWorld(moto);
  provider = await providerFor(world);
}, 600_000);
afterAll(async () => {
  await world.stop();
  await moto.stop();
});
afterEach(() => {
  world.syncing.syncMilliseconds = 0;
  expect(world.problems).toEqual([]);
});

let named = 0;
/** What is asked of a name of its own, so that no test sees another's record. */
function asked(change: DnsArgs["change"], more: Partial<DnsArgs> = {}): DnsArgs {
  const values = change === "delete" ? [] : ["10.20.0.2"];
  const name = more.name ?? `b${++named}.${world.zone.name}`;
  return { zone: world.zone.id, name, type: "A", change, values, ttl: 60, ...more };
}
function command(args: DnsArgs) {
  return { action: provider["update-dns"], args, resource: `${args.zone}/${args.name}` };
}
function look(args: DnsArgs) {
  const { action, resource } = command(args);
  return action.describe(gateFor(action, args, resource, { phase: "read" }).gate, args, errand());
}
const record = ({ name, type }: DnsArgs, values: readonly string[], more: Structure = {}): Structure => ({
  Name: name,
  Type: type,
  TTL: 60,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...more,
});
const others = (Action: "CREATE" | "DELETE" | "UPSERT", set: Structure) =>
  world.others.changeRecords({ Action, ResourceRecordSet: set });
const there = async ({ name, type }: DnsArgs) => {
  const found = await world.look.record(name, type);
  const values = (found?.["ResourceRecords"] ?? []) as readonly Structure[];
  return found === null ? null : { ttl: Number(found["TTL"]), values: values.map(({ Value }) => Value) };
};
const state = (values: readonly string[], ttl = 60): RecordState => ({ record: { values, ttl } });
const changesMade = (since: number) => came(world, "ChangeResourceRecordSets").slice(since);
const changesSoFar = () => came(world, "ChangeResourceRecordSets").length;

describe("a record set is described", () => {
  test("by its values and seconds, and by nothing when there is none, also beside a longer and a shorter name", async () => {
    const args = asked("create");
    await others("CREATE", record({ ...args, name: `a.${args.name}` }, ["10.20.0.9"]));
    await others("CREATE", record({ ...args, type: "AAAA" }, ["2001:DB8::1"]));
    expect(await look(args)).toEqual({ state: { record: null } });
    await others("CREATE", record(args, ["10.20.0.7", "10.20.0.3"], { TTL: 30 }));
    expect(await look(args)).toEqual({ state: { record: { values: ["10.20.0.3", "10.20.0.7"], ttl: 30 } } });
    expect(await look({ ...args, type: "AAAA" })).toEqual({ state: { record: { values: ["2001:db8::1"], ttl: 60 } } });
  });

  test("a TXT by the text of all its strings, escapes undone", async () => {
    const args = asked("create", { type: "TXT" });
    await others("CREATE", record(args, ['"say \\"hi\\" \\\\ \\303\\251" " and more"', '""']));
    expect(await look(args)).toEqual({ state: { record: { values: ["", 'say "hi" \\ é and more'], ttl: 60 } } });
  });

  test("a name whose escaped form stands first in the zone is not taken for another", async () => {
    const args = asked("create");
    await others("CREATE", record({ ...args, name: `\\052.${args.name}` }, ["10.20.0.9"]));
    expect(await look(args)).toEqual({ state: { record: null } });
  });

  test("a name that is not the zone's, and a zone that is not there, are missing", async () => {
    const outside = asked("create", { name: `evil${world.zone.name}` });
    expect(await look(outside)).toEqual({
      missing: `the hosted zone ${world.zone.id} does not hold the name ${outside.name}`,
    });
    expect(await look(asked("create", { zone: "Z0000000000000000000" }))).toEqual({
      missing: "there is no hosted zone Z0000000000000000000",
    });
  });

  test("a zone whose id is not of Route 53's form is missing, and nothing is asked", async () => {
    const before = world.calls.length;
    for (const zone of ["z0123456789", "Z1/../Z2", "example.com", `Z${"A".repeat(32)}`])
      expect(await look(asked("create", { zone }))).toEqual({ missing: `there is no hosted zone ${zone}` });
    expect(world.calls.slice(before)).toEqual([]);
  });

  test("a dot inside of a label separates nothing: another name, and a value that cannot be judged", () => {
    expect(plainName("a\\056b.example.com.")).toBe("a\\056b.example.com");
    expect(plainName("\\052.example.com.")).toBe("*.example.com");
    expect(() => readValue("CNAME", "a\\056b.example.com.")).toThrow(RangeError);
  });

  const alias = {
    AliasTarget: { HostedZoneId: "Z35SXDOTRQ7X7K", DNSName: "lb.example.com.", EvaluateTargetHealth: false },
  };
  test.each([
    ["alias", "record-alias", { ...alias, TTL: undefined, ResourceRecords: undefined }],
    ["weighted", "record-weighted", { SetIdentifier: "one", Weight: 10 }],
    ["latency", "record-latency", { SetIdentifier: "one", Region: "eu-west-1" }],
    ["geolocation", "record-geolocation", { SetIdentifier: "one", GeoLocation: { CountryCode: "DE" } }],
    ["failover", "record-failover", { SetIdentifier: "one", Failover: "PRIMARY" }],
    ["multivalue", "record-multivalue", { SetIdentifier: "one", MultiValueAnswer: true }],
  ])("a record set that is %s is refused as it is found, and again when it comes after", async (_, word, more) => {
    const args = asked("replace");
    await others("CREATE", record(args, ["10.20.0.1"], more as Structure));
    expect(await look(args)).toEqual({ unreadable: word });
    const before = await world.look.record(args.name, args.type);
    const made = changesSoFar();
    expect(await act(command(args), {}, errand(), state(["10.20.0.1"]))).toMatchObject({
      result: "failed",
      code: "concurrent",
      changed: [],
      words: word,
    });
    expect([changesMade(made), await world.look.record(args.name, args.type)]).toEqual([[], before]);
  });

  test.each([
    ["values that are not text", "TXT", ['"\\377"']],
    ["more values than an entry holds", "A", Array.from({ length: 65 }, (_, n) => `10.20.1.${n}`)],
  ] as const)("%s are refused", async (_, type, values) => {
    const args = asked("replace", { type });
    await others("CREATE", record(args, values));
    expect(await look(args)).toEqual({ unreadable: type === "TXT" ? "record-unusual" : "too-large" });
  });
});

describe("a change", () => {
  test("creates, replaces and deletes in one batch that names the command, and is true when it is over", async () => {
    const create = asked("create", { values: ["10.20.0.2", "10.20.0.1"] });
    const own = errand();
    expect(await act(command(create), {}, own)).toMatchObject({
      result: "succeeded",
      changed: [{ what: `${create.name} A`, from: null, to: "10.20.0.1 10.20.0.2 ttl 60" }],
    });
    const replace = { ...create, change: "replace" as const, values: ["10.20.0.3"], ttl: 90 };
    expect(await act(command(replace))).toMatchObject({ result: "succeeded", code: null });
    expect(await there(create)).toEqual({ ttl: 90, values: ["10.20.0.3"] });
    expect(await act(command({ ...create, change: "delete", values: [] }))).toMatchObject({
      result: "succeeded",
      changed: [{ what: `${create.name} A`, from: "10.20.0.3 ttl 90", to: null }],
    });
    expect(await there(create)).toBeNull();
    const made = changesMade(-3).map(({ params }) => params["ChangeBatch"] as Structure);
    const actions = made.map((batch) => (batch["Changes"] as Structure[]).map((change) => change["Action"]));
    expect(actions).toEqual([["CREATE"], ["DELETE", "CREATE"], ["DELETE"]]);
    expect(made[0]?.["Comment"]).toBe(`reeve command ${own.id}`);
  });

  test("a TXT of every kind of byte and of over 255 bytes comes back as it was asked", async () => {
    const values = ['quote " back \\ tab \t é', `${"x".repeat(254)}é${"y".repeat(200)}`, ""];
    const args = asked("create", { type: "TXT", values });
    expect(await act(command(args))).toMatchObject({ result: "succeeded" });
    expect((await there(args))?.values[0]).toBe('"quote \\" back \\\\ tab \\011 \\303\\251"');
    expect(await look(args)).toEqual({ state: { record: { values: [...values].sort(), ttl: 60 } } });
  });

  test("the old record set is deleted exactly as it lies there, in a spelling that is not ours", async () => {
    const v6 = asked("replace", { type: "AAAA", values: ["2001:db8::2"] });
    await others("CREATE", record(v6, ["2001:0DB8:0::1"]));
    expect(await act(command(v6))).toMatchObject({ result: "succeeded" });
    const cname = asked("delete", { type: "CNAME" });
    await others("CREATE", record(cname, ["Target.Example.com."]));
    expect(await look(cname)).toEqual({ state: { record: { values: ["target.example.com"], ttl: 60 } } });
    expect(await act(command(cname))).toMatchObject({ result: "succeeded" });
    const txt = asked("delete", { type: "TXT" });
    await others("CREATE", record(txt, ['"a" "b"']));
    expect(await act(command(txt))).toMatchObject({ result: "succeeded" });
    expect([await there(v6), await there(cname), await there(txt)]).toEqual([
      { ttl: 60, values: ["2001:db8::2"] },
      null,
      null,
    ]);
  });

  test("waits until it is on every name server", async () => {
    world.syncing.syncMilliseconds = 300;
    const before = came(world, "GetChange").length;
    const started = performance.now();
    expect(await act(command(asked("create")))).toMatchObject({ result: "succeeded" });
    expect(performance.now() - started).toBeGreaterThan(290);
    expect(came(world, "GetChange").length - before).toBeGreaterThan(1);
  });

  test("that is not on every name server by the deadline is unknown, and says what was changed", async () => {
    world.syncing.syncMilliseconds = 60_000;
    const args = asked("create");
    const own = errand(AbortSignal.timeout(300));
    expect(await act(command(args), {}, own)).toMatchObject({
      result: "unknown",
      code: "pending",
      changed: [{ what: `${args.name} A`, from: null, to: "10.20.0.2 ttl 60" }],
    });
  });

  test("to what is already there changes nothing", async () => {
    const args = asked("replace");
    await others("CREATE", record(args, ["10.20.0.2"]));
    const made = changesSoFar();
    expect(await act(command(args))).toMatchObject({ result: "succeeded", changed: [] });
    expect(changesMade(made)).toEqual([]);
  });

  test("of what is none of its type is not sent", async () => {
    const made = changesSoFar();
    for (const more of [
      { values: ["10.20.0.256"] },
      { type: "CNAME", values: ["a.example.com", "b.example.com"] },
      { type: "CNAME", values: ["a.example.com."] },
      { values: [] },
      { ttl: 2 ** 31 },
    ] as const)
      expect(await act(command(asked("create", more)))).toMatchObject({ result: "failed", code: "values" });
    expect(changesMade(made)).toEqual([]);
  });
});

describe("someone else's change in between", () => {
  test("before the agent reads again: nothing is sent", async () => {
    const args = asked("replace");
    await others("CREATE", record(args, ["10.20.0.1"]));
    const made = changesSoFar();
    expect(await act(command(args), {}, errand(), state(["10.20.0.9"]))).toMatchObject({
      result: "failed",
      code: "concurrent",
    });
    expect(changesMade(made)).toEqual([]);
  });

  test.each([
    ["other values", "UPSERT", ["10.20.0.8"], ["10.20.0.8"]],
    ["other seconds", "UPSERT", ["10.20.0.1"], ["10.20.0.1"]],
    ["its end", "DELETE", ["10.20.0.1"], null],
  ] as const)(
    "right before the batch arrives, %s: the batch fails whole, concurrent",
    async (_, action, values, left) => {
      const args = asked("replace");
      await others("CREATE", record(args, ["10.20.0.1"]));
      const more = action === "UPSERT" ? { TTL: 61 } : {};
      world.at("ChangeResourceRecordSets", "before", () => others(action, record(args, values, more)));
      expect(await act(command(args))).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
      expect((await there(args))?.values ?? null).toEqual(left as never);
    },
  );

  test("a record set that someone creates first is not overwritten by a create", async () => {
    const args = asked("create");
    world.at("ChangeResourceRecordSets", "before", () => others("CREATE", record(args, ["10.20.0.8"])));
    expect(await act(command(args))).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    expect((await there(args))?.values).toEqual(["10.20.0.8"]);
  });

  test("after the batch: the outcome says what lies there now", async () => {
    const args = asked("create");
    world.at("ChangeResourceRecordSets", "after", () => others("UPSERT", record(args, ["10.20.0.8"])));
    expect(await act(command(args))).toMatchObject({
      result: "failed",
      code: "concurrent",
      changed: [{ what: `${args.name} A`, from: null, to: "10.20.0.8 ttl 60" }],
    });
  });

  test("a batch that Route 53 does not take for another reason keeps its code and AWS's words", async () => {
    const args = asked("create", { type: "CNAME", values: ["x.example.com"] });
    await others("CREATE", record({ ...args, type: "A" }, ["10.20.0.1"]));
    const ended = await act(command(args));
    expect(ended).toMatchObject({ result: "failed", code: "InvalidChangeBatch", changed: [] });
    expect(ended.words).toContain("conflicts with other records");
    const [call] = ended.operations.filter(({ changes }) => changes);
    expect(call).toMatchObject({ status: "InvalidChangeBatch", request: changesMade(-1)[0]?.id });
  });
});

describe("what goes wrong on the way", () => {
  test.each([
    ["PriorRequestNotComplete", "prior-request"],
    ["Throttling", "throttled"],
  ])(
    "%s is before any effect: sent again until it is taken, each try on record with its request id",
    async (code, status) => {
      const args = asked("create");
      world.fault("ChangeResourceRecordSets", { kind: "error", code, when: "before" }, { times: 3 });
      const made = changesSoFar();
      const ended = await act(command(args));
      expect(ended).toMatchObject({ result: "succeeded" });
      const tries = ended.operations.filter(({ changes }) => changes);
      expect(tries.map((each) => each.status)).toEqual([status, status, status, "ok"]);
      expect(tries.map((each) => each.request)).toEqual(changesMade(made).map(({ id }) => id));
    },
  );

  test("and given up at the deadline: nothing was changed", async () => {
    const args = asked("create");
    const rule = world.fault(
      "ChangeResourceRecordSets",
      { kind: "error", code: "PriorRequestNotComplete", when: "before" },
      { times: 10_000 },
    );
    const ended = await act(command(args), {}, errand(AbortSignal.timeout(200)));
    rule.times = 0;
    expect(ended).toMatchObject({ result: "failed", code: "prior-request", changed: [] });
    expect(await there(args)).toBeNull();
  });

  test("the switch is read before each try: off after the first, none is sent again", async () => {
    const args = asked("create");
    const rule = world.fault(
      "ChangeResourceRecordSets",
      { kind: "error", code: "Throttling", when: "before" },
      { times: 9 },
    );
    const made = changesSoFar();
    const beforeChange = () => {
      if (changesSoFar() > made) throw new Halted("suspended");
    };
    expect(await act(command(args), { beforeChange })).toMatchObject({ result: "failed", code: "suspended" });
    expect(rule.hits).toBe(1);
    rule.times = 0;
  });

  test.each([
    ["was made and the answer lost", "after", "succeeded", null, ["10.20.0.2"]],
    ["did not arrive", "before", "unknown", "reset", null],
  ] as const)("a change that %s is sent once and resolved by reading", async (_, when, result, code, left) => {
    const args = asked("create");
    world.fault("ChangeResourceRecordSets", { kind: "drop", when });
    const made = changesSoFar();
    expect(await act(command(args))).toMatchObject({ result, code });
    expect(changesMade(made).length).toBe(1);
    expect((await there(args))?.values ?? null).toEqual(left as never);
  });

  test("a lost answer, and then someone else's record set: unknown, with what lies there", async () => {
    const args = asked("create");
    world.fault("ChangeResourceRecordSets", { kind: "drop", when: "after" });
    world.at("ChangeResourceRecordSets", "after", () => others("UPSERT", record(args, ["10.20.0.8"])));
    expect(await act(command(args))).toMatchObject({
      result: "unknown",
      code: "reset",
      changed: [{ what: `${args.name} A`, from: null, to: "10.20.0.8 ttl 60" }],
    });
  });

  test("the sync cannot be asked about: unknown with AWS's status, and what was changed", async () => {
    const args = asked("create");
    world.fault("GetChange", { kind: "error", code: "AccessDenied", status: 403, when: "before" }, { times: 1 });
    expect(await act(command(args))).toMatchObject({
      result: "unknown",
      code: "denied",
      changed: [{ what: `${args.name} A`, from: null, to: "10.20.0.2 ttl 60" }],
    });
  });

  test("a batch that is refused in Route 53's own form of that error is refused, with the words of it", async () => {
    const message = "Tried to create resource record set but it already exists";
    const body = `<?xml version="1.0"?>\n<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>${message}</Message></Messages><RequestId>b25f48e8</RequestId></InvalidChangeBatch>`;
    const zone =
      "<HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><CallerReference>1</CallerReference></HostedZone>";
    const empty = "<ResourceRecordSets/><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems>";
    const server = await recorder(({ method, path }) => {
      if (method === "POST") return { status: 400, body };
      if (path.includes("rrset"))
        return { body: `<ListResourceRecordSetsResponse>${empty}</ListResourceRecordSetsResponse>` };
      return { body: `<GetHostedZoneResponse>${zone}</GetHostedZoneResponse>` };
    });
    const alone = await providerFor({ ...world, endpoints: { ...world.endpoints, route53: server.url } });
    const args = asked("create", { zone: "Z1", name: "a.example.com" });
    const ended = await act({ action: alone["update-dns"], args, resource: `Z1/${args.name}` });
    server.close();
    expect(ended).toMatchObject({ result: "failed", code: "InvalidChangeBatch", changed: [] });
    expect(ended.words).toContain(message);
  });

  test("a change that is denied changed nothing", async () => {
    const args = asked("create");
    world.fault("ChangeResourceRecordSets", { kind: "error", code: "AccessDenied", status: 403, when: "before" });
    expect(await act(command(args))).toMatchObject({ result: "failed", code: "denied", changed: [] });
    // What it is refused for stays what it is refused for, also when someone else was there.
    world.fault("ChangeResourceRecordSets", { kind: "error", code: "AccessDenied", status: 403, when: "before" });
    world.at("ListResourceRecordSets", "after", async () => {
      world.at("ListResourceRecordSets", "after", () => others("CREATE", record(args, ["10.20.0.8"])));
    });
    expect(await act(command(args))).toMatchObject({ result: "failed", code: "denied", changed: [] });
  });
});

describe("an intent without an outcome is told by what lies there", () => {
  test("as wanted: succeeded; as before: not done; otherwise: unknown. Nothing is changed by asking", async () => {
    const args = asked("replace");
    await others("CREATE", record(args, ["10.20.0.1"]));
    const made = changesSoFar();
    const found = state(["10.20.0.1"]);
    expect(await recall(command(args), found)).toMatchObject({ result: "failed", code: "not-done", known_by: "state" });
    await others("UPSERT", record(args, ["10.20.0.2"]));
    expect(await recall(command(args), found)).toMatchObject({
      result: "succeeded",
      known_by: "state",
      changed: [{ what: `${args.name} A`, from: "10.20.0.1 ttl 60", to: "10.20.0.2 ttl 60" }],
    });
    await others("UPSERT", record(args, ["10.20.0.7"]));
    expect(await recall(command(args), found)).toMatchObject({
      result: "unknown",
      code: "concurrent",
      known_by: "state",
    });
    await others("DELETE", record(args, ["10.20.0.7"]));
    await others("CREATE", record(args, ["10.20.0.2"], { SetIdentifier: "one", Weight: 1 }));
    expect(await recall(command(args), found)).toMatchObject({
      result: "unknown",
      code: "concurrent",
      words: "record-weighted",
    });
    expect(changesMade(made)).toEqual([]);
  });

  test("a batch that arrives while it is asked about is waited for", async () => {
    const args = asked("create");
    world.at("ListResourceRecordSets", "after", () => others("CREATE", record(args, ["10.20.0.2"])));
    expect(await recall(command(args), { record: null })).toMatchObject({ result: "succeeded" });
  });

  test("what cannot be read now is asked again by whoever asked", async () => {
    const args = asked("create");
    world.fault("ListResourceRecordSets", { kind: "error", code: "AccessDenied", status: 403, when: "before" });
    expect((await failureOf(recall(command(args), { record: null }))).status).toBe("denied");
  });
});
