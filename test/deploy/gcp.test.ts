import { beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { programPath } from "../tools.ts";
import { type Block, blocksOf, everyBlock, inner, resourceIn, resourcesIn, written } from "./hcl.ts";

/** deploy/gcp, read by HashiCorp's own parser. */
let blocks: readonly Block[] = [];
beforeAll(() => {
  blocks = blocksOf("gcp");
}, 300_000);

const resources = (kind: string) => resourcesIn(blocks, kind);
const resource = (kind: string) => resourceIn(blocks, kind);

describe("deploy/gcp, as it is written", () => {
  test("these resources and no other are made: none that grants beside the rendered permissions, no key of the account", () => {
    const kinds = blocks.flatMap(({ type, labels }) => (type === "resource" ? [labels[0] ?? ""] : []));
    expect(kinds.sort()).toEqual([
      ...Array(4).fill("google_compute_firewall"),
      "google_compute_instance_group_manager",
      "google_compute_instance_template",
      "google_dns_managed_zone_iam_member",
      "google_privateca_ca_pool_iam_member",
      "google_project_iam_custom_role",
      "google_project_iam_member",
      "google_service_account",
      "google_storage_bucket_iam_member",
    ]);
  });

  test("each binding is of a rendered role, to the agent's own account", () => {
    for (const kind of [
      "google_project_iam_member",
      "google_privateca_ca_pool_iam_member",
      "google_dns_managed_zone_iam_member",
      "google_storage_bucket_iam_member",
    ]) {
      const { attributes } = resource(kind);
      expect([kind, written(attributes["role"]), written(attributes["member"])]).toEqual([
        kind,
        "google_project_iam_custom_role.agent[each.value.role].id",
        "local.member",
      ]);
    }
    expect(inner(resource("google_storage_bucket_iam_member"), "condition")).toHaveLength(1);
  });

  test("a group of one machine that ends the old one before it starts the new one", () => {
    const group = resource("google_compute_instance_group_manager");
    expect(group.attributes["target_size"]).toBe(1);
    expect(inner(group, "update_policy")[0]?.attributes).toMatchObject({
      max_surge_fixed: 0,
      max_unavailable_fixed: 1,
    });
    expect(resources("google_compute_autoscaler")).toEqual([]);
  });

  test("nothing comes in, and out only what is named: no public address, each rule about the agent's account alone", () => {
    expect(everyBlock(blocks).filter(({ type }) => type === "access_config")).toEqual([]);
    const rules = resources("google_compute_firewall").map((rule) => ({
      name: rule.labels[1] ?? "",
      direction: rule.attributes["direction"],
      priority: rule.attributes["priority"],
      does: rule.blocks.map(({ type }) => type).join(),
      about: written(rule.attributes["target_service_accounts"]),
    }));
    const about = "[google_service_account.agent.email]";
    expect(rules.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: "control_plane", direction: "EGRESS", priority: 1, does: "allow", about },
      { name: "google", direction: "EGRESS", priority: 1, does: "allow", about },
      { name: "nothing_else_out", direction: "EGRESS", priority: 2, does: "deny", about },
      { name: "nothing_in", direction: "INGRESS", priority: 0, does: "deny", about },
    ]);
  });

  test("nobody logs in, and the machine boots what was signed", () => {
    const template = resource("google_compute_instance_template");
    expect(written(template.attributes["metadata"])).toContain('block-project-ssh-keys = "TRUE"');
    expect(inner(template, "shielded_instance_config")[0]?.attributes).toMatchObject({
      enable_secure_boot: true,
      enable_vtpm: true,
    });
    expect(inner(template, "service_account")).toHaveLength(1);
    // Whoever runs as it can enrol as the agent: nothing else does.
    expect(everyBlock(blocks).filter(({ type }) => type === "service_account")).toHaveLength(1);
  });

  test("every input is described and judged", () => {
    const inputs = blocks.filter(({ type }) => type === "variable");
    expect(inputs.length).toBeGreaterThan(10);
    for (const input of inputs) {
      expect([input.labels[0], typeof input.attributes["description"]]).toEqual([input.labels[0] ?? "", "string"]);
      expect([input.labels[0], inner(input, "validation").length > 0]).toEqual([input.labels[0] ?? "", true]);
    }
  });
});

const TERRAFORM = programPath("terraform") ?? programPath("/usr/local/bin/terraform");
if (TERRAFORM === null)
  console.log("skipped: deploy/gcp by terraform fmt: terraform is not on this machine, and no registry brings it");
test.skipIf(TERRAFORM === null)("deploy/gcp is formatted as terraform fmt does", () => {
  const done = spawnSync(
    TERRAFORM ?? "",
    ["fmt", "-check", "-recursive", "-diff", join(import.meta.dir, "../../deploy/gcp")],
    {
      env: { PATH: "/usr/bin:/bin", CHECKPOINT_DISABLE: "1" },
      encoding: "utf8",
    },
  );
  expect([done.status, done.stdout]).toEqual([0, ""]);
});
