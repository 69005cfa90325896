/** The compiled executables against the world that stands for Google Cloud, whose IAM grants what `policy permissions` renders and no more. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GCP_OPERATIONS } from "../../policy/permissions/gcp/operations.ts";
import { verifies } from "../aws/world/requests.ts";
import { came } from "./account.ts";
import { granted, type Stage, stage } from "./stage.ts";

let s: Stage;
beforeAll(async () => {
  s = await stage();
  Object.assign(s.cloud.scaling, { operationMilliseconds: 300, launchMilliseconds: 600, deleteMilliseconds: 300 });
  s.cloud.syncing.syncMilliseconds = 300;
}, 600_000);
afterAll(() => s?.end(), 60_000);

test("a group is scaled, a certificate issued and a record changed, each true for others and on record with each call's own id", async () => {
  const { cloud } = s;
  expect((await s.scale(4)).code).toBe(0);
  expect(cloud.look.group()).toEqual({ target: 4, running: 4, machines: 4 });
  expect([(await s.certificate()).code, cloud.look.issued()]).toEqual([0, 1]);
  const chain = readFileSync(join(s.machine.folder, "csr/b1.crt"), "utf8");
  const [leaf = "", root = ""] = chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  expect(verifies(leaf, root, "sslserver", "b1.prod-eu-1.example.com")).toBe(true);
  for (const [change, value] of [
    ["create", "10.20.0.1"],
    ["replace", "10.20.0.2"],
  ] as const) {
    expect((await s.record(change, value)).code).toBe(0);
    expect(cloud.look.record(s.recordName, "A")).toMatchObject({ ttl: 60, rrdatas: [value] });
  }
  expect((await s.record("delete", "")).code).toBe(0);
  expect(cloud.look.record(s.recordName, "A")).toBeNull();

  const outcomes = s.entries().filter(({ kind }) => kind === "outcome");
  expect(outcomes.map(({ result, known_by }) => [result, known_by])).toEqual(Array(5).fill(["succeeded", "answer"]));
  const ids = new Set(cloud.calls.map(({ userAgent }) => / call\/([0-9a-f-]{36})$/.exec(userAgent)?.[1] ?? "none"));
  const operations = outcomes
    .flatMap((one) => one.operations ?? [])
    .filter(({ operation }) => !operation.startsWith("local."));
  expect(operations.length).toBeGreaterThan(15);
  expect(operations.filter(({ request }) => request === null || !ids.has(request))).toEqual([]);
}, 180_000);

test("each call names its command in the user agent, and each change carries the command's id as its token", () => {
  const commands = new Set(s.entries().map(({ command }) => command));
  const made = s.cloud.calls.map(
    ({ userAgent }) => /^reeve\/\d+\.\d+\.\d+ cmd\/([0-9a-f-]{36}) call\//.exec(userAgent)?.[1],
  );
  expect(made.filter((command) => command === undefined || !commands.has(command))).toEqual([]);
  const resized = came(s.cloud, "compute.instanceGroupManagers.resize")[0];
  expect(commands.has(resized?.query["requestId"] ?? "none")).toBe(true);
  const [issue] = came(s.cloud, "privateca.projects.locations.caPools.certificates.create");
  const issued = s.entries().find(({ certificate }) => certificate != null)?.command ?? "none";
  expect([issue?.query["requestId"], issue?.query["certificateId"]]).toEqual([issued, issued]);
});

/** As the gate's table names the method that came: without the folders of its path. */
const named = (operation: string): string =>
  operation.replace("privateca.projects.locations.", "privateca.").replace(".caPools.certificates", ".certificates");

test("the gate's table, the rendered roles and the calls that really came are the same set", async () => {
  // What only a lost answer, an autoscaler or a crash makes it call.
  s.cloud.groups.of(s.cloud.group).autoscaler = { mode: "OFF", min: 1, max: 9 };
  s.cloud.fault("compute.instanceGroupManagers.resize", { kind: "drop", when: "after" }, { times: 4 });
  expect((await s.scale(3)).code).toBe(0);
  s.cloud.fault(
    "privateca.projects.locations.caPools.certificates.create",
    { kind: "drop", when: "after" },
    { times: 4 },
  );
  expect((await s.certificate()).code).toBe(0);
  s.cloud.groups.of(s.cloud.group).autoscaler = null;

  const called = [...new Set(s.cloud.calls.map(({ operation }) => named(operation)))].sort();
  // Nothing is deployed in this story: test/gcp/deploy.test.ts holds deploy's calls to its table.
  const { deploy: _, ...told } = GCP_OPERATIONS;
  const table = Object.values(told)
    .flat()
    .map(({ operation }) => operation)
    // The policy's group is a zonal one.
    .filter((operation) => !operation.startsWith("compute.region"))
    .sort();
  expect(called).toEqual(table);
  const used = [
    ...new Set(s.cloud.calls.flatMap(({ permissions }) => permissions.map(([permission]) => permission))),
  ].sort();
  const roles = [...new Set(s.rendered.roles.flatMap(({ includedPermissions }) => includedPermissions))].sort();
  expect(roles).toEqual(used);
  console.log(`      the gate's table     ${table.join(" ")}`);
  console.log(`      calls that came      ${called.join(" ")}`);
  console.log(`      the rendered roles   ${roles.join(" ")}`);
}, 180_000);

