import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { partitionOf } from "../../policy/permissions/aws/arn.ts";
import { WAYS } from "../../policy/permissions/aws/audit/ways.ts";
import { boundaryOf } from "../../policy/permissions/aws/render.ts";
import { documentOf } from "../../policy/permissions/aws/statement.ts";
import { terraformOf } from "../../policy/permissions/aws/terraform.ts";
import { answerOf, linters } from "./python.ts";
import { DEPLOYING, EXAMPLE, policyOf, renderedOf } from "./world.ts";

/** What others' linters, parser of HCL and table of regions say. */
setDefaultTimeout(300_000);

beforeAll(() => {
  linters();
}, 600_000);

const rendered = renderedOf(policyOf(EXAMPLE));
const POLICY = documentOf(rendered.statements);
const BOUNDARY = documentOf(boundaryOf(rendered));
const CARELESS = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["iam:PassRole", "ec2:RunInstances", "s3:*"], Resource: "*" }],
};

const PARLIAMENT = `
import os, parliament
parliament.override_config(os.path.join(os.path.dirname(parliament.__file__), "community_auditors", "config_override.yaml"))
policy = parliament.analyze_policy_string(json.dumps(given), include_community_auditors=True)
found = [parliament.enhance_finding(finding) for finding in policy.findings]
print(json.dumps([[finding.severity, finding.issue, finding.detail if isinstance(finding.detail, str) else ""] for finding in found]))`;

const CLOUDSPLAINING = `
from cloudsplaining.scan.policy_document import PolicyDocument
policy = PolicyDocument(given)
print(json.dumps({
  "escalation": policy.allows_privilege_escalation,
  "exposure": policy.permissions_management_without_constraints,
  "exfiltration": policy.allows_data_exfiltration_actions,
  "credentials": policy.credentials_exposure,
  "wildcards": policy.service_wildcard,
  "unconstrained changes": policy.infrastructure_modification,
  "unconstrained": policy.all_allowed_unrestricted_actions,
  "NotAction in Allow": [each for each in policy.contains_statement_using_not_action if each["Effect"] == "Allow"],
}))`;

describe("policy linters from PyPI", () => {
  test.each([
    ["policy", POLICY],
    ["boundary", BOUNDARY],
  ])("parliament finds nothing above LOW in the %s", (_, document) => {
    // acm-pca:TemplateArn is an ARN, and AWS's own examples compare it as a string: exactly, with no pattern in it.
    expect(answerOf(PARLIAMENT, document)).toEqual([
      [
        "LOW",
        "MISMATCHED_TYPE_BUT_USABLE",
        "Type mismatch: StringEquals requires a value of type String but given Arn",
      ],
    ]);
  });

  test.each([
    ["policy", POLICY],
    ["boundary", BOUNDARY],
  ])("cloudsplaining finds nothing in the %s", (_, document) => {
    const found = answerOf(CLOUDSPLAINING, document) as Record<string, unknown[]>;
    expect(Object.keys(found)).toHaveLength(8);
    for (const [risk, list] of Object.entries(found)) expect([risk, list]).toEqual([risk, []]);
  });

  test("of a file that lets releases be deployed parliament finds that a role is passed to machines, which AWS asks for, and nothing else is found", () => {
    const deploying = documentOf(renderedOf(policyOf(DEPLOYING)).statements);
    const found = answerOf(CLOUDSPLAINING, deploying) as Record<string, unknown[]>;
    expect(Object.keys(found)).toHaveLength(8);
    for (const [risk, list] of Object.entries(found)) expect([risk, list]).toEqual([risk, []]);
    const issues = (answerOf(PARLIAMENT, deploying) as string[][]).map(([severity, issue]) => `${severity} ${issue}`);
    expect(issues.toSorted()).toEqual([
      "HIGH PRIVILEGE_ESCALATION",
      "LOW MISMATCHED_TYPE_BUT_USABLE",
      "MEDIUM PERMISSIONS_MANAGEMENT_ACTIONS",
    ]);
  });

  test("both find what is careless", () => {
    expect(JSON.stringify(answerOf(PARLIAMENT, CARELESS))).toContain("PRIVILEGE_ESCALATION");
    const found = answerOf(CLOUDSPLAINING, CARELESS) as Record<string, unknown[]>;
    expect(found["escalation"]).not.toEqual([]);
    expect(found["wildcards"]).toEqual(["s3"]);
  });

  test("each way to more permissions that cloudsplaining knows is one of ours, or holds one of ours", () => {
    const methods = answerOf(
      `
from cloudsplaining.shared.constants import PRIVILEGE_ESCALATION_METHODS
print(json.dumps(PRIVILEGE_ESCALATION_METHODS))`,
      null,
    ) as Record<string, string[]>;
    expect(Object.keys(methods).length).toBeGreaterThan(50);
    const ours = WAYS.map(({ needs }) => needs.map((action) => action.toLowerCase()));
    const missed = Object.entries(methods).filter(
      ([, needs]) => !ours.some((own) => own.every((action) => needs.includes(action))),
    );
    expect(missed.map(([name]) => name)).toEqual([]);
  });
});

