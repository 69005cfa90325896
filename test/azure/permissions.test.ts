/**
 * What `policy permissions` renders for Azure is sufficient (every case passes with it), minimal (without any one action some case fails) and
 * scoped (one step to the side is denied), judged by the world's own reading of role definitions and scopes. And what a role has beyond it.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadPolicy } from "../../policy/parse.ts";
import { audited } from "../../policy/permissions/azure/audit.ts";
import { AZURE } from "../../policy/permissions/azure/azure.ts";
import { documentOf } from "../../policy/permissions/azure/documents.ts";
import { AZURE_OPERATIONS } from "../../policy/permissions/azure/operations.ts";
import { azurePermissions, type Rendered } from "../../policy/permissions/azure/render.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Provider } from "../../providers/provider.ts";
import { REEVE, ran } from "../e2e/world.ts";
import { scratch } from "../providers/world.ts";
import { act, begin, certificateArgs, endAll, issuing, recordArgs, recording, scale } from "./fixture.ts";
import { assigned, type Document } from "./stage.ts";
import { permitted } from "./world/rights.ts";
import type { World } from "./world/world.ts";

afterEach(endAll);

const PATH = join(import.meta.dir, "policy.yaml");
const TEXT = readFileSync(PATH, "utf8");

function policyOf(text: string): Policy {
  const loaded = loadPolicy(new TextEncoder().encode(text));
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.policy;
}
function renderedOf(text = TEXT): Rendered {
  const rendered = azurePermissions(policyOf(text), AZURE_OPERATIONS);
  if (rendered === null || "faults" in rendered) throw new Error(JSON.stringify(rendered));
  return rendered;
}
const document = (text?: string): Document => JSON.parse(JSON.stringify(documentOf(renderedOf(text)))) as Document;
const actionsOf = ({ roleDefinitions }: Document): readonly string[] =>
  [...new Set(roleDefinitions.flatMap(({ Actions, DataActions }) => [...Actions, ...DataActions]))].sort();

/** What the policy's rules are for; each begins from the same state, put there by someone else. */
type Case = { readonly name: string; run(world: World, provider: Provider): Promise<{ readonly result: string }> };
const record =
  (type: "A" | "AAAA" | "CNAME", change: "create" | "replace" | "delete"): Case["run"] =>
  async (world, provider) => {
    const values = { A: ["10.20.0.1"], AAAA: ["fd00::1"], CNAME: ["b1.prod-eu-1.example.com"] }[type];
    const there = {
      A: { ARecords: [{ ipv4Address: "10.20.0.9" }] },
      AAAA: { AAAARecords: [{ ipv6Address: "fd00::9" }] },
      CNAME: { CNAMERecord: { cname: "b2.prod-eu-1.example.com" } },
    }[type];
    world.zone.others(type, "kafka", change === "create" ? null : { TTL: 60, ...there });
    const args = recordArgs(world, change, change === "delete" ? [] : values, {
      type,
      name: `kafka.${world.zone.name}`,
    });
    return act(recording(provider, args));
  };
const CASES: readonly Case[] = [
  { name: "a group grows", run: (_, provider) => scale(provider, 3) },
  { name: "a certificate is issued", run: (world, provider) => act(issuing(provider, certificateArgs(world))) },
  ...(["A", "AAAA"] as const).flatMap((type) =>
    (["create", "replace", "delete"] as const).map((change) => ({
      name: `${type} ${change}`,
      run: record(type, change),
    })),
  ),
  { name: "CNAME replace", run: record("CNAME", "replace") },
];

/** Which cases fail with these rights, and what was denied. */
async function failing(roles: Document, without: readonly string[] = []) {
  const { world, provider } = await begin();
  world.assignments = assigned(roles, without);
  const failed: string[] = [];
  for (const { name, run } of CASES) {
    const done = await run(world, provider).catch((error: { status?: string }) => ({
      result: error.status ?? String(error),
    }));
    if (done.result !== "succeeded") failed.push(name);
  }
  return {
    failed,
    denied: [...new Set(world.calls.filter(({ status }) => status === 403).map(({ action }) => action))],
    made: new Set(world.calls.map(({ action }) => action)),
  };
}

/** Its absence is made up for: the set itself is waited for. It stands in the roles because it tells why an operation failed. */
const SPARED = "Microsoft.Compute/locations/operations/read";

test("sufficient: every case passes with what is rendered, and every action is used", async () => {
  const roles = document();
  const { failed, denied, made } = await failing(roles);
  expect([failed, denied]).toEqual([[], []]);
  expect([...made].sort()).toEqual([...actionsOf(roles)]);
});

