import { expect, test } from "bun:test";
import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
} from "@aws-sdk/client-route-53";
import { clientsOf, refusal, worlds } from "./world/clients.ts";
import { compareNames, namedIn, normalName } from "./world/records.ts";

const { make } = worlds();

async function zoneOf() {
  const world = await make();
  const { dns } = clientsOf(world, (await world.credentials()).secret);
  const { id: HostedZoneId, name: zone } = world.zone;
  const record = (
    name: string,
    values: readonly string[],
    more: Partial<ResourceRecordSet> = {},
  ): ResourceRecordSet => ({
    Name: `${name}.${zone}`,
    Type: "A",
    TTL: 60,
    ResourceRecords: values.map((Value) => ({ Value })),
    ...more,
  });
  return {
    world,
    dns,
    zone,
    HostedZoneId,
    record,
    change: async (...Changes: Change[]) =>
      (await dns.send(new ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch: { Changes } }))).ChangeInfo,
    async list(start: { StartRecordName?: string; StartRecordType?: "A" | "TXT"; MaxItems?: number } = {}) {
      const answer = await dns.send(new ListResourceRecordSetsCommand({ HostedZoneId, ...start }));
      const names = (answer.ResourceRecordSets ?? []).map(({ Name = "", Type }) => `${Name} ${Type}`);
      return { ...answer, names };
    },
    async values(name: string) {
      const found = await world.look.record(`${name}.${zone}`, "A");
      return ((found?.["ResourceRecords"] ?? []) as { Value: string }[]).map(({ Value }) => Value);
    },
  };
}

const create = (ResourceRecordSet: ResourceRecordSet): Change => ({ Action: "CREATE", ResourceRecordSet });
const remove = (ResourceRecordSet: ResourceRecordSet): Change => ({ Action: "DELETE", ResourceRecordSet });

test("a zone is there with its own records, and another is not", async () => {
  const { dns, HostedZoneId, zone, list } = await zoneOf();
  expect((await dns.send(new GetHostedZoneCommand({ Id: HostedZoneId }))).HostedZone?.Name).toBe(`${zone}.`);
  expect((await list()).names).toEqual([`${zone}. NS`, `${zone}. SOA`]);
  const read = new ListResourceRecordSetsCommand({ HostedZoneId: "ZABSENT" });
  expect(await refusal(dns.send(read))).toMatchObject({ name: "NoSuchHostedZone", status: 404 });
});

test("a record is created, replaced in one batch and deleted", async () => {
  const { change, record, values } = await zoneOf();
  const [one, two] = [record("www", ["10.0.0.1", "10.0.0.2"]), record("www", ["10.0.0.3"], { TTL: 90 })];
  await change(create(one));
  expect(await values("www")).toEqual(["10.0.0.1", "10.0.0.2"]);
  await change(remove(record("www", ["10.0.0.2", "10.0.0.1"])), create(two));
  expect(await values("www")).toEqual(["10.0.0.3"]);
  await change(remove(two));
  expect(await values("www")).toEqual([]);
});

test("a batch holds whole or not at all: of two changes the second is wrong, and the first is not made", async () => {
  const { change, record, values, world } = await zoneOf();
  await change(create(record("www", ["10.0.0.1"])));
  const wrong = await refusal(change(create(record("new", ["10.0.0.9"])), create(record("www", ["10.0.0.2"]))));
  expect(wrong).toMatchObject({ name: "InvalidChangeBatch", status: 400 });
  expect([await values("new"), await values("www")]).toEqual([[], ["10.0.0.1"]]);
  expect(world.calls.filter(({ changed }) => changed)).toHaveLength(1);
});

