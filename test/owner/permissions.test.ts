import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import { type Ran, REEVE, ran } from "../e2e/world.ts";
import { EXAMPLE, EXAMPLE_PATH } from "../permissions/world.ts";

/** `policy permissions` as the customer runs it: the compiled executable, real files. */

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-permissions-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}
const permissions = (...args: string[]): Ran => ran(REEVE, "policy", "permissions", ...args);
const LOCAL = new URL("../policy/example.yaml", import.meta.url).pathname;

describe("the least permissions", () => {
  test("the IAM document alone is printed, with what it cannot say beside it", () => {
    const { code, stdout, stderr } = permissions(EXAMPLE_PATH);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as { Statement: Record<string, unknown>[] };
    expect(document.Statement.map(({ Sid }) => Sid)).toEqual([
      "ReadInRegion",
      "ScaleGroups",
      "ReadAuthorities",
      "IssueBrokerCertificates",
      "ReadZones",
      "ReadChanges",
      "ChangeBootstrapAlias",
      "ChangeBrokerDns",
    ]);
    // Where a star stands it is said why; nowhere else does one stand.
    const stars = stdout
      .split("\n")
      .filter((line) => line.includes("*"))
      .map((line) => line.trim());
    expect(stars).toEqual([
      '"*"',
      '"arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/prod-eu-1-brokers"',
      '"arn:aws:route53:::change/*"',
      '"route53:ChangeResourceRecordSetsNormalizedRecordNames": "*.brokers.prod-eu-1.example.com"',
    ]);
    for (const [star, said] of [
      ["Resource is *", "no resource-level permission"],
      ["autoScalingGroup:*", "the group's id, which AWS draws"],
      ["change/*", "known only from the answer"],
      ["StringLike *.brokers.prod-eu-1.example.com", "broker-dns: below brokers.prod-eu-1.example.com"],
      ["IAM has no condition for", "the agent alone holds these"],
    ] as const) {
      const note = stderr.split("\n").find((line) => line.includes(star)) ?? "";
      expect(note).toStartWith("note: ");
      expect(note).toContain(said);
    }
  });

  test("with the owner's folder in a bucket, reading it and adding to the log are granted too, and nothing else of it", () => {
    const bucket = "s3://the-owners/prod-eu-1";
    const { code, stdout, stderr } = permissions(EXAMPLE_PATH, "--owner", bucket);
    expect(code).toBe(0);
    const { Statement } = JSON.parse(stdout) as { Statement: Record<string, unknown>[] };
    const below = "arn:aws:s3:::the-owners/prod-eu-1";
    expect(Statement.filter(({ Sid }) => String(Sid).endsWith("OwnersBucket"))).toEqual([
      {
        Sid: "ReadOwnersBucket",
        Effect: "Allow",
        Action: ["s3:GetObject"],
        Resource: [`${below}/owner/*`, `${below}/log/*`],
      },
      { Sid: "AddToOwnersBucket", Effect: "Allow", Action: ["s3:PutObject"], Resource: [`${below}/log/*`] },
    ]);
    expect(stderr).toContain(`note: ${bucket}/owner/* and log/*: the star stands for names`);
    const boundary = permissions(EXAMPLE_PATH, "--owner", bucket, "--boundary").stdout;
    const denied = (JSON.parse(boundary) as { Statement: Record<string, unknown>[] }).Statement.at(-1);
    expect(denied?.["NotAction"]).toEqual(expect.arrayContaining(["s3:GetObject", "s3:PutObject"]));
    expect(permissions(EXAMPLE_PATH).stdout).not.toContain("s3:");
    for (const wrong of [
      "s3://the-owners",
      "gs://the-owners/x",
      "s3://the-owners/*",
      "s3://the-owners/a/../b",
      "s3://x/",
    ])
      expect(permissions(EXAMPLE_PATH, "--owner", wrong).code).toBe(2);
  });

  test("a boundary denies every other action, and is named so in Terraform", () => {
    const { code, stdout, stderr } = permissions(EXAMPLE_PATH, "--boundary", "--format", "terraform");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain('resource "aws_iam_policy" "reeve_prod_eu_1_boundary" {\n');
    expect(stdout).toContain('    sid    = "NothingElse"\n    effect = "Deny"\n\n    not_actions = [\n');
    expect(stdout).toStartWith(`# What ${EXAMPLE_PATH}, revision 7, sha256:`);
    expect(stdout).toContain("# A boundary grants nothing: attach the policy too.");
  });

  test("as JSON: the document, which rules each statement is for, the notes", () => {
    const json = JSON.parse(permissions(EXAMPLE_PATH, "--json").stdout) as Record<string, unknown>;
    expect(json).toMatchObject({
      format: "iam",
      name: "reeve-prod-eu-1",
      policy: { revision: 7 },
      place: { cloud: "aws", partition: "aws", account: "111122223333", region: "eu-west-1" },
      rules: { ScaleGroups: ["brokers-grow", "brokers-shrink"], ChangeBrokerDns: ["broker-dns"] },
    });
    expect(json["document"]).toEqual(JSON.parse(permissions(EXAMPLE_PATH).stdout));
    const terraform = JSON.parse(permissions(EXAMPLE_PATH, "--json", "--format", "terraform").stdout);
    expect(terraform["terraform"]).toBe(permissions(EXAMPLE_PATH, "--format", "terraform").stdout);
  });

  test("the starter for AWS, China's partition and the government's are rendered in their own names", () => {
    const starter = file("starter.yaml", ran(REEVE, "policy", "new", "--provider", "aws").stdout);
    expect(permissions(starter).code).toBe(0);
    for (const [region, partition] of [
      ["cn-north-1", "aws-cn"],
      ["us-gov-west-1", "aws-us-gov"],
    ] as const) {
      const text = EXAMPLE.replaceAll("eu-west-1", region).replaceAll("arn:aws:", `arn:${partition}:`);
      const { code, stdout } = permissions(file("policy.yaml", text));
      expect(code).toBe(0);
      expect(stdout).not.toContain("arn:aws:");
      expect(stdout).toContain(`arn:${partition}:acm-pca:::template/EndEntityServerAuthCertificate/V1`);
      expect(stdout).toContain(`arn:${partition}:route53:::change/*`);
    }
  });

  test("what cannot be rendered is said with its place, and nothing is rendered", () => {
    const cases: [string, string, string][] = [
      ["group: prod-eu-1-brokers", "group: a:b", "its group a:b cannot be an Auto Scaling group's name"],
      ["group: prod-eu-1-brokers", `group: a$\{x}`, "cannot be an Auto Scaling group's name"],
      ["group: prod-eu-1-brokers", "group: a%{x}", "cannot be an Auto Scaling group's name"],
      ["group: prod-eu-1-brokers", "group: a&{x}", "cannot be an Auto Scaling group's name"],
      ["zone: Z0123456789ABCDEFGHIJ", "zone: example.com", "its zone example.com is not the id of a hosted zone"],
      [":certificate-authority/", ":certificate/", "is not the ARN of a private CA"],
      ["acm-pca:eu-west-1", "acm-pca:us-east-1", "its authority is of aws us-east-1"],
      ["arn:aws:acm-pca", "arn:aws-cn:acm-pca", "its authority is of aws-cn eu-west-1"],
    ];
    for (const [from, to, because] of cases) {
      const path = file("policy.yaml", EXAMPLE.replace(from, to));
      const { code, stdout, stderr } = permissions(path);
      expect([to, code, stdout]).toEqual([to, 3, ""]);
      expect(stderr).toMatch(new RegExp(`^error: ${path}:\\d+:5: Cannot render the rule [a-z-]+: .*\nhint: `));
      expect(stderr).toContain(because);
      expect(JSON.parse(permissions(path, "--json").stdout).errors[0].message).toContain(because);
    }
    const local = permissions(LOCAL);
    expect([local.code, local.stdout]).toEqual([3, ""]);
    expect(local.stderr).toContain("the file's place is local, whose permissions this version does not know.\nhint: ");
  });

  test("a file that does not load, or whose tests fail, is 3; a wrong flag is 2", () => {
    expect(permissions(file("policy.yaml", "version: 1\n")).code).toBe(3);
    const failing = EXAMPLE.replace(
      "tests: []",
      "tests:\n  - { given: { count: 3, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: prod-eu-1-brokers, count: 4 }, refuse: count }",
    );
    expect(permissions(file("policy.yaml", failing)).code).toBe(3);
    expect(permissions(join(folder, "nothing.yaml")).code).toBe(3);
    for (const args of [
      ["--format", "cloudformation"],
      ["--boundary", "--audit", EXAMPLE_PATH],
      ["--role", "vendor"],
      ["--unknown"],
    ]) {
      expect([args, permissions(EXAMPLE_PATH, ...args).code]).toEqual([args, 2]);
    }
  });
});

