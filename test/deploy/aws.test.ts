import { beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { programPath } from "../tools.ts";
import { type Block, blocksOf, everyBlock, inner, resourceIn, resourcesIn, scratchCopy, written } from "./hcl.ts";

/** deploy/aws, read by HashiCorp's own parser; and where Terraform and its AWS provider are on the machine, validated and planned by them. */
const MODULE = resolve(import.meta.dir, "../../deploy/aws");

let blocks: readonly Block[] = [];
beforeAll(() => {
  blocks = blocksOf("aws");
}, 300_000);
const resources = (kind: string): readonly Block[] => resourcesIn(blocks, kind);
const resource = (kind: string): Block => resourceIn(blocks, kind);

describe("deploy/aws, as it is written", () => {
  test("these resources and no other are made: none that lets anything in, none that grants beside the policy", () => {
    const kinds = blocks.flatMap(({ type, labels }) => (type === "resource" ? [labels[0] ?? ""] : []));
    expect(kinds.sort()).toEqual([
      "aws_autoscaling_group",
      "aws_iam_instance_profile",
      "aws_iam_policy",
      "aws_iam_role",
      "aws_iam_role_policies_exclusive",
      "aws_iam_role_policy",
      "aws_iam_role_policy_attachments_exclusive",
      "aws_launch_template",
      "aws_security_group",
      "aws_vpc_security_group_egress_rule",
      "aws_vpc_security_group_egress_rule",
      "aws_vpc_security_group_egress_rule",
      "aws_vpc_security_group_egress_rule",
    ]);
    expect(everyBlock(blocks).filter(({ type }) => type === "ingress" || type === "egress")).toEqual([]);
    expect(everyBlock(blocks).filter(({ attributes }) => "key_name" in attributes)).toEqual([]);
    expect(everyBlock(blocks).filter(({ type }) => type === "provisioner" || type === "module")).toEqual([]);
  });

  test("the group is of size 1 and never has two machines", () => {
    const group = resource("aws_autoscaling_group");
    const one = { min_size: 1, max_size: 1, desired_capacity: 1, suspended_processes: ["AZRebalance"] };
    expect(group.attributes).toMatchObject(one);
    const healthy = { min_healthy_percentage: 0, max_healthy_percentage: 100 };
    expect(inner(group, "instance_maintenance_policy").map(({ attributes }) => attributes)).toEqual([healthy]);
  });

  test("instance metadata is of version 2 with one hop and the machine's tags, volumes are encrypted, nothing has a public address", () => {
    const template = resource("aws_launch_template");
    expect(inner(template, "metadata_options").map(({ attributes }) => attributes)).toEqual([
      {
        http_endpoint: "enabled",
        http_tokens: "required",
        http_put_response_hop_limit: 1,
        http_protocol_ipv6: "disabled",
        instance_metadata_tags: "enabled",
      },
    ]);
    const volumes = inner(template, "block_device_mappings").flatMap((device) => inner(device, "ebs"));
    expect(volumes.map(({ attributes }) => attributes["encrypted"])).toEqual([true, true]);
    expect(
      inner(template, "network_interfaces").map(({ attributes }) => attributes["associate_public_ip_address"]),
    ).toEqual([false]);
  });

  test("every rule that lets something out is of one port, to what a variable names", () => {
    const rules = resources("aws_vpc_security_group_egress_rule");
    expect(rules.map(({ labels }) => labels[1])).toEqual(["control_plane", "endpoint", "prefix_list", "aws"]);
    for (const { attributes } of rules) {
      const { ip_protocol, from_port, to_port } = attributes;
      expect([ip_protocol, from_port]).toEqual(["tcp", to_port]);
      expect(written(attributes["for_each"])).toMatch(
        /var\.(?:control_plane|endpoint_security_group_ids|prefix_list_ids|aws_cidrs)/,
      );
    }
  });

  test("the role is assumed by machines alone, has the boundary, and is what the inputs say", () => {
    const role = resource("aws_iam_role");
    expect(written(role.attributes["permissions_boundary"])).toBe("aws_iam_policy.boundary.arn");
    expect(written(resource("aws_iam_role_policy").attributes["policy"])).toBe("var.policy_json");
    expect(written(resource("aws_iam_policy").attributes["policy"])).toBe("var.boundary_json");
    const trust = blocks.filter(({ type, labels }) => type === "data" && labels[0] === "aws_iam_policy_document");
    const principals = trust.flatMap((one) => inner(one, "statement")).flatMap((one) => inner(one, "principals"));
    expect(principals.map(({ attributes }) => [attributes["type"], written(attributes["identifiers"])])).toEqual([
      ["Service", `["ec2.\${data.aws_partition.current.dns_suffix}"]`],
    ]);
    // Whoever has it can enrol as the agent: one profile has it, which one machine's template names.
    expect(written(resource("aws_iam_instance_profile").attributes["role"])).toBe("aws_iam_role.agent.name");
    const profiles = everyBlock(blocks).filter(({ type }) => type === "iam_instance_profile");
    expect(profiles.map(({ attributes }) => written(attributes["arn"]))).toEqual([
      "aws_iam_instance_profile.agent.arn",
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

/** Where images keep providers that `terraform init` may not download here. */
const MIRRORS = ["/opt/tf-plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins"];
const MIRROR = MIRRORS.find((folder) => existsSync(join(folder, "registry.terraform.io/hashicorp/aws")));
const TERRAFORM = programPath("terraform") ?? programPath("/usr/local/bin/terraform");
const missing = TERRAFORM === null || MIRROR === undefined;
if (missing)
  console.log(
    "skipped: deploy/aws by Terraform itself: terraform or its AWS provider is not on this machine, and no registry brings them",
  );

describe("deploy/aws, by Terraform itself and its AWS provider", () => {
  let folder = "";
  const terraform = (...words: string[]) =>
    spawnSync(TERRAFORM ?? "", [...words, "-no-color"], {
      cwd: folder,
      env: {
        PATH: "/usr/bin:/bin",
        HOME: folder,
        TF_CLI_CONFIG_FILE: join(folder, "config.tfrc"),
        CHECKPOINT_DISABLE: "1",
      },
      encoding: "utf8",
      timeout: 240_000,
    });
  const initialised = (): void => {
    folder = scratchCopy(MODULE);
    writeFileSync(
      join(folder, "config.tfrc"),
      `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(MIRROR)}\n  }\n}\n`,
    );
    const done = terraform("init", "-backend=false", "-input=false");
    if (done.status !== 0) throw new Error(`terraform init: ${done.stderr}`);
  };

  test.skipIf(missing)(
    "terraform validate accepts deploy/aws, and it is formatted as terraform fmt does",
    () => {
      initialised();
      expect(terraform("validate").stdout).toContain("The configuration is valid");
      expect(terraform("fmt", "-check", "-recursive", "-diff").stdout).toBe("");
      const file = join(folder, "machine.tf");
      writeFileSync(file, readFileSync(file, "utf8").replace("http_tokens ", "http_token "));
      expect(terraform("validate").stderr).toContain('An argument named "http_token" is not expected here');
    },
    240_000,
  );

  test.skipIf(missing)(
    "what is planned for deploy/aws is as its own tests claim, and inputs that would permit more are refused",
    () => {
      initialised();
      const done = terraform("test");
      expect(done.stdout).toMatch(/Success! 11 passed, 0 failed\./);
      const file = join(folder, "machine.tf");
      writeFileSync(
        file,
        readFileSync(file, "utf8").replace('http_tokens                 = "required"', 'http_tokens = "optional"'),
      );
      expect(terraform("test").stdout).toMatch(/Failure! 10 passed, 1 failed\./);
    },
    480_000,
  );
});