test.each([
  ["another value", { ResourceRecords: [{ Value: "10.0.0.2" }] }, "do not match the current values"],
  ["another TTL", { TTL: 61 }, "do not match the current values"],
  ["one value less", { ResourceRecords: [{ Value: "10.0.0.1" }] }, "do not match the current values"],
  ["another type", { Type: "AAAA" as const, ResourceRecords: [{ Value: "::1" }] }, "it was not found"],
  ["an identifier", { SetIdentifier: "x", Weight: 1 }, "it was not found"],
] as const)("a delete must match what is there: %s", async (_, more, words) => {
  const { change, record, values, world } = await zoneOf();
  const there = ["10.0.0.1", "10.0.0.5"];
  await change(create(record("www", there)));
  const asked = { ...record("www", there), ...more } as ResourceRecordSet;
  const refused = await refusal(change(remove(asked), create(record("www", ["10.0.0.9"]))));
  expect(refused.name).toBe("InvalidChangeBatch");
  expect(await values("www")).toEqual(there);
  expect(world.calls.at(-1)?.message).toContain(words);
});

test.each([
  ["outside of the zone", (zone: string) => ({ Name: `evil${zone}`, Type: "A" as const })],
  ["an address that is none", () => ({ ResourceRecords: [{ Value: "10.0.0.256" }] })],
  ["a TXT without quotation marks", () => ({ Type: "TXT" as const, ResourceRecords: [{ Value: "bare" }] })],
  ["a CNAME beside an A", () => ({ Type: "CNAME" as const, ResourceRecords: [{ Value: "x.example.com" }] })],
  ["a weighted one beside a simple one", () => ({ SetIdentifier: "w", Weight: 1 })],
] as const)("%s is refused", async (_, more) => {
  const { change, record, zone, world } = await zoneOf();
  await change(create(record("www", ["10.0.0.1"])));
  const asked = { ...record("www", ["10.0.0.7"]), ...more(zone) } as ResourceRecordSet;
  expect(await refusal(change(create(asked)))).toMatchObject({ name: "InvalidChangeBatch", status: 400 });
  expect(world.calls.at(-1)?.error).toBe("InvalidChangeBatch");
});

test("every change has an id of its own, is PENDING for a while and then INSYNC; an unknown id is not found", async () => {
  const { change, record, dns, world, values } = await zoneOf();
  world.syncing.syncMilliseconds = 300;
  const first = await change(create(record("a", ["10.0.0.1"])));
  const second = await change(create(record("b", ["10.0.0.1"])));
  expect([first?.Status, second?.Status]).toEqual(["PENDING", "PENDING"]);
  expect(first?.Id).toMatch(/^\/change\/C[A-Z0-9]{19}$/);
  expect(second?.Id).not.toBe(first?.Id ?? "");
  const status = async (Id = "") => (await dns.send(new GetChangeCommand({ Id }))).ChangeInfo?.Status;
  expect(await status(second?.Id)).toBe("PENDING");
  // What is pending is listed already.
  expect(await values("b")).toEqual(["10.0.0.1"]);
  await Bun.sleep(320);
  expect(await status(second?.Id)).toBe("INSYNC");
  expect(await refusal(status("CABSENT"))).toMatchObject({ name: "NoSuchChange", status: 404 });
});

test("alias, weighted, geolocation, latency and multi-value records stand in the zone as they were made", async () => {
  const { world, list, zone, record } = await zoneOf();
  const by = (more: object, name: string) => ({
    Action: "CREATE",
    ResourceRecordSet: { ...record(name, ["10.0.0.1"]), ...more },
  });
  const { TTL: _, ResourceRecords: __, ...bare } = record("alias", []);
  const target = { HostedZoneId: world.zone.id, DNSName: `www.${zone}.`, EvaluateTargetHealth: false };
  const changes = [
    { Action: "CREATE", ResourceRecordSet: { ...bare, AliasTarget: target } },
    by({ SetIdentifier: "one", Weight: 10 }, "weighted"),
    by({ SetIdentifier: "two", Weight: 20 }, "weighted"),
    by({ SetIdentifier: "de", GeoLocation: { CountryCode: "DE" } }, "geo"),
    by({ SetIdentifier: "eu", Region: "eu-west-1" }, "latency"),
    by({ SetIdentifier: "m", MultiValueAnswer: true }, "multi"),
  ];
  await world.others.changeRecords(...(changes as never[]));
  const found = (await list()).ResourceRecordSets ?? [];
  const of = (name: string) => found.filter(({ Name }) => Name === `${name}.${zone}.`);
  expect(of("alias")).toEqual([{ Name: `alias.${zone}.`, Type: "A", AliasTarget: target }]);
  expect(of("weighted").map(({ SetIdentifier, Weight }) => [SetIdentifier, Weight])).toEqual([
    ["one", 10],
    ["two", 20],
  ]);
  expect(of("geo")[0]?.GeoLocation).toEqual({ CountryCode: "DE" });
  expect(of("latency")[0]).toMatchObject({ Region: "eu-west-1", SetIdentifier: "eu" });
  expect(of("multi")[0]).toMatchObject({ MultiValueAnswer: true });
});

