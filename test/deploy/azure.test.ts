import { beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { REEVE, ran } from "../e2e/world.ts";
import { programPath } from "../tools.ts";
import { type Block, blocksOf, everyBlock, inner, resourceIn, resourcesIn, written } from "./hcl.ts";

let blocks: readonly Block[] = [];
beforeAll(() => {
  blocks = blocksOf("azure");
}, 300_000);
const resource = (kind: string): Block => resourceIn(blocks, kind);

describe("deploy/azure, as it is written", () => {
  test("these resources and no other are made: no public address, no balancer, nothing that grants beside the roles", () => {
    const kinds = blocks.flatMap(({ type, labels }) => (type === "resource" ? [labels[0] ?? ""] : []));
    expect(kinds.sort()).toEqual([
      "azurerm_linux_virtual_machine_scale_set",
      "azurerm_network_security_group",
      ...Array(5).fill("azurerm_network_security_rule"),
      "azurerm_role_assignment",
      "azurerm_role_definition",
      "azurerm_user_assigned_identity",
    ]);
    expect(
      everyBlock(blocks).filter(({ type }) =>
        ["provisioner", "module", "extension", "public_ip_address"].includes(type),
      ),
    ).toEqual([]);
  });

  test("one machine, of its own identity, on which no extension runs programs and nobody logs in with a password", () => {
    const set = resource("azurerm_linux_virtual_machine_scale_set");
    expect(set.attributes).toMatchObject({
      ...{ instances: 1, overprovision: false, disable_password_authentication: true },
      ...{ extension_operations_enabled: false, provision_vm_agent: false, encryption_at_host_enabled: true },
    });
    const [identity] = inner(set, "identity");
    expect([identity?.attributes["type"], written(identity?.attributes["identity_ids"])]).toEqual([
      "UserAssigned",
      "[azurerm_user_assigned_identity.agent.id]",
    ]);
    // Whoever has it can enrol as the agent: nothing else has it.
    expect(everyBlock(blocks).filter(({ type }) => type === "identity")).toHaveLength(1);
    const [card] = inner(set, "network_interface");
    expect(written(card?.attributes["network_security_group_id"])).toBe("azurerm_network_security_group.agent.id");
  });

  test("nothing comes in, and out goes only what a variable names, each over TCP; everything else is denied last", () => {
    const rules = resourcesIn(blocks, "azurerm_network_security_rule").map(({ labels, attributes }) => ({
      name: labels[1] ?? "",
      attributes,
    }));
    const denied = rules.filter(({ attributes }) => attributes["access"] === "Deny");
    expect(
      denied.map(({ attributes }) => [attributes["direction"], attributes["priority"], attributes["protocol"]]),
    ).toEqual([
      ["Inbound", 4096, "*"],
      ["Outbound", 4096, "*"],
    ]);
    const allowed = rules.filter(({ attributes }) => attributes["access"] === "Allow");
    expect(allowed.map(({ name }) => name).sort()).toEqual(["azure", "control_plane", "endpoints"]);
    for (const { attributes } of allowed) {
      expect([attributes["direction"], attributes["protocol"]]).toEqual(["Outbound", "Tcp"]);
      expect(written(attributes["destination_address_prefixes"] ?? attributes["destination_address_prefix"])).toMatch(
        /^(?:var\.|each\.key)/,
      );
    }
  });

  test("roles and their scopes are the input's, and the identity's alone", () => {
    const role = resource("azurerm_role_definition");
    const [permissions] = inner(role, "permissions");
    expect([written(permissions?.attributes["actions"]), written(permissions?.attributes["data_actions"])]).toEqual([
      "each.value.Actions",
      "each.value.DataActions",
    ]);
    const assignment = resource("azurerm_role_assignment");
    expect([written(assignment.attributes["scope"]), written(assignment.attributes["principal_id"])]).toEqual([
      "each.value.scope",
      "azurerm_user_assigned_identity.agent.principal_id",
    ]);
  });

  test("every input is described and judged", () => {
    const inputs = blocks.filter(({ type }) => type === "variable");
    expect(inputs.length).toBeGreaterThan(12);
    for (const input of inputs) {
      expect([input.labels[0], typeof input.attributes["description"]]).toEqual([input.labels[0] ?? "", "string"]);
      expect([input.labels[0], inner(input, "validation").length > 0]).toEqual([input.labels[0] ?? "", true]);
    }
  });
});

test("what `policy permissions` prints is what deploy/azure takes: fields by the names that it reads, no wildcard, no scope wider than a resource but one", () => {
  const printed = ran(REEVE, "policy", "permissions", resolve(import.meta.dir, "../azure/policy.yaml"));
  const { roleDefinitions, roleAssignments } = JSON.parse(printed.stdout) as {
    roleDefinitions: Record<string, unknown>[];
    roleAssignments: { role: string; scope: string }[];
  };
  const read = [...JSON.stringify(blocks).matchAll(/each\.value\.([A-Z][A-Za-z]+)/g)].map(([, name = ""]) => name);
  expect(new Set(read).size).toBeGreaterThan(4);
  for (const role of roleDefinitions) for (const name of read) expect(Object.keys(role)).toContain(name);
  const wide = roleAssignments.filter(
    ({ scope }) => !/^\/subscriptions\/[0-9a-f-]{36}\/resourceGroups\/[^/]+\/providers\//.test(scope),
  );
  expect(wide.map(({ role }) => role)).toEqual(["reeve-prod-eu-1-operations"]);
});

const TERRAFORM = programPath("terraform") ?? programPath("/usr/local/bin/terraform");
if (TERRAFORM === null)
  console.log("skipped: deploy/azure by terraform fmt: terraform is not on this machine, and no registry brings it");
test.skipIf(TERRAFORM === null)("deploy/azure is formatted as terraform fmt does", () => {
  const done = spawnSync(
    TERRAFORM ?? "",
    ["fmt", "-check", "-recursive", join(import.meta.dir, "../../deploy/azure")],
    { env: { PATH: "/usr/bin:/bin", CHECKPOINT_DISABLE: "1" }, encoding: "utf8" },
  );
  expect([done.status, done.stdout]).toEqual([0, ""]);
});
