/** The gate around the SDK: what leaves is what the request itself asks for, of the one resource, to the one place, with the config's tenant's token. */
import { afterEach, describe, expect, test } from "bun:test";
import { namedBy } from "../../providers/azure/about.ts";
import { type AzureCalls, azureCalls } from "../../providers/azure/call.ts";
import { placesOf } from "../../providers/azure/endpoints.ts";
import { SCALE_OPERATIONS } from "../../providers/azure/operations.ts";
import { makeGate } from "../../providers/gate.ts";
import { GateBreach } from "../../providers/provider.ts";
import { settingOf } from "./account.ts";
import { begin, caught, endAll, errand } from "./fixture.ts";
import { GROUP, SUBSCRIPTION, TENANT } from "./world/world.ts";

afterEach(endAll);

const IN_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers`;
const SET = `${IN_GROUP}/Microsoft.Compute/virtualMachineScaleSets/brokers`;
const ZONE = `${IN_GROUP}/Microsoft.Network/dnsZones/example.com`;
const azure = {
  subscription: SUBSCRIPTION,
  resource_group: GROUP,
  authorities: { "ca/k": { version: "0".repeat(32), chain: "/x" } },
} as unknown as Parameters<typeof namedBy>[0];
const named = (method: string, path: string, body: unknown, resource: string, vault: string | null = null) =>
  namedBy(azure, method, path, body, { resource, operations: new Set(), vault, deploy: null, count: 4 });

describe("what a request is about is read out of the request", () => {
  test("a change of the capacity alone, to the judged one, is the set's; with anything beside it, it is another resource's", () => {
    const capacity = { sku: { capacity: 4 } };
    expect(named("PATCH", SET, capacity, "brokers")).toEqual({
      operation: "Microsoft.Compute/virtualMachineScaleSets/write",
      resource: "brokers",
    });
    for (const body of [
      { ...capacity, identity: { type: "UserAssigned" } },
      { sku: { capacity: 4, name: "Standard_M416ms_v2" } },
      { ...capacity, properties: {} },
      {},
      null,
      [],
      { sku: { capacity: "4" } },
      { sku: { capacity: 3 } },
      { sku: { capacity: 5 } },
    ])
      expect(named("PATCH", SET, body, "brokers").resource).toBe("brokers (more than the judged capacity)");
    const none = { resource: "brokers", operations: new Set<string>(), vault: null, deploy: null, count: null };
    expect(namedBy(azure, "PATCH", SET, capacity, none).resource).toBe("brokers (more than the judged capacity)");
  });

  test("another subscription, resource group, provider or part of a set is not the set", () => {
    for (const path of [
      SET.replace(SUBSCRIPTION, TENANT),
      SET.replace(`/${GROUP}/`, "/other/"),
      SET.replace("Microsoft.Compute", "Microsoft.Network"),
      `${SET}/extensions/script`,
      `${SET}/../other`,
      `${SET}/virtualMachines/0/runCommand`,
    ]) {
      const { operation, resource } = named("PATCH", path, { sku: { capacity: 4 } }, "brokers");
      expect([
        path,
        resource === "brokers" && SCALE_OPERATIONS.some((row) => row.operation === operation && row.method === "PATCH"),
      ]).toEqual([path, false]);
    }
  });

  test("a record's values and TTL are the record's; an alias, or another type's values, are not", () => {
    const put = (body: unknown) => named("PUT", `${ZONE}/A/www`, body, "example.com/www.example.com").resource;
    expect(put({ properties: { TTL: 60, ARecords: [], metadata: {} } })).toBe("example.com/www.example.com");
    for (const properties of [
      { TTL: 60, targetResource: { id: "x" } },
      { TTL: 60, ARecords: [], targetResource: { id: "x" } },
      { TTL: 60, TXTRecords: [] },
      { ARecords: [] },
    ])
      expect(put({ properties })).toBe("example.com/www.example.com (more than its values)");
    expect(named("DELETE", `${ZONE}/A/@`, undefined, "")).toEqual({
      operation: "Microsoft.Network/dnsZones/A/delete",
      resource: "example.com/example.com",
    });
  });

  test("an operation is the command's only when its own change was answered with it", () => {
    const path = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/operations/1`;
    const about = { resource: "brokers", operations: new Set([path]), vault: null, deploy: null, count: null };
    expect(namedBy(azure, "GET", path, undefined, about).resource).toBe("brokers");
    expect(named("GET", path, undefined, "brokers").resource).not.toBe("brokers");
  });

  test("a key is the authority's by its name and the version that the config names", () => {
    const key = (path: string) => named("POST", path, {}, "ca/k", "ca");
    expect(key(`/keys/k/${"0".repeat(32)}/sign`)).toEqual({
      operation: "Microsoft.KeyVault/vaults/keys/sign/action",
      resource: "ca/k",
    });
    for (const path of [
      `/keys/k/${"1".repeat(32)}/sign`,
      "/keys/k//sign",
      `/keys/other/${"0".repeat(32)}/sign`,
      "/secrets/k",
    ])
      expect([path, key(path).resource === "ca/k"]).toEqual([path, false]);
    expect(named("POST", `/keys/k/${"0".repeat(32)}/decrypt`, {}, "ca/k", "ca").operation).toBe(
      "Microsoft.KeyVault/vaults/keys/decrypt/action",
    );
  });
});