describe("a role that is there", () => {
  const audit = (role: string, ...more: string[]): Ran => permissions(EXAMPLE_PATH, "--audit", role, ...more);

  test("what is rendered goes beyond in nothing: 0", () => {
    const role = file("role.json", permissions(EXAMPLE_PATH, "--boundary").stdout);
    expect(audit(role)).toEqual({ code: 0, stdout: "0 beyond the policy file, 12 within\n", stderr: "" });
  });

  test("what goes beyond is listed in groups, worst first, with where it stands and what it opens: 1", () => {
    const statements = [
      {
        Sid: "ReadOnly",
        Effect: "Allow",
        Action: ["eks:DescribeCluster", "eks:ListAddons", "eks:DeleteAddon"],
        Resource: "*",
      },
      { Effect: "Allow", Action: ["iam:PassRole", "ec2:RunInstances"], Resource: "*" },
      { Effect: "Allow", Action: "s3:Get*", Resource: "arn:aws:s3:::vendor-*" },
      {
        Effect: "Allow",
        Action: "route53:ChangeResourceRecordSets",
        Resource: "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ",
      },
      { Effect: "Deny", Action: "s3:*", Resource: "*", Condition: { Bool: { "aws:SecureTransport": "false" } } },
    ];
    const role = file("role.json", {
      PolicyName: "vendor",
      PolicyDocument: { Version: "2012-10-17", Statement: statements },
    });
    const { code, stdout, stderr } = audit(role);
    expect([code, stderr]).toEqual([1, ""]);
    expect(stdout).toBe(`privilege escalation: 2
  iam:PassRole   on *   no condition   vendor, statement 2   also any resource
  ec2:RunInstances   on *   no condition   vendor, statement 2   also any resource
  known ways that this opens:
    iam:PassRole: it hands a role to a service, which then acts with its permissions (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html)
    iam:PassRole + ec2:RunInstances: it runs code under any role that it may pass (https://pathfinding.cloud/paths/ec2-001)

changes hidden among reads: 1
  eks:DeleteAddon   on *   no condition   vendor, statement 1 ReadOnly   also any resource

wildcards in actions: 1
  s3:Get*   on arn:aws:s3:::vendor-*   no condition   vendor, statement 3

any resource, without a condition: 2
  eks:DescribeCluster   on *   no condition   vendor, statement 1 ReadOnly
  eks:ListAddons   on *   no condition   vendor, statement 1 ReadOnly

the rest: 1
  route53:ChangeResourceRecordSets   on arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ   no condition   vendor, statement 4

note: 1 denial has conditions. It is not counted: it may not apply.
7 beyond the policy file, 0 within
`);
    const json = JSON.parse(audit(role, "--json").stdout) as { groups: Record<string, { action: string }[]> };
    expect(json).toMatchObject({ beyond: 7, within: 0, ways: [{ id: "iam-pass" }, { id: "ec2-001" }] });
    expect(Object.entries(json.groups).map(([group, list]) => [group, list.map(({ action }) => action)])).toEqual([
      ["escalation", ["iam:PassRole", "ec2:RunInstances"]],
      ["hidden", ["eks:DeleteAddon"]],
      ["wildcard", ["s3:Get*"]],
      ["unconditioned", ["eks:DescribeCluster", "eks:ListAddons"]],
      ["rest", ["route53:ChangeResourceRecordSets"]],
    ]);
  });

  test("AdministratorAccess is everything, whatever the boundary that could be taken off", () => {
    const details = {
      RoleName: "vendor",
      RolePolicyList: [],
      AttachedManagedPolicies: [
        { PolicyName: "AdministratorAccess", PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" },
      ],
      PermissionsBoundary: { PermissionsBoundaryArn: "arn:aws:iam::111122223333:policy/b" },
    };
    const { code, stdout } = audit(
      file("role.json", { RoleDetailList: [details, { ...details, RoleName: "b" }] }),
      "--role",
      "vendor",
    );
    expect(code).toBe(1);
    expect(stdout).toStartWith("privilege escalation: 1\n  *   on *   no condition   AdministratorAccess, statement 1");
    expect(stdout).toMatch(/\n {4}and \d+ more, which --json lists\n/);
    expect(stdout).toContain("note: The role has a permissions boundary. It is not counted");
    expect(stdout).toEndWith("1 beyond the policy file, 0 within\n");
  });

  test("others' words reach a terminal escaped, in JSON too", () => {
    const statement = { Sid: "\u001b[2J", Effect: "Allow", Action: "a:\u202eB", Resource: "*" };
    const role = file("role.json", { Statement: [statement] });
    for (const args of [[], ["--json"]]) {
      const { code, stdout } = audit(role, ...args);
      expect(code).toBe(1);
      expect(stdout).not.toMatch(/[\u001b\u202e]/);
    }
  });

  test("what cannot be read is 3: no file, a folder, a pipe, no JSON, over the limit, a trust policy, an unknown attached policy", () => {
    const pipe = join(folder, "pipe");
    spawnSync("mkfifo", [pipe]);
    const trust = { Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" }] };
    const attached = { AttachedManagedPolicies: [{ PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess" }] };
    const cases: [string, string][] = [
      [join(folder, "nothing.json"), "there is no such file"],
      [folder, "it is not a file"],
      [pipe, "it is not a file"],
      [file("no.json", "not json"), "it is not JSON"],
      [file("big.json", `[${" ".repeat(16 * 1024 * 1024)}]`), "it is over 16777216 bytes"],
      [file("trust.json", trust), "is no policy of IAM's"],
      [
        file("attached.json", attached),
        "the attached policy arn:aws:iam::aws:policy/ReadOnlyAccess is not in the file",
      ],
    ];
    for (const [path, because] of cases) {
      const { code, stdout, stderr } = audit(path);
      expect([path, code, stdout]).toEqual([path, 3, ""]);
      expect(stderr).toMatch(/^error: Cannot audit .*\nhint: .*\n$/);
      expect(stderr).toContain(because);
      expect(JSON.parse(audit(path, "--json").stdout).errors[0].message).toContain(because);
    }
  });
});

describe("docs/PROVIDERS.md", () => {
  const text = readFileSync(new URL("../../docs/PROVIDERS.md", import.meta.url), "utf8");

  test("shows the actions that the example is rendered to", () => {
    const shown = /<!-- actions of the example -->\n```\n([\s\S]*?)```/.exec(text)?.[1]?.trim().split(/\s+/) ?? [];
    const document = JSON.parse(permissions(EXAMPLE_PATH).stdout) as { Statement: { Action: string[] }[] };
    expect(shown).toHaveLength(11);
    expect(shown.toSorted()).toEqual([...new Set(document.Statement.flatMap(({ Action }) => Action))].toSorted());
  });

  test("has the table of operations that the permissions are rendered from", () => {
    const section = text.slice(text.indexOf("## Permissions on AWS"));
    for (const [action, rows] of Object.entries(AWS_OPERATIONS)) {
      const [, , reads = "", changes = ""] =
        new RegExp(`^\\| ${action} \\|.*$`, "m").exec(section)?.[0].split("|") ?? [];
      for (const [kind, cell] of [
        ["read", reads],
        ["change", changes],
      ]) {
        const named = [...(cell ?? "").matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
        const expected = rows.filter((row) => row.kind === kind).map(({ operation }) => operation);
        expect([action, kind, named]).toEqual([action, kind, expected]);
      }
    }
  });
});
