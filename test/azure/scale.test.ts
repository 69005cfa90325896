import { afterEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { came, patientHost } from "./account.ts";
import { act, begin, caught, endAll, errand, recall, scale, scaling, see } from "./fixture.ts";

afterEach(endAll);

const SET = "Microsoft.Compute/virtualMachineScaleSets";
const OPERATION = "Microsoft.Compute/locations/operations/read";

test("a set grows and shrinks; the outcome says which machines came and went", async () => {
  const { world, provider } = await begin({ capacity: 3 });
  const grown = await scale(provider, 4);
  expect([grown.result, grown.changed]).toEqual([
    "succeeded",
    [
      { what: "count", from: "3", to: "4" },
      { what: "instance 3", from: null, to: "Succeeded" },
    ],
  ]);
  const shrunk = await scale(provider, 2);
  expect([shrunk.result, shrunk.changed.map(({ what, to }) => [what, to])]).toEqual([
    "succeeded",
    [
      ["count", "2"],
      ["instance 0", null],
      ["instance 1", null],
    ],
  ]);
  expect(came(world, `${SET}/write`).map(({ headers, body }) => [headers["if-match"] !== undefined, body])).toEqual([
    [true, { sku: { capacity: 4 } }],
    [true, { sku: { capacity: 2 } }],
  ]);
});

test("the capacity is already as asked: nothing is changed, and nothing is sent that changes", async () => {
  const { world, provider } = await begin();
  expect(await scale(provider, 2)).toMatchObject({ result: "succeeded", changed: [] });
  expect(came(world, `${SET}/write`)).toEqual([]);
});

test("another capacity than was judged: failed as concurrent, nothing changed", async () => {
  const { world, provider } = await begin();
  expect(await scale(provider, 4, 3)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
  expect(came(world, `${SET}/write`)).toEqual([]);
});

test("another etag and the same capacity: read again, sent again with the new one; another capacity: failed", async () => {
  const { world, provider } = await begin();
  world.at(`${SET}/write`, "before", () => {
    world.group.set.etag = '"touched"';
  });
  expect(await scale(provider, 4)).toMatchObject({ result: "succeeded" });
  expect(came(world, `${SET}/write`).map(({ status }) => status)).toEqual([412, 200]);
  world.at(`${SET}/write`, "before", () => world.group.others(5));
  expect(await scale(provider, 6)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
  expect(world.group.set.capacity).toBe(5);
});

test.each([
  ["AllocationFailed", "no room", "capacity"],
  ["QuotaExceeded", "too many cores", "quota"],
  ["OperationNotAllowed", "exceeding approved Total Regional Cores quota", "quota"],
  ["VMExtensionProvisioningError", "a script failed", "VMExtensionProvisioningError"],
])("the operation fails with %s (%s): failed as %s, and what was changed", async (code, message, status) => {
  const { world, provider } = await begin();
  Object.assign(world.group.switches, { becomes: "Failed", error: { code, message } });
  const done = await scale(provider, 4);
  expect([done.result, done.code]).toEqual(["failed", status]);
  expect(done.changed[0]).toEqual({ what: "count", from: "2", to: "4" });
  expect(done.words).toContain(message);
});

test("the operation is followed by either header, and the set itself is waited for where there is none", async () => {
  for (const header of ["azure-asyncoperation", "location", "none"] as const) {
    const { world, provider } = await begin();
    world.group.switches.header = header;
    expect([header, (await scale(provider, 4)).result]).toEqual([header, "succeeded"]);
    expect([header, came(world, OPERATION).length > 0]).toEqual([header, header !== "none"]);
  }
});

test.each([
  [
    "another host",
    "https://management.azure.com.evil.example/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/providers/Microsoft.Compute/locations/westeurope/operations/11111111-1111-4111-8111-111111111111",
  ],
  [
    "another subscription",
    "https://HOST/subscriptions/99999999-1bf0-4dda-aec3-cb9272f09590/providers/Microsoft.Compute/locations/westeurope/operations/11111111-1111-4111-8111-111111111111",
  ],
  [
    "what is no operation",
    "https://HOST/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/prod-eu-1/providers/Microsoft.Compute/virtualMachineScaleSets/brokers",
  ],
])("an operation's URL that names %s is not followed: the set itself is waited for", async (_, url) => {
  const { world, provider } = await begin();
  world.group.switches.url = url.replace("HOST", new URL(world.url).host);
  expect(await scale(provider, 4)).toMatchObject({ result: "succeeded" });
  expect(came(world, OPERATION)).toEqual([]);
});

test("without the right to read operations the set itself is waited for", async () => {
  const { world, provider } = await begin();
  world.assignments = [
    { role: { actions: [`${SET}/*`], notActions: [], dataActions: [], notDataActions: [] }, scope: "/" },
  ];
  const done = await scale(provider, 4);
  expect([done.result, done.operations.find(({ operation }) => operation === OPERATION)?.status]).toEqual([
    "succeeded",
    "denied",
  ]);
});

test("reads that still show what was before are waited out", async () => {
  const { world, provider } = await begin({}, undefined, { host: patientHost() });
  Object.assign(world.group.switches, { staleReads: 2, header: "none" });
  expect(await scale(provider, 4)).toMatchObject({ result: "succeeded" });
});

test("throttled: asked again as Retry-After says, and a change that was turned away for its number is sent again", async () => {
  const { world, provider } = await begin();
  const fault = {
    kind: "error",
    status: 429,
    code: "TooManyRequests",
    when: "before",
    headers: { "retry-after": "1" },
  } as const;
  const rules = [`${SET}/read`, `${SET}/write`].map((action) => world.fault(action, fault));
  const done = await scale(provider, 4);
  expect([done.result, rules.map(({ hits }) => hits), world.group.set.capacity]).toEqual(["succeeded", [1, 1], 4]);
  expect(done.operations.filter(({ status }) => status === "throttled").map(({ operation }) => operation)).toEqual([
    `${SET}/write`,
  ]);
});

test("another operation is in progress: failed, nothing changed", async () => {
  const { world, provider } = await begin();
  world.fault(`${SET}/write`, { kind: "error", status: 409, code: "OperationNotAllowed", when: "before" });
  expect(await scale(provider, 4)).toMatchObject({ result: "failed", code: "in-progress", changed: [] });
});

test.each(["before", "after"] as const)(
  "the change's answer is lost %s its effect: never sent again, the set tells",
  async (when) => {
    const { world, provider } = await begin();
    world.fault(`${SET}/write`, { kind: "drop", when });
    const done = await scale(provider, 4);
    const expected =
      when === "after" ? { result: "succeeded", code: null } : { result: "unknown", code: "reset", changed: [] };
    expect(done).toMatchObject(expected);
    expect(came(world, `${SET}/write`)).toHaveLength(1);
  },
);

test("an answer of 5xx to the change: it may have been done, so the set tells", async () => {
  const { world, provider } = await begin();
  world.fault(`${SET}/write`, { kind: "error", status: 503, code: "ServiceUnavailable", when: "after" });
  expect(await scale(provider, 4)).toMatchObject({ result: "succeeded" });
  expect(came(world, `${SET}/write`)).toHaveLength(1);
});

test.each(["garbage", "truncate"] as const)("an answer to the change that is %s: the set tells", async (kind) => {
  const { world, provider } = await begin();
  world.fault(`${SET}/write`, { kind });
  expect(await scale(provider, 4)).toMatchObject({ result: "succeeded" });
  expect(came(world, `${SET}/write`)).toHaveLength(1);
});

test("a redirect is followed nowhere", async () => {
  const { world, provider } = await begin();
  world.fault(`${SET}/read`, { kind: "redirect", to: `${world.url}/elsewhere` }, { times: 9 });
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "redirected" });
  expect(world.calls).toHaveLength(1);
});

test("the scale set that the agent itself runs in is refused, and the provider has learnt it", async () => {
  const { world, provider } = await begin();
  expect(provider.ownGroups).toEqual([]);
  world.machine.state.scaleSet = "Brokers";
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "own-group" });
  expect(provider.ownGroups).toEqual(["brokers"]);
  expect(world.calls).toEqual([]);
});

