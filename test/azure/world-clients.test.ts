/** The world is held to the official clients, without our code: what they cannot read, it may not say. */

import { afterEach, expect, test } from "bun:test";
import { createHash, createPublicKey, verify, X509Certificate } from "node:crypto";
import { clientsOf } from "./world/clients.ts";
import { GROUP, startWorld, type World, type WorldOptions } from "./world/world.ts";

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) {
    await world.stop();
    expect(world.problems).toEqual([]);
  }
});
async function begin(options: WorldOptions = {}) {
  const world = await startWorld(options);
  worlds.push(world);
  return { world, ...clientsOf(world) };
}

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of list) items.push(item);
  return items;
}

test("a scale set is read, its instances page by page", async () => {
  const { world, compute } = await begin({ capacity: 5 });
  world.group.switches.pageSize = 2;
  const set = await compute.virtualMachineScaleSets.get(GROUP, "brokers");
  expect([set.sku?.capacity, set.provisioningState, set.orchestrationMode, set.etag === world.group.set.etag]).toEqual([
    5,
    "Succeeded",
    "Uniform",
    true,
  ]);
  const instances = await all(compute.virtualMachineScaleSetVMs.list(GROUP, "brokers"));
  expect(instances.map(({ instanceId, provisioningState }) => [instanceId, provisioningState])).toEqual(
    ["0", "1", "2", "3", "4"].map((id) => [id, "Succeeded"]),
  );
  expect(world.calls.filter(({ action }) => action.endsWith("virtualMachines/read"))).toHaveLength(3);
});

test.each(["azure-asyncoperation", "location"] as const)(
  "its capacity is changed, and the client waits by the header %s",
  async (header) => {
    const { world, compute } = await begin();
    world.group.switches.header = header;
    const before = await compute.virtualMachineScaleSets.get(GROUP, "brokers");
    const options = { updateIntervalInMs: 10, ...(before.etag === undefined ? {} : { ifMatch: before.etag }) };
    const after = await compute.virtualMachineScaleSets.update(GROUP, "brokers", { sku: { capacity: 4 } }, options);
    expect(after.sku?.capacity).toBe(4);
    expect(world.group.set.instances.map(({ state }) => state)).toEqual(Array(4).fill("Succeeded"));
    expect(world.calls.some(({ action }) => action === "Microsoft.Compute/locations/operations/read")).toBe(true);
  },
);

test("another etag than the scale set's is refused with 412", async () => {
  const { compute, world } = await begin();
  const update = compute.virtualMachineScaleSets.update(
    GROUP,
    "brokers",
    { sku: { capacity: 4 } },
    { ifMatch: '"other"' },
  );
  expect(
    await Promise.resolve(update).then(
      () => null,
      (error: { statusCode?: number }) => error.statusCode,
    ),
  ).toBe(412);
  expect(world.group.set.capacity).toBe(2);
});

test("an operation that fails is said to have failed, with Azure's words", async () => {
  const { compute, world } = await begin();
  world.group.switches.becomes = "Failed";
  const update = compute.virtualMachineScaleSets.update(
    GROUP,
    "brokers",
    { sku: { capacity: 4 } },
    { updateIntervalInMs: 10 },
  );
  expect(
    await Promise.resolve(update).then(
      () => "",
      (error: Error) => error.message,
    ),
  ).toContain("Allocation failed");
});

