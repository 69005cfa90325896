import { afterEach, expect, test } from "bun:test";
import { came, patientHost } from "./account.ts";
import { act, begin, endAll, errand, recall, recordArgs, recording, see } from "./fixture.ts";

afterEach(endAll);

const PUT = "Microsoft.Network/dnsZones/A/write";
const DELETE = "Microsoft.Network/dnsZones/A/delete";
const A = (...addresses: string[]) => ({ TTL: 300, ARecords: addresses.map((ipv4Address) => ({ ipv4Address })) });

test("created only where nothing lies, replaced and deleted only as it was read", async () => {
  const { world, provider } = await begin();
  await act(recording(provider, recordArgs(world, "create", ["10.20.0.1"])));
  await act(recording(provider, recordArgs(world, "replace", ["10.20.0.2", "10.20.0.3"])));
  const gone = await act(recording(provider, recordArgs(world, "delete", [])));
  expect([gone.result, gone.changed]).toEqual([
    "succeeded",
    [{ what: `www.${world.zone.name} A`, from: "10.20.0.2 10.20.0.3 ttl 60", to: null }],
  ]);
  const conditions = [...came(world, PUT), ...came(world, DELETE)].map(({ headers }) => [
    headers["if-none-match"] ?? null,
    headers["if-match"] !== undefined,
  ]);
  expect(conditions).toEqual([
    ["*", false],
    [null, true],
    [null, true],
  ]);
});

test("someone else was first, between the reading and the change: failed as concurrent, and theirs stays", async () => {
  const { world, provider } = await begin();
  world.at(PUT, "before", () => world.zone.others("A", "www", A("10.9.9.9")));
  expect(await act(recording(provider, recordArgs(world, "create", ["10.20.0.1"])))).toMatchObject({
    result: "failed",
    code: "concurrent",
    changed: [],
  });
  world.at(PUT, "before", () => world.zone.others("A", "www", A("10.9.9.8")));
  expect(await act(recording(provider, recordArgs(world, "replace", ["10.20.0.1"])))).toMatchObject({
    result: "failed",
    code: "concurrent",
  });
  world.at(DELETE, "before", () => world.zone.others("A", "www", A("10.9.9.7")));
  expect(await act(recording(provider, recordArgs(world, "delete", [])))).toMatchObject({
    result: "failed",
    code: "concurrent",
  });
  expect(world.zone.look("A", "www")).toEqual(A("10.9.9.7"));
});

test("what was judged lies there no more: failed as concurrent, nothing sent that changes", async () => {
  const { world, provider } = await begin();
  const args = recordArgs(world, "replace", ["10.20.0.2"]);
  world.zone.others("A", "www", A("10.20.0.1"));
  const found = { record: { values: ["10.20.0.7"], ttl: 300 } };
  expect(await act(recording(provider, args), {}, errand(), found)).toMatchObject({
    result: "failed",
    code: "concurrent",
  });
  expect(came(world, PUT)).toEqual([]);
});

test("an alias is not read as a record, whatever the change, and labels of others are kept", async () => {
  const { world, provider } = await begin();
  const args = recordArgs(world, "replace", ["10.20.0.2"]);
  world.zone.others("A", "www", { TTL: 60, targetResource: { id: "/subscriptions/x" } });
  const { action, resource } = recording(provider, args);
  const { gateFor } = await import("../providers/world.ts");
  expect(await action.describe(gateFor(action, args, resource).gate, args, errand())).toEqual({
    unreadable: "record-alias",
  });
  world.zone.others("A", "www", { ...A("10.20.0.1"), metadata: { owner: "web" } });
  expect(await act(recording(provider, args))).toMatchObject({ result: "succeeded" });
  expect(world.zone.look("A", "www")).toEqual({
    TTL: 60,
    ARecords: [{ ipv4Address: "10.20.0.2" }],
    metadata: { owner: "web" },
  });
});

test.each([
  ["AAAA", ["fd00:0:0::1"], { AAAARecords: [{ ipv6Address: "fd00::1" }] }],
  ["CNAME", ["b1.example.com"], { CNAMERecord: { cname: "b1.example.com" } }],
  ["TXT", [`v=spf1 ${"a".repeat(300)}`], { TXTRecords: [{ value: [`v=spf1 ${"a".repeat(248)}`, "a".repeat(52)] }] }],
] as const)(
  "%s records are written as Azure has them, and read back as they are judged",
  async (type, values, there) => {
    const { world, provider } = await begin();
    const created = recordArgs(world, "create", values, { type });
    expect(await act(recording(provider, created))).toMatchObject({ result: "succeeded" });
    expect(world.zone.look(type, "www")).toEqual({ TTL: 60, ...there });
    expect(await see(recording(provider, created))).toMatchObject({ record: { ttl: 60 } });
    expect(await act(recording(provider, recordArgs(world, "delete", [], { type })))).toMatchObject({
      result: "succeeded",
    });
  },
);

test("the zone's own name is @ to Azure", async () => {
  const { world, provider } = await begin();
  const args = recordArgs(world, "create", ["10.20.0.1"], { name: world.zone.name });
  expect(await act(recording(provider, args))).toMatchObject({ result: "succeeded" });
  expect(world.zone.look("A", "@")).toMatchObject({ TTL: 60 });
});

test("a name that the zone does not hold, and a zone that is not there, are missing", async () => {
  const { world, provider } = await begin();
  const { gateFor } = await import("../providers/world.ts");
  for (const more of [{ name: "www.other.example" }, { zone: "absent.example", name: "www.absent.example" }]) {
    const args = recordArgs(world, "create", ["10.20.0.1"], more);
    const { action, resource } = recording(provider, args);
    expect(await action.describe(gateFor(action, args, resource).gate, args, errand())).toHaveProperty("missing");
  }
});

test("values and a TTL that Azure does not take are not sent", async () => {
  const { world, provider } = await begin();
  for (const args of [
    recordArgs(world, "create", ["10.20.0.1"], { ttl: 0 }),
    recordArgs(world, "create", []),
    recordArgs(world, "create", ["a.example.com", "b.example.com"], { type: "CNAME" }),
  ])
    expect(await act(recording(provider, args))).toMatchObject({ result: "failed", code: "values", changed: [] });
  expect(world.calls.filter(({ method }) => method !== "GET")).toEqual([]);
});

test.each([
  ["before", { result: "unknown", code: "reset", changed: [] }],
  ["after", { result: "succeeded", code: null }],
] as const)(
  "the change's answer is lost %s its effect: never sent again, what lies there tells",
  async (when, expected) => {
    const { world, provider } = await begin();
    world.fault(PUT, { kind: "drop", when });
    expect(await act(recording(provider, recordArgs(world, "create", ["10.20.0.1"])))).toMatchObject(expected);
    expect(came(world, PUT)).toHaveLength(1);
  },
);

test("reads that still show what was before are waited out", async () => {
  const { world, provider } = await begin({}, undefined, { host: patientHost() });
  world.zone.switches.staleReads = 2;
  expect(await act(recording(provider, recordArgs(world, "create", ["10.20.0.1"])))).toMatchObject({
    result: "succeeded",
  });
});

test("after a crash: someone else's values since then leave it unknown", async () => {
  const { world, provider } = await begin();
  const args = recordArgs(world, "create", ["10.20.0.1"]);
  world.zone.others("A", "www", A("10.9.9.9"));
  expect(await recall(recording(provider, args), { record: null })).toMatchObject({
    result: "unknown",
    code: "concurrent",
    known_by: "state",
  });
});
