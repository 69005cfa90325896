/** The compiled executables against the world that stands for Azure, with the rendered roles and nothing else. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AZURE_OPERATIONS } from "../../policy/permissions/azure/operations.ts";
import { verifies } from "../aws/world/requests.ts";
import { came } from "./account.ts";
import { assigned, type Stage, stage } from "./stage.ts";
import { clientsOf } from "./world/clients.ts";
import { GROUP } from "./world/world.ts";

let s: Stage;
beforeAll(async () => {
  s = await stage();
}, 300_000);
afterAll(() => s?.end(), 60_000);

/** `audit reconcile` over Azure's logs as they would be now. */
async function reconciled() {
  const folder = join(s.machine.folder, "trail");
  rmSync(folder, { recursive: true, force: true });
  s.cloud.trail(folder);
  const done = await s.reeve(["audit", "reconcile"], "--azure", folder);
  return { ...done, verdict: done.stdout.trim().split("\n").at(-1) };
}

const PATCH = "Microsoft.Compute/virtualMachineScaleSets/write";
const SIGN = "Microsoft.KeyVault/vaults/keys/sign/action";
const PUT = "Microsoft.Network/dnsZones/A/write";

test("a group is scaled, a certificate issued and a record changed, each true for others and on record with Azure's own ids", async () => {
  const { cloud } = s;
  const scaled = await s.scale(4);
  expect([scaled.code, scaled.stderr.includes("error")]).toEqual([0, false]);
  expect([cloud.group.set.capacity, cloud.group.set.instances.map(({ state }) => state)]).toEqual([
    4,
    Array(4).fill("Succeeded"),
  ]);
  const issued = await s.certificate();
  expect([issued.code, cloud.vault.signed.length]).toEqual([0, 1]);
  const chain = readFileSync(join(s.machine.folder, "csr/b1.crt"), "utf8");
  const [leaf = "", root = ""] = chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  expect(verifies(leaf, root, "sslserver", "b1.prod-eu-1.example.com")).toBe(true);
  for (const [change, value] of [
    ["create", "10.20.0.1"],
    ["replace", "10.20.0.2"],
  ] as const) {
    expect((await s.record(change, value)).code).toBe(0);
    expect(cloud.zone.look("A", "b1")).toMatchObject({ TTL: 60, ARecords: [{ ipv4Address: value }] });
  }
  expect((await s.record("delete", "")).code).toBe(0);
  expect(cloud.zone.look("A", "b1")).toBeNull();

  const outcomes = (await s.entries()).filter(({ kind }) => kind === "outcome");
  expect(outcomes.map(({ result, known_by }) => [result, known_by])).toEqual(Array(5).fill(["succeeded", "answer"]));
  const ids = new Set(cloud.calls.map(({ id }) => id));
  const operations = outcomes
    .flatMap((one) => one.operations ?? [])
    .filter(({ operation }) => !operation.startsWith("local."));
  expect(operations.length).toBeGreaterThan(12);
  expect(operations.filter(({ request }) => request === null || !ids.has(request))).toEqual([]);
}, 120_000);

test("each call names its command: in the user agent, and to Resource Manager also as the client's request id", async () => {
  const commands = new Set((await s.entries()).map(({ command }) => command));
  const named = s.cloud.calls.map(
    ({ userAgent }) => /^reeve\/\d+\.\d+\.\d+ cmd\/([0-9a-f-]{36})$/.exec(userAgent)?.[1],
  );
  expect(named.filter((command) => command === undefined || !commands.has(command))).toEqual([]);
  const arm = s.cloud.calls.filter(({ data }) => !data);
  expect(arm.length).toBeGreaterThan(5);
  expect(arm.filter(({ clientRequestId }) => !commands.has(clientRequestId))).toEqual([]);
});

test("the gate's table, the rendered roles and the calls really made are the same set", () => {
  // Of records, only those of the rule's types are rendered.
  // Nothing is deployed in this story: test/azure/deploy.test.ts holds deploy's calls to its table.
  const { deploy: _, ...told } = AZURE_OPERATIONS;
  const gate = Object.values(told)
    .flat()
    .filter(({ type }) => type === null || type === "A")
    .map(({ operation }) => operation);
  const { roleDefinitions } = s.permissions;
  const rendered = roleDefinitions.flatMap(({ Actions, DataActions }) => [...Actions, ...DataActions]);
  const made = new Set(s.cloud.calls.map(({ action }) => action));
  const sets = { gate: [...new Set(gate)].sort(), rendered: [...new Set(rendered)].sort(), made: [...made].sort() };
  for (const [name, set] of Object.entries(sets))
    console.log(`      ${name.padEnd(9)} ${set.length}: ${set.join(" ")}`);
  expect(sets.gate.length).toBeGreaterThan(9);
  expect(sets.rendered).toEqual(sets.gate);
  expect(sets.made).toEqual(sets.gate);
});