test("without any one permission of the rendered roles a command fails, and what Google names as missing is that one", async () => {
  const all = [...new Set(s.rendered.roles.flatMap(({ includedPermissions }) => includedPermissions))];
  // Only a crash or a lost answer asks for these: the set above shows that they are used.
  const rare = ["compute.zoneOperations.list", "compute.autoscalers.get", "privateca.certificates.get"];
  const cases: readonly (readonly [RegExp, () => Promise<{ readonly code: number | null }>])[] = [
    [/^compute\./, () => s.scale(s.cloud.look.group().target === 3 ? 2 : 3)],
    [/^privateca\./, () => s.certificate()],
    [/^dns\.resourceRecordSets\.delete$/, () => put("10.20.0.1").then(() => s.record("delete", ""))],
    [/^dns\.resourceRecordSets\.update$/, () => put("10.20.0.1").then(() => s.record("replace", "10.20.0.9"))],
    [/^dns\./, () => put(null).then(() => s.record("create", "10.20.0.1"))],
  ];
  for (const permission of all.filter((one) => !rare.includes(one))) {
    s.cloud.allow(granted(s.cloud, s.rendered, permission));
    const run = cases.find(([pattern]) => pattern.test(permission))?.[1];
    const before = s.cloud.calls.length;
    const ended = await run?.();
    const denied = s.cloud.calls.slice(before).filter(({ http }) => http === 403);
    // 1: nothing was done. 8: it was, and what became of it could not be read.
    expect([permission, ended?.code === 1 || ended?.code === 8]).toEqual([permission, true]);
    expect(denied[0]?.message).toContain(`'${permission}'`);
    console.log(`      without ${permission.padEnd(38)} ${denied[0]?.operation} is denied`);
  }
  s.cloud.allow(granted(s.cloud, s.rendered));
}, 300_000);

async function put(value: string | null): Promise<void> {
  s.cloud.zones.put(s.cloud.zone, s.recordName, "A", value === null ? null : { ttl: 60, rrdatas: [value] });
}

test("what no rule permits reaches Google with no call that changes anything", async () => {
  const changes = () => s.cloud.calls.filter(({ changed }) => changed).length;
  const before = changes();
  expect((await s.scale(10)).code).toBe(1);
  expect((await s.send(true, "scale", "--group", "others", "--count", "3")).code).toBe(1);
  await put(null);
  expect((await s.record("create", "10.99.0.1")).code).toBe(1);
  expect(changes()).toBe(before);
}, 90_000);

test("a record with a routing policy is refused when it is read, and not damaged", async () => {
  const routed = {
    routingPolicy: { kind: "dns#rRSetRoutingPolicy", wrr: { kind: "dns#rRSetRoutingPolicyWrrPolicy", items: [] } },
  };
  s.cloud.zones.put(s.cloud.zone, s.recordName, "A", routed);
  expect((await s.record("replace", "10.20.0.9")).code).toBe(1);
  expect(s.entries().at(-1)).toMatchObject({ kind: "refused" });
  expect(s.cloud.look.record(s.recordName, "A")).toMatchObject(routed);
  await put(null);
}, 60_000);

/** `audit reconcile` over the audit logs as they would be now. */
async function reconciled(reads: boolean) {
  const folder = join(s.machine.folder, "trail");
  rmSync(folder, { recursive: true, force: true });
  s.cloud.trail(folder, reads);
  return s.reeve("audit", "reconcile", "--gcp", folder);
}

test("Cloud Audit Logs and the log hold the same calls, with Data Access and without", async () => {
  for (const reads of [true, false]) {
    const done = await reconciled(reads);
    expect([done.code, done.stdout.trim().split("\n").at(-1)]).toEqual([0, "verdict    0 unexplained, 0 missing"]);
  }
});

test("another's call with the agent's own account is found", async () => {
  const url = `${s.cloud.endpoints.compute}/compute/v1/${s.cloud.group}/resize?size=2`;
  s.cloud.allow(null);
  expect((await fetch(url, { method: "POST", headers: { authorization: `Bearer ${s.cloud.token()}` } })).status).toBe(
    200,
  );
  s.cloud.allow(granted(s.cloud, s.rendered));
  const found = await reconciled(true);
  expect([found.code, found.stdout]).toEqual([
    1,
    expect.stringContaining("1 unexplained, 0 missing") as unknown as string,
  ]);
  expect(found.stdout).toContain("its user agent names no reeve");
});

test("the log is whole", async () => {
  expect((await s.reeve("audit", "verify", "--ca", s.machine.root)).code).toBe(11);
  expect(s.cloud.problems).toEqual([]);
});