test("a listing starts at a name and goes on past it, in pages, in the order of reversed labels", async () => {
  const { change, record, list, zone, world } = await zoneOf();
  await change(...["b", "a", "x.a", "a-1", "c"].map((name) => create(record(name, ["10.0.0.1"]))));
  await change(create(record("a", [], { Type: "TXT", ResourceRecords: [{ Value: '"t"' }] })));
  // "-" comes before the dot that ends a label: "com.example.a-1." is before "com.example.a."
  const all = ["a-1. A", "a. A", "a. TXT", "x.a. A", "b. A", "c. A"];
  const named = all.map((one) => one.replace(". ", `.${zone}. `));
  expect((await list()).names.slice(2)).toEqual(named);
  expect((await list({ StartRecordName: `a.${zone}` })).names).toEqual(named.slice(1));
  expect((await list({ StartRecordName: `a.${zone}`, StartRecordType: "TXT" })).names).toEqual(named.slice(2));
  world.syncing.page = 2;
  const page = await list({ StartRecordName: `a.${zone}`, MaxItems: 100 });
  expect([page.names, page.IsTruncated, page.NextRecordName, page.NextRecordType]).toEqual([
    named.slice(1, 3),
    true,
    `x.a.${zone}.`,
    "A",
  ]);
  expect(await refusal(list({ StartRecordType: "A" }))).toMatchObject({ name: "InvalidInput", status: 400 });
});

test("names come back in lower case, and what is no plain letter as its octal code", async () => {
  const { change, record, list, zone } = await zoneOf();
  await change(
    create(record("*", ["10.0.0.1"])),
    create(record("UPPER", ["10.0.0.1"])),
    create(record("under_score", ["10.0.0.1"])),
  );
  expect((await list()).names.slice(2).sort()).toEqual([
    `\\052.${zone}. A`,
    `under_score.${zone}. A`,
    `upper.${zone}. A`,
  ]);
  expect([namedIn("a*b"), normalName("A\\052.x.")]).toEqual(["a\\052b.", "a\\052.x"]);
  expect(compareNames("b.a.", "a.b.")).toBe(-1);
});

test("someone else changes the record between our reading and our change: our batch fails whole", async () => {
  const { change, record, values, world } = await zoneOf();
  await change(create(record("www", ["10.0.0.1"])));
  world.at("ChangeResourceRecordSets", "before", () =>
    world.others.changeRecords({ Action: "UPSERT", ResourceRecordSet: record("www", ["10.0.0.8"]) } as never),
  );
  const ours = change(remove(record("www", ["10.0.0.1"])), create(record("www", ["10.0.0.2"])));
  expect(await refusal(ours)).toMatchObject({ name: "InvalidChangeBatch" });
  expect(await values("www")).toEqual(["10.0.0.8"]);
});

test("what IAM would judge: the zone, and the names, types and actions of the batch", async () => {
  const { change, record, dns, world, HostedZoneId, zone } = await zoneOf();
  const info = await change(create(record("WWW", ["10.0.0.1"])));
  await dns.send(new GetChangeCommand({ Id: info?.Id ?? "" }));
  const [changed, asked] = world.calls;
  expect([changed?.resources, changed?.context]).toEqual([
    [`arn:aws:route53:::hostedzone/${HostedZoneId}`],
    {
      "route53:ChangeResourceRecordSetsNormalizedRecordNames": [`www.${zone}`],
      "route53:ChangeResourceRecordSetsRecordTypes": ["A"],
      "route53:ChangeResourceRecordSetsActions": ["CREATE"],
    },
  ]);
  expect(asked?.resources).toEqual([`arn:aws:route53:::change/${(info?.Id ?? "").replace("/change/", "")}`]);
});