test("minimal: without any one action a case fails, and the call that was denied is that one", async () => {
  const roles = document();
  expect(actionsOf(roles).length).toBeGreaterThan(12);
  for (const action of actionsOf(roles)) {
    const { failed, denied } = await failing(roles, [action]);
    expect([action, failed.length > 0 || action === SPARED, denied]).toEqual([action, true, [action]]);
  }
}, 180_000);

test("scoped: one step to the side is denied", () => {
  const roles = assigned(document());
  const group = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/prod-eu-1/providers";
  const set = `${group}/Microsoft.Compute/virtualMachineScaleSets`;
  const zone = `${group}/Microsoft.Network/dnsZones/prod-eu-1.example.com`;
  const rows: readonly [string, boolean, string, boolean][] = [
    ["Microsoft.Compute/virtualMachineScaleSets/write", false, `${set}/brokers`, true],
    ["Microsoft.Compute/virtualMachineScaleSets/write", false, `${set}/others`, false],
    ["Microsoft.Compute/virtualMachineScaleSets/delete", false, `${set}/brokers`, false],
    ["Microsoft.Compute/virtualMachineScaleSets/virtualMachines/runCommand/action", false, `${set}/brokers`, false],
    [
      "Microsoft.KeyVault/vaults/keys/sign/action",
      true,
      `${group}/Microsoft.KeyVault/vaults/prod-eu-1-ca/keys/clients`,
      true,
    ],
    [
      "Microsoft.KeyVault/vaults/keys/sign/action",
      true,
      `${group}/Microsoft.KeyVault/vaults/prod-eu-1-ca/keys/other`,
      false,
    ],
    [
      "Microsoft.KeyVault/vaults/keys/decrypt/action",
      true,
      `${group}/Microsoft.KeyVault/vaults/prod-eu-1-ca/keys/clients`,
      false,
    ],
    [
      "Microsoft.KeyVault/vaults/secrets/getSecret/action",
      true,
      `${group}/Microsoft.KeyVault/vaults/prod-eu-1-ca`,
      false,
    ],
    ["Microsoft.Network/dnsZones/A/write", false, `${zone}/A/any`, true],
    ["Microsoft.Network/dnsZones/TXT/write", false, `${zone}/TXT/any`, false],
    ["Microsoft.Network/dnsZones/NS/write", false, `${zone}/NS/@`, false],
    ["Microsoft.Network/dnsZones/delete", false, zone, false],
    // Named one by one, and only replaced.
    ["Microsoft.Network/dnsZones/CNAME/write", false, `${zone}/CNAME/kafka`, true],
    ["Microsoft.Network/dnsZones/CNAME/write", false, `${zone}/CNAME/other`, false],
    ["Microsoft.Network/dnsZones/CNAME/delete", false, `${zone}/CNAME/kafka`, false],
  ];
  for (const [action, data, resource, expected] of rows)
    expect([action, resource, permitted(roles, action, data, resource)]).toEqual([action, resource, expected]);
});

test("a rule whose authority speaks ACME needs its TXT records, each a scope of its own where names are exact, and no key", () => {
  const text = TEXT.replace(
    "authority: prod-eu-1-ca/clients",
    "authority: acme:letsencrypt/zone/prod-eu-1.example.com",
  );
  const exact = text.replace(
    "names: { below: prod-eu-1.example.com }\n    key",
    "names: { exactly: [a.prod-eu-1.example.com] }\n    key",
  );
  for (const [of, scope] of [
    [text, "dnsZones/prod-eu-1.example.com"],
    [exact, "dnsZones/prod-eu-1.example.com/TXT/_acme-challenge.a"],
  ] as const) {
    const role = renderedOf(of).roles.find(({ name }) => name.endsWith("records-certificates"));
    expect(role?.actions).toEqual(["delete", "read", "write"].map((verb) => `Microsoft.Network/dnsZones/TXT/${verb}`));
    expect(role?.scopes.map((one) => one.endsWith(scope))).toEqual([true]);
    expect(actionsOf(document(of)).filter((action) => action.startsWith("Microsoft.KeyVault"))).toEqual([]);
  }
});

describe("the command", () => {
  test("prints roles that Azure's command line takes, Terraform that names the same, and what Azure cannot say", () => {
    const json = ran(REEVE, "policy", "permissions", PATH);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([0, document()]);
    expect(json.stderr).toContain("signs any digest");
    const hcl = ran(REEVE, "policy", "permissions", PATH, "--format", "terraform");
    expect(hcl.code).toBe(0);
    for (const action of actionsOf(document())) expect(hcl.stdout).toContain(`"${action}"`);
    for (const { scope } of document().roleAssignments) expect(hcl.stdout).toContain(`"${scope}"`);
  });

  test("another cloud's format, a boundary, and names that are none of Azure's are refused", () => {
    expect(ran(REEVE, "policy", "permissions", PATH, "--format", "iam").code).toBe(2);
    expect(ran(REEVE, "policy", "permissions", PATH, "--boundary").code).toBe(2);
    for (const [from, to] of [
      ["group: brokers", "group: /subscriptions/x/brokers"],
      ["authority: prod-eu-1-ca/clients", "authority: clients"],
      ["names: { below: prod-eu-1.example.com }\n    types", "names: { below: other.example.com }\n    types"],
    ] as const) {
      const rendered = AZURE.render(policyOf(TEXT.replace(from, to)), null);
      expect([to, "faults" in rendered && rendered.faults.length > 0]).toEqual([to, true]);
    }
  });
});