test("whoever does not know its own machine scales no group", async () => {
  const { world, provider } = await begin();
  world.machine.state.away = true;
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "metadata-unreachable" });
  expect(world.calls).toEqual([]);
});

test("a set that a count of machines does not describe, or of another location, is refused when it is read", async () => {
  const { world, provider } = await begin();
  world.group.set.mode = "Flexible";
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "group-flexible" });
  Object.assign(world.group.set, { mode: "Uniform", location: "northeurope" });
  expect(await caught(see(scaling(provider, 4)))).toMatchObject({ status: "group-elsewhere" });
});

test("machines that are protected from scale-in are not taken: failed, nothing changed", async () => {
  const { world, provider } = await begin({ capacity: 3 });
  for (const one of world.group.set.instances) one.kept = true;
  expect(await scale(provider, 2)).toMatchObject({ result: "failed", code: "protected", changed: [] });
  expect(came(world, `${SET}/write`)).toEqual([]);
});

test("all pages of its machines are read", async () => {
  const { world, provider } = await begin({ capacity: 5 });
  world.group.switches.pageSize = 2;
  expect(await scale(provider, 6)).toMatchObject({ result: "succeeded" });
  expect(came(world, `${SET}/virtualMachines/read`).length).toBeGreaterThanOrEqual(7);
});

test("not true by the deadline: failed, and what was changed is said", async () => {
  const { provider } = await begin({ takesMs: 60_000 });
  const done = await scale(provider, 4, undefined, 1500);
  expect([done.result, done.code, done.changed[0]]).toEqual([
    "failed",
    "deadline",
    { what: "count", from: "2", to: "4" },
  ]);
});

test("after a crash: where the operation was kept, it is followed to its end, and its failure is known", async () => {
  const { world, provider } = await begin();
  world.group.switches.becomes = "Failed";
  const own = errand();
  const found = await see(scaling(provider, 4));
  await act(scaling(provider, 4), {}, own, found);
  expect(await recall(scaling(provider, 4), found, own)).toMatchObject({
    result: "failed",
    code: "capacity",
    known_by: "change id",
  });
});

test("after a crash: a kept URL that names another place is not followed", async () => {
  const { world, provider, folder } = await begin();
  const own = errand();
  const found = await see(scaling(provider, 4));
  await act(scaling(provider, 4), {}, own, found);
  writeFileSync(join(folder, "state/operations", own.id), "https://evil.example/subscriptions/x");
  const before = world.calls.length;
  expect(await caught(recall(scaling(provider, 4), found, own))).toMatchObject({ status: "operation-elsewhere" });
  expect(world.calls.length).toBe(before);
});

test("after a crash: an operation that still runs is asked about again, not guessed", async () => {
  const { provider } = await begin({ takesMs: 60_000 });
  const own = errand(AbortSignal.timeout(1500));
  const found = await see(scaling(provider, 4));
  expect(await act(scaling(provider, 4), {}, own, found)).toMatchObject({ result: "failed", code: "deadline" });
  const again = { id: own.id, signal: AbortSignal.timeout(500) };
  expect(await caught(recall(scaling(provider, 4), found, again))).toMatchObject({ status: "deadline" });
});