test("record sets: created once, replaced by their etag, deleted by it", async () => {
  const { dns, world } = await begin();
  const { name } = world.zone;
  expect((await dns.zones.get(GROUP, name)).name).toBe(name);
  const set = (ipv4Address: string) => ({ ttl: 60, aRecords: [{ ipv4Address }] });
  const status = (promise: Promise<unknown>) =>
    promise.then(
      () => 200,
      (error: { statusCode?: number }) => error.statusCode,
    );
  const created = await dns.recordSets.createOrUpdate(GROUP, name, "b1", "A", set("10.20.0.1"), { ifNoneMatch: "*" });
  expect(
    await status(dns.recordSets.createOrUpdate(GROUP, name, "b1", "A", set("10.20.0.9"), { ifNoneMatch: "*" })),
  ).toBe(412);
  const etag = created.etag ?? "";
  await dns.recordSets.createOrUpdate(GROUP, name, "b1", "A", set("10.20.0.2"), { ifMatch: etag });
  expect(await status(dns.recordSets.delete(GROUP, name, "b1", "A", { ifMatch: etag }))).toBe(412);
  const now = await dns.recordSets.get(GROUP, name, "b1", "A");
  expect(now.aRecords).toEqual([{ ipv4Address: "10.20.0.2" }]);
  await dns.recordSets.delete(GROUP, name, "b1", "A", { ifMatch: now.etag ?? "" });
  expect(await status(dns.recordSets.get(GROUP, name, "b1", "A"))).toBe(404);
});

test.each(["P-256", "P-384", "RSA"] as const)(
  "a key is read without its private part, and signs a digest that its certificate's key verifies (%s)",
  async (keyType) => {
    const { keys, crypto, world } = await begin({ keyType });
    const key = await keys.getKey("clients", { version: world.vault.version });
    expect([key.key?.d, key.properties.version]).toEqual([undefined, world.vault.version]);
    const [algorithm, hash] =
      keyType === "RSA"
        ? (["RS256", "sha256"] as const)
        : keyType === "P-384"
          ? (["ES384", "sha384"] as const)
          : (["ES256", "sha256"] as const);
    const signed = await crypto({ ...key, id: `${world.tlsUrl}/keys/clients/${world.vault.version}` }).sign(
      algorithm,
      createHash(hash).update("what is signed").digest(),
    );
    const { publicKey } = new X509Certificate(world.vault.certificate);
    const how =
      keyType === "RSA"
        ? createPublicKey(publicKey.export({ type: "spki", format: "pem" }))
        : { key: publicKey, dsaEncoding: "ieee-p1363" as const };
    expect(verify(hash, Buffer.from("what is signed"), how, signed.result)).toBe(true);
    expect(world.vault.signed).toHaveLength(1);
  },
);

test("rights: without the action the client hears AuthorizationFailed, which names it; with it on the scope it may", async () => {
  const { compute, dns, world } = await begin();
  const role = {
    actions: ["Microsoft.Compute/virtualMachineScaleSets/read"],
    notActions: [],
    dataActions: [],
    notDataActions: [],
  };
  const scope = world.identity.resource.replace(/resourcegroups.*/, `resourceGroups/${GROUP}`);
  world.assignments = [{ role, scope }];
  await compute.virtualMachineScaleSets.get(GROUP, "brokers");
  const denied = await dns.zones.get(GROUP, world.zone.name).then(
    () => "",
    (error: { code?: string; message: string }) => `${error.code} ${error.message}`,
  );
  expect(denied).toContain("AuthorizationFailed");
  expect(denied).toContain("'Microsoft.Network/dnsZones/read'");
});

test("throttling: the client waits as Retry-After says and asks again", async () => {
  const { compute, world } = await begin();
  const action = "Microsoft.Compute/virtualMachineScaleSets/read";
  const rule = world.fault(action, {
    kind: "error",
    status: 429,
    code: "TooManyRequests",
    when: "before",
    headers: { "retry-after": "0" },
  });
  await compute.virtualMachineScaleSets.get(GROUP, "brokers");
  expect([rule.hits, world.calls.length]).toEqual([1, 2]);
});

test("what is not as Azure describes it is a problem", async () => {
  const { world, compute } = await begin();
  const text = compute.virtualMachineScaleSets.update(GROUP, "brokers", {
    sku: { capacity: "four" as unknown as number },
  });
  await Promise.resolve(text).catch(() => undefined);
  expect(world.problems.splice(0).join()).toContain("capacity: not a integer");
});