/** One call of the SDK as the provider makes it, through a gate for the set `brokers`. */
async function direct<Output>(ask: (calls: AzureCalls) => Promise<Output>) {
  const { world, config } = await begin();
  const gate = makeGate({
    ...{
      table: SCALE_OPERATIONS,
      places: placesOf(config, "arm", ["GET", "PATCH"]),
      resource: "brokers",
      phase: "all",
    },
    beforeChange: () => undefined,
    now: () => performance.now(),
    record: () => undefined,
  });
  const { token, until } = world.machine.issue("https://management.azure.com/", world.identity);
  const tokens = { current: async () => ({ token, until: until * 1000 }), forget: () => undefined };
  const calls = azureCalls({ ...settingOf(), azure: config, tokens }, gate, errand(), "brokers", { count: 4 });
  return { world, gate, error: await caught(ask(calls)) };
}

test("a link of Azure's to another host is followed nowhere, and is no breach", async () => {
  const { world, gate, error } = await direct((calls) =>
    calls.send("status", (client) => client.get(`https://evil.example${SET}`)),
  );
  expect([error.status, gate.breach(), world.calls]).toEqual(["elsewhere", null, []]);
});

test("a change of more than the capacity is a breach, and not one byte leaves", async () => {
  const more = { sku: { capacity: 4 }, tags: { owner: "another" } };
  const { world, gate, error } = await direct((calls) =>
    calls.send("compute", (client) => client.virtualMachineScaleSets.update(GROUP, "brokers", more).submitted()),
  );
  expect(error).toBeInstanceOf(GateBreach);
  expect([gate.breach()?.code, world.calls]).toEqual(["gate.resource", []]);
});

test("a change to another capacity than the judged one is a breach, and not one byte leaves", async () => {
  const other = { sku: { capacity: 5 } };
  const { world, gate, error } = await direct((calls) =>
    calls.send("compute", (client) => client.virtualMachineScaleSets.update(GROUP, "brokers", other).submitted()),
  );
  expect(error).toBeInstanceOf(GateBreach);
  expect([gate.breach()?.code, world.calls]).toEqual(["gate.resource", []]);
});

test("another method than the table's is a breach, and not one byte leaves", async () => {
  const { world, gate } = await direct((calls) =>
    calls.send("compute", (client) => client.virtualMachineScaleSets.delete(GROUP, "brokers").submitted()),
  );
  expect([gate.breach()?.code, world.calls]).toEqual(["gate.operation", []]);
});

test("Key Vault is never asked without a token: the challenge is the config's own", async () => {
  const { world, provider } = await begin();
  const { act, certificateArgs, issuing } = await import("./fixture.ts");
  expect(await act(issuing(provider, certificateArgs(world)))).toMatchObject({ result: "succeeded" });
  const asked = world.calls.filter(({ data }) => data);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.filter(({ headers }) => headers["authorization"] === undefined)).toEqual([]);
});