type Block = Readonly<Record<string, unknown>>;
const HCL = `
import hcl2, io
print(json.dumps(hcl2.load(io.StringIO(given))))`;
/** python-hcl2 keeps the quotes of strings and marks blocks. */
function plain(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/^"(.*)"$/, "$1");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "__is_block__" && key !== "__comments__");
  return Object.fromEntries(kept.map(([key, inner]) => [plain(key), plain(inner)]));
}

/** The JSON that Terraform's aws_iam_policy_document makes of a block, as its page in the provider's documentation says. */
function document(block: Block): unknown {
  const statements = (block["statement"] as Block[]).map((statement) => {
    const condition: Record<string, Record<string, unknown>> = {};
    for (const { test: operator, variable, values } of (statement["condition"] ?? []) as Record<string, unknown>[]) {
      const list = values as string[];
      condition[String(operator)] = {
        ...condition[String(operator)],
        [String(variable)]: list.length === 1 ? list[0] : list,
      };
    }
    return {
      Sid: statement["sid"],
      Effect: statement["effect"],
      ...("actions" in statement ? { Action: statement["actions"] } : { NotAction: statement["not_actions"] }),
      Resource: statement["resources"],
      ...(Object.keys(condition).length === 0 ? {} : { Condition: condition }),
    };
  });
  return { Version: block["version"], Statement: statements };
}

test.each([
  ["policy", "reeve-prod-eu-1", rendered.statements, POLICY],
  ["boundary", "reeve-prod-eu-1-boundary", boundaryOf(rendered), BOUNDARY],
])("a parser of HCL reads the Terraform of the %s as the same document", (_, name, statements, expected) => {
  const text = terraformOf(name, statements, ['a note with ${ and "quotes" and \\052']);
  const read = plain(answerOf(HCL, text)) as { data: Block[]; resource: Block[] };
  const label = name.replaceAll("-", "_");
  const [data = {}] = read.data;
  const block = (data["aws_iam_policy_document"] as Block)[label] as Block;
  expect(document(block)).toEqual(JSON.parse(JSON.stringify(expected)));
  expect(read.resource).toEqual([
    { aws_iam_policy: { [label]: { name, policy: `\${data.aws_iam_policy_document.${label}.json}` } } },
  ]);
});

test("the partition of every region is botocore's, of all that a policy file can name", () => {
  const partitions = answerOf(
    `
import botocore.loaders
data = botocore.loaders.Loader().load_data("partitions")
print(json.dumps({partition["id"]: list(partition["regions"]) for partition in data["partitions"]}))`,
    null,
  ) as Record<string, string[]>;
  const regions = Object.entries(partitions).flatMap(([id, names]) =>
    names.filter((name) => /^(?:[a-z]{2}|eusc)(?:-[a-z]+)+-\d$/.test(name)).map((name) => [name, id]),
  );
  expect(regions.length).toBeGreaterThan(35);
  expect(new Set(regions.map(([, id]) => id)).size).toBeGreaterThan(4);
  expect(regions).toContainEqual(["eusc-de-east-1", "aws-eusc"]);
  for (const [name = "", id = ""] of regions) {
    expect([name, partitionOf(name)]).toEqual([name, id]);
    // Every name of a resource that is rendered is of that partition.
    const text = EXAMPLE.replaceAll("eu-west-1", name).replaceAll("arn:aws:", `arn:${id}:`);
    const arns = JSON.stringify(documentOf(renderedOf(policyOf(text)).statements)).match(/arn:[a-z-]+:/g) ?? [];
    expect(arns.length).toBeGreaterThan(5);
    expect([name, ...new Set(arns)]).toEqual([name, `arn:${id}:`]);
  }
});