describe("what a role has beyond the policy file", () => {
  const bytes = (value: unknown): Uint8Array =>
    new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  const audit = (value: unknown, name: string | null = null) => {
    const found = audited(renderedOf(), bytes(value), name);
    if ("because" in found) throw new Error(found.because);
    return found;
  };
  const SET =
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/prod-eu-1/providers/Microsoft.Compute/virtualMachineScaleSets/brokers";
  const role = (Actions: readonly string[], more: object = {}) => ({
    Name: "vendor",
    Actions,
    AssignableScopes: [SET],
    ...more,
  });

  test("what is rendered goes beyond in nothing, and narrower than that is within", () => {
    expect(audit(document())).toMatchObject({ excess: [] });
    expect(audit(document()).within).toBeGreaterThan(12);
    expect(audit(role(["microsoft.compute/VIRTUALMACHINESCALESETS/read"])).excess).toEqual([]);
  });

  test.each([
    ["another action", role(["Microsoft.Compute/virtualMachineScaleSets/delete/action"]), "rest"],
    ["a wildcard", role(["Microsoft.Compute/virtualMachineScaleSets/*"]), "escalation"],
    [
      "a wider scope",
      role(["Microsoft.Compute/virtualMachineScaleSets/write"], {
        AssignableScopes: ["/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590"],
      }),
      "unconditioned",
    ],
    ["a way to more", role(["Microsoft.Authorization/roleAssignments/write"]), "escalation"],
    ["a data action among actions", role(["Microsoft.KeyVault/vaults/keys/sign/action"]), "rest"],
    [
      "a change in a reader's name",
      { ...role(["Microsoft.Compute/virtualMachineScaleSets/delete/action"]), Name: "vendor-reader" },
      "hidden",
    ],
  ])("%s goes beyond", (_, value, group) => {
    const { excess } = audit(value);
    expect(excess.map((one) => one.group)).toEqual([group as never]);
  });

  test("what a role takes away itself it does not have, and a built-in role as Azure lists it is understood", () => {
    expect(
      audit(role(["Microsoft.Compute/virtualMachineScaleSets/*"], { NotActions: ["Microsoft.Compute/*"] })).excess,
    ).toEqual([]);
    const contributor = [
      {
        roleName: "Contributor",
        roleType: "BuiltInRole",
        assignableScopes: ["/"],
        permissions: [
          { actions: ["*"], notActions: ["Microsoft.Authorization/*/Write"], dataActions: [], notDataActions: [] },
        ],
      },
    ];
    const { excess, ways } = audit(contributor);
    expect(excess).toHaveLength(1);
    expect(ways.map(({ id }) => id)).toContain("run-command");
    expect(ways.map(({ id }) => id)).not.toContain("assign-roles");
  });

  test.each([
    ["no JSON", "{"],
    ["a field that is not known", role(["*"], { Conditions: "x" })],
    [
      "a condition",
      [{ roleName: "r", assignableScopes: ["/"], permissions: [{ actions: ["*"], condition: "@Resource" }] }],
    ],
    ["no scope", { Name: "r", Actions: ["*"], AssignableScopes: [] }],
    ["the same name twice", '{"Name":"r","Name":"s","Actions":[],"AssignableScopes":["/"]}'],
  ])("what is not understood whole is not judged: %s", (_, value) => {
    expect(audited(renderedOf(), bytes(value), null)).toHaveProperty("because");
  });

  test("one of several roles is named by --role, and the exit says that it goes beyond", async () => {
    const folder = scratch();
    const file = join(folder, "roles.json");
    await Bun.write(
      file,
      JSON.stringify([role(["*"]), { ...role(["Microsoft.Compute/virtualMachineScaleSets/read"]), Name: "reader" }]),
    );
    expect(ran(REEVE, "policy", "permissions", PATH, "--audit", file, "--role", "reader").code).toBe(0);
    expect(ran(REEVE, "policy", "permissions", PATH, "--audit", file, "--role", "vendor").code).toBe(1);
    expect(ran(REEVE, "policy", "permissions", PATH, "--audit", file, "--role", "none").code).toBe(3);
  });
});
