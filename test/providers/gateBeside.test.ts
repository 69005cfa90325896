/** What a command may touch besides its resource: by exact names, with a table and places of their own. */
import { expect, test } from "bun:test";
import { type GateOperation, type GateOptions, makeGate } from "../../providers/gate.ts";
import { type CallPlace, GateBreach, type Ground, Halted } from "../../providers/provider.ts";

const api: CallPlace = { host: "api.example", region: "one", method: "POST" };
const dns: CallPlace = { host: "dns.example", region: "two", method: "UPDATE" };
const look: CallPlace = { host: "dns.example", region: "two", method: "QUERY" };
const beside: Ground = {
  table: [
    { operation: "dns.query", kind: "read", method: "QUERY" },
    { operation: "dns.update", kind: "change", method: "UPDATE" },
  ],
  places: [dns, look],
  resources: ["zone/a", "zone/b"],
};

function world(phase: GateOptions["phase"], beforeChange = (): void => undefined) {
  const recorded: GateOperation[] = [];
  const gate = makeGate({
    table: [{ operation: "ca.order", kind: "change", method: "POST" }],
    places: [api],
    beside: [beside],
    resource: "ca",
    phase,
    beforeChange,
    now: () => 0,
    record: (one) => recorded.push(one),
  });
  const call = (operation: string, resource: string, place: CallPlace) =>
    gate.call(operation, resource, async (leave) => {
      leave(place, "writing");
      return { value: "made", request: null };
    });
  return { call, recorded, gate };
}

async function breachOf(made: Promise<unknown>): Promise<string> {
  const error = await made.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof GateBreach)) throw new Error(`no breach: ${String(error)}`);
  return error.code;
}

test("what lies beside may be changed by its own table, and is recorded under its own name", async () => {
  const { call, recorded } = world("all");
  await call("ca.order", "ca", api);
  await call("dns.update", "zone/a", dns);
  await call("dns.query", "zone/b", look);
  expect(recorded.map(({ operation, resource, changes }) => [operation, resource, changes])).toEqual([
    ["ca.order", "ca", true],
    ["dns.update", "zone/a", true],
    ["dns.query", "zone/b", false],
  ]);
});

test.each<[string, string, string, CallPlace, string]>([
  ["a name that is not listed", "dns.update", "zone/c", dns, "gate.resource"],
  ["a name that only begins like one", "dns.update", "zone/a.b", dns, "gate.resource"],
  ["the resource by an operation from beside", "dns.update", "ca", dns, "gate.resource"],
  ["what lies beside by the resource's operation", "ca.order", "zone/a", api, "gate.resource"],
  ["an operation of neither table", "dns.delete", "zone/a", dns, "gate.operation"],
  ["what lies beside at the resource's place", "dns.update", "zone/a", { ...api, method: "UPDATE" }, "gate.place"],
  ["the resource at the place from beside", "ca.order", "ca", { ...dns, method: "POST" }, "gate.place"],
  ["a change by the method of a read", "dns.update", "zone/a", look, "gate.place"],
])("%s is a breach", async (_, operation, resource, place, code) => {
  expect(await breachOf(world("all").call(operation, resource, place))).toBe(code);
});

test("where only reading is permitted nothing beside is changed either", async () => {
  const { call } = world("read");
  await call("dns.query", "zone/a", look);
  expect(await breachOf(call("dns.update", "zone/a", dns))).toBe("gate.operation");
});

test("where only what lies beside may be changed the resource may not", async () => {
  const { call } = world("beside");
  await call("dns.update", "zone/a", dns);
  expect(await breachOf(call("ca.order", "ca", api))).toBe("gate.operation");
});

test("the owner's switch is looked at before a change beside, too", async () => {
  const { call, recorded } = world("all", () => {
    throw new Halted("suspended");
  });
  await call("dns.query", "zone/a", look);
  await expect(call("dns.update", "zone/a", dns)).rejects.toThrow(Halted);
  expect(recorded.map(({ operation }) => operation)).toEqual(["dns.query"]);
});