test("the Activity Log, Key Vault's log and ours hold the same calls", async () => {
  const { code, verdict } = await reconciled();
  expect([code, verdict]).toEqual([0, "verdict    0 unexplained, 0 missing"]);
});

test("what no rule permits reaches Azure with no call that changes anything", async () => {
  const changes = () => s.cloud.calls.filter(({ changed }) => changed).length;
  const before = changes();
  expect((await s.scale(10)).code).toBe(1);
  expect((await s.send(true, "scale", "--group", "others", "--count", "3")).code).toBe(1);
  expect((await s.record("create", "10.99.0.1")).code).toBe(1);
  const codes = (await s.entries()).filter(({ kind }) => kind === "refused").map(({ code }) => code ?? "");
  expect(codes).toEqual([
    "policy.count.above-max",
    "match.no-rule",
    expect.stringMatching(/^policy\./) as unknown as string,
  ]);
  expect(changes()).toBe(before);
}, 60_000);

test("an alias is refused when it is read, and not damaged", async () => {
  const { cloud } = s;
  const alias = {
    TTL: 60,
    targetResource: { id: "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/publicIPAddresses/z" },
  };
  cloud.zone.others("A", "b1", alias);
  expect((await s.record("replace", "10.20.0.9")).code).toBe(1);
  expect((await s.entries()).at(-1)).toMatchObject({ kind: "refused" });
  expect(cloud.zone.look("A", "b1")).toEqual(alias);
  cloud.zone.others("A", "b1", null);
}, 60_000);

test("answers that are lost: one serial number, the group and the record as asked, and the outcomes say so", async () => {
  const { cloud } = s;
  const rules = [PATCH, SIGN, PUT].map((action) => cloud.fault(action, { kind: "drop", when: "after" }));
  const sent = [await s.scale(3), await s.certificate(), await s.record("create", "10.20.0.3")];
  expect([rules.map(({ hits }) => hits), sent.map(({ code }) => code)]).toEqual([
    [1, 1, 1],
    [0, 0, 0],
  ]);
  cloud.group.tick();
  expect([cloud.group.set.capacity, cloud.group.set.instances.length]).toEqual([3, 3]);
  // Asked twice, of the same bytes.
  expect(cloud.vault.signed.slice(-2).map((digest) => digest.toString("hex"))).toEqual(
    Array(2).fill(cloud.vault.signed.at(-1)?.toString("hex") ?? ""),
  );
  expect(cloud.zone.look("A", "b1")).toMatchObject({ ARecords: [{ ipv4Address: "10.20.0.3" }] });
  for (const { command } of sent) {
    const lost = (await s.outcomeOf(command))?.operations?.filter(({ status }) => status === "reset") ?? [];
    expect(lost.map(({ changes, request }) => [changes, request])).toEqual([[true, null]]);
  }
  // A digest says nothing of what was signed: the one whose answer was lost is shown, and a person must look.
  const { code, verdict, stdout } = await reconciled();
  expect([code, verdict]).toEqual([1, "verdict    0 unexplained, 0 missing"]);
  expect(stdout).toContain("1 answers do not show all that was asked");
}, 120_000);

test("a permission that is taken away is a failure with Azure's id, and nothing is changed", async () => {
  const { cloud } = s;
  cloud.assignments = assigned(s.permissions, [PATCH]);
  const sent = await s.scale(5);
  cloud.assignments = assigned(s.permissions);
  expect(sent.code).toBe(1);
  const outcome = await s.outcomeOf(sent.command);
  expect(outcome).toMatchObject({ result: "failed", code: "denied", changed: [] });
  expect(outcome?.operations?.at(-1)).toMatchObject({
    status: "denied",
    request: came(cloud, PATCH).at(-1)?.id ?? "",
    changes: true,
  });
  expect(cloud.group.set.capacity).toBe(3);
}, 60_000);

test("another's calls with the agent's own identity are found", async () => {
  const { compute, keys } = clientsOf(s.cloud);
  s.cloud.assignments = null;
  await compute.virtualMachineScaleSets.update(GROUP, "brokers", { sku: { capacity: 6 } }, { updateIntervalInMs: 10 });
  await keys.getKey("clients", { version: s.cloud.vault.version });
  s.cloud.assignments = assigned(s.permissions);
  const { code, verdict, stdout } = await reconciled();
  expect(code).toBe(1);
  // The client asks Key Vault without a token first, which is nobody's call.
  expect(verdict).toBe("verdict    2 unexplained, 0 missing");
  expect(stdout).toContain(came(s.cloud, PATCH).at(-1)?.id ?? "none");
}, 60_000);

test("the log is whole, and the world has no problem of its own", async () => {
  expect((await s.reeve(["audit", "verify"], "--ca", s.machine.root)).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
});
