/** `doctor` and `policy permissions` of the compiled executable, on a project of the world. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importsOf, sources, withoutComments } from "../architecture/sources.ts";
import { REEVE } from "../e2e/world.ts";
import { groupOf, zoneOf } from "./account.ts";
import { providerLines, type Rendered, rulesFor, running } from "./stage.ts";
import { startWorld, type World } from "./world/world.ts";

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

type Line = { check: string; looked_at: string; level: string; found: string; hint: string };

function policyOf(world: World): string {
  return `version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: gcp, project: ${world.project}, region: ${world.region} }
people: {}
signers: {}
share: []
dry_run: refused
rules:
${rulesFor(world)}
tests: []
`;
}

async function machine() {
  const world = await startWorld();
  const folder = mkdtempSync(join(tmpdir(), "reeve-gcp-executable-"));
  ends.push(async () => {
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
    expect(world.problems).toEqual([]);
  });
  for (const name of ["state", "run", "owner"]) mkdirSync(join(folder, name), { mode: 0o755 });
  writeFileSync(join(folder, "owner/policy.yaml"), policyOf(world), { mode: 0o644 });
  writeFileSync(
    join(folder, "reeve.yaml"),
    `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
state: ${folder}/state
runtime: ${folder}/run
owner: { directory: ${folder}/owner }
token: { file: ${folder}/token }
${providerLines(world)}`,
    { mode: 0o644 },
  );
  const doctor = async () => {
    const { stdout } = await running(REEVE, "doctor", "--json", "--config", join(folder, "reeve.yaml"));
    const { lines } = JSON.parse(stdout) as { lines: Line[] };
    return (part: string) =>
      lines.find((line) => line.check === "provider" && line.looked_at.startsWith(`gcp ${part}`));
  };
  const permissions = (...flags: string[]) =>
    running(REEVE, "policy", "permissions", join(folder, "owner/policy.yaml"), ...flags);
  return { world, folder, doctor, permissions };
}

test("doctor says who the machine is, what can be reached, that what each rule names can be read and that every right is there", async () => {
  const { world, doctor } = await machine();
  const of = await doctor();
  expect(of("metadata")).toMatchObject({ level: "ok", found: expect.stringContaining(world.metadata.instance.name) });
  expect(of(`account ${world.account}`)).toMatchObject({ level: "ok", found: expect.stringContaining(world.project) });
  for (const service of ["compute", "privateca", "dns"]) expect([service, of(service)?.level]).toEqual([service, "ok"]);
  for (const rule of ["brokers", "certificates", "records"])
    for (const what of ["reads", "rights"]) expect(of(`rule ${rule} ${what}`)).toMatchObject({ level: "ok" });
  expect(world.calls.filter(({ changed }) => changed)).toEqual([]);
}, 90_000);

test("doctor names the permission that is missing, the group that is not there, and another account's machine", async () => {
  const { world, doctor } = await machine();
  world.groups.remove(world.group);
  const all = [
    "compute.instanceGroupManagers.get",
    "compute.autoscalers.get",
    "compute.zoneOperations.get",
    "compute.zoneOperations.list",
  ];
  world.allow([{ member: `serviceAccount:${world.account}`, resource: `projects/${world.project}`, permissions: all }]);
  const of = await doctor();
  expect(of("rule brokers reads")).toMatchObject({ level: "fail", found: expect.stringContaining("missing") });
  expect(of("rule brokers rights")).toMatchObject({
    level: "fail",
    found: expect.stringContaining("compute.instanceGroupManagers.update"),
  });
  expect(of("rule certificates reads")).toMatchObject({
    level: "fail",
    found: expect.stringContaining("privateca.caPools.get"),
  });
  world.metadata.account = "other@another-project.iam.gserviceaccount.com";
  const other = (await doctor())(`account ${world.account}`);
  expect(other).toMatchObject({
    level: "fail",
    found: expect.stringContaining("identity-account"),
    hint: expect.stringContaining("gcp.account"),
  });
}, 90_000);

test("permissions: a role a resource, exactly its permissions, bound where the rules name; a note says where none can be bound", async () => {
  const { world, permissions } = await machine();
  const { stdout, stderr, code } = await permissions();
  expect(code).toBe(0);
  const { roles, bindings } = JSON.parse(stdout) as Rendered;
  const bound = bindings.map(({ resource, role }) => [
    resource,
    roles.find(({ name }) => name === role)?.includedPermissions,
  ]);
  expect(bound).toEqual([
    [
      `projects/${world.project}`,
      [
        "compute.autoscalers.get",
        "compute.instanceGroupManagers.get",
        "compute.instanceGroupManagers.update",
        "compute.zoneOperations.get",
        "compute.zoneOperations.list",
      ],
    ],
    [world.pool, ["privateca.caPools.get", "privateca.certificates.create", "privateca.certificates.get"]],
    [
      world.zone,
      [
        "dns.changes.create",
        "dns.changes.get",
        "dns.managedZones.get",
        "dns.resourceRecordSets.create",
        "dns.resourceRecordSets.delete",
        "dns.resourceRecordSets.list",
        "dns.resourceRecordSets.update",
      ],
    ],
  ]);
  expect(stderr).toContain("have no IAM policy of their own");
  const terraform = await permissions("--format", "terraform");
  expect(terraform.code).toBe(0);
  for (const kind of [
    "google_project_iam_custom_role",
    "google_project_iam_member",
    "google_privateca_ca_pool_iam_member",
    "google_dns_managed_zone_iam_member",
  ])
    expect(terraform.stdout).toContain(`resource "${kind}"`);
  expect(await permissions("--format", "iam")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("gcp, terraform"),
  });
}, 60_000);

test("permissions of an owner's bucket are held to its two folders by conditions", async () => {
  const { permissions } = await machine();
  const { stdout, code } = await permissions("--owner", "gs://my-bucket/prod/eu-1");
  expect(code).toBe(0);
  const { bindings } = JSON.parse(stdout) as { bindings: { resource: string; condition?: { expression: string } }[] };
  const own = bindings.filter(({ resource }) => resource === "gs://my-bucket");
  const below = "projects/_/buckets/my-bucket/objects/prod/eu-1";
  expect(own.map(({ condition }) => condition?.expression)).toEqual([
    `resource.name.startsWith("${below}/owner/") || resource.name.startsWith("${below}/log/")`,
    `resource.name.startsWith("${below}/log/")`,
    `resource.name == "${below}/log/head"`,
  ]);
}, 60_000);

test("--audit: what is rendered is within; what a role or a binding has beyond it is listed, escalations first", async () => {
  const { world, folder, permissions } = await machine();
  const audit = async (document: unknown, ...flags: string[]) => {
    writeFileSync(join(folder, "role.json"), JSON.stringify(document));
    const done = await permissions("--audit", join(folder, "role.json"), "--json", ...flags);
    const found = JSON.parse(done.stdout) as {
      beyond: number;
      within: number;
      groups: Record<string, { permission: string | null; role: string }[]>;
    };
    return { code: done.code, ...found };
  };
  const own = JSON.parse((await permissions()).stdout) as Rendered;
  expect(await audit(own)).toMatchObject({ code: 0, beyond: 0, within: 15 });
  const wide = {
    name: "projects/p/roles/wide",
    includedPermissions: ["dns.changes.create", "iam.serviceAccounts.getAccessToken", "compute.instances.delete"],
  };
  const found = await audit(wide);
  expect([found.code, found.beyond, found.within]).toEqual([1, 2, 1]);
  expect(found.groups["escalation"]).toMatchObject([{ permission: "iam.serviceAccounts.getAccessToken" }]);
  const member = `serviceAccount:${world.account}`;
  const bindings = [
    { role: "roles/editor", members: [member] },
    { role: "roles/dns.reader", members: ["user:alice@example.com"] },
  ];
  expect(await audit({ bindings }, "--role", world.account)).toMatchObject({
    code: 1,
    beyond: 1,
    groups: { escalation: [{ role: "roles/editor" }] },
  });
  // The zone's permissions, granted on the whole project instead.
  const project = {
    ...own,
    bindings: own.bindings.map((binding) => ({ ...binding, resource: `projects/${world.project}` })),
  };
  expect((await audit(project)).beyond).toBe(10);
  writeFileSync(join(folder, "role.json"), "{");
  expect((await permissions("--audit", join(folder, "role.json"))).code).toBe(3);
}, 60_000);

test("a rule that names nothing of this project or region is not rendered", async () => {
  const { world, folder, permissions } = await machine();
  const wrong = policyOf(world)
    .replace(groupOf(world), "us-east1-b/brokers")
    .replace(world.pool, world.pool.replace(world.project, "another"))
    .replace(`zone: ${zoneOf(world)}`, "zone: not.a.zone");
  writeFileSync(join(folder, "owner/policy.yaml"), wrong);
  const { code, stderr } = await permissions();
  expect(code).toBe(3);
  for (const rule of ["brokers", "certificates", "records"]) expect(stderr).toContain(`Cannot render the rule ${rule}`);
}, 60_000);

test("nothing of the provider for Google Cloud is evaluated unless the config names it: only main reaches it, and only by import()", () => {
  const brings = (name: string): boolean =>
    name.startsWith("providers/gcp/") || name.startsWith("@google-cloud/") || name.startsWith("google-gax");
  const outside = sources(["agent", "policy", "providers", "control"]).filter(
    (source) => !source.path.startsWith("providers/gcp/") && importsOf(source).some((name) => brings(name)),
  );
  expect(outside.map(({ path }) => path)).toEqual(["agent/main.ts"]);
  const text = withoutComments(outside[0]?.text ?? "");
  expect(text).toContain('await import("../providers/gcp/gcp.ts")');
  expect(text).not.toMatch(/^import[^;]*(?:providers\/gcp|@google-cloud|google-gax)/m);
});
