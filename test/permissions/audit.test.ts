import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { duplicateName } from "../../policy/permissions/audit/duplicates.ts";
import type { Group } from "../../policy/permissions/audit/report.ts";
import { type Beyond, beyond } from "../../policy/permissions/aws/audit/beyond.ts";
import { readRole } from "../../policy/permissions/aws/audit/documents.ts";
import { holdingOf } from "../../policy/permissions/aws/audit/grants.ts";
import { covers } from "../../policy/permissions/aws/audit/pattern.ts";
import { allowed, documents, EXAMPLE, policyOf, renderedOf, scaling } from "./world.ts";

const policy = policyOf(EXAMPLE);
const least = renderedOf(policy).statements;
const { identity, boundary } = documents(policy);
const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

function audit(role: unknown, name: string | null = null): Beyond {
  const read = readRole(bytes(role), name);
  if ("because" in read) throw new Error(read.because);
  return beyond(holdingOf(read.documents), least);
}
const why = (role: unknown, name: string | null = null): string => {
  const read = readRole(bytes(role), name);
  return "because" in read ? read.because : "it was read";
};
const policyWith = (...statements: object[]): object => ({ Version: "2012-10-17", Statement: statements });
const allow = (actions: string | string[], resource: string | string[] = "*", more: object = {}): object => ({
  Effect: "Allow",
  Action: actions,
  Resource: resource,
  ...more,
});
const found = ({ findings }: Beyond): string[] => findings.map(({ group, action }) => `${group} ${action}`);

/** Written apart: it is IAM's variable, not one of a template. */
const VARIABLE = "$" + "{aws:username}";
const GROUP = "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/prod-eu-1-brokers";
const AUTHORITY = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555";

describe("what a role has beyond the policy file", () => {
  test("the rendered policy and boundary go beyond in nothing", () => {
    for (const document of [identity, boundary]) {
      const { findings, within } = audit(document);
      expect(findings).toEqual([]);
      expect(within).toBe(12);
    }
    expect(audit([policyWith(allow("*")), boundary]).findings.map(({ action }) => action)).toEqual(
      expect.arrayContaining(["autoscaling:SetDesiredCapacity"]),
    );
  });

  test("narrower than needed is within: one group by its id, one name, fewer types, AWS's other spelling of a test", () => {
    const [dns] = identity.Statement.filter((one) => one["Sid"] === "ChangeBrokerDns");
    const condition = (dns?.["Condition"] ?? {}) as Record<string, Record<string, unknown>>;
    const { "ForAllValues:StringLike": _, ...others } = condition;
    const narrower = {
      ...dns,
      Condition: {
        ...others,
        "forallvalues:stringequals": {
          ...condition["ForAllValues:StringEquals"],
          "ROUTE53:ChangeResourceRecordSetsNormalizedRecordNames": ["b1.brokers.prod-eu-1.example.com"],
          "route53:ChangeResourceRecordSetsRecordTypes": "A",
        },
      },
    };
    const role = policyWith(
      allow("AUTOSCALING:setdesiredcapacity", GROUP.replace(":*:", ":8f2f1c1e:")),
      narrower,
      allow("sts:GetCallerIdentity"),
    );
    expect(found(audit(role))).toEqual([]);
  });

  test.each([
    ["another group", allow("autoscaling:SetDesiredCapacity", GROUP.replace(/[^/]+$/, "other"))],
    ["any group", allow("autoscaling:SetDesiredCapacity", GROUP.replace(/[^/]+$/, "*"))],
    ["a group by a variable", allow("autoscaling:SetDesiredCapacity", GROUP.replace(/[^/]+$/, VARIABLE))],
    ["any template", allow("acm-pca:IssueCertificate", AUTHORITY)],
    [
      "a template by a pattern",
      allow("acm-pca:IssueCertificate", AUTHORITY, {
        Condition: {
          StringLike: { "acm-pca:TemplateArn": "arn:aws:acm-pca:::template/EndEntityServerAuthCertificate/V1" },
        },
      }),
    ],
    [
      "the template only if it is named",
      allow("acm-pca:IssueCertificate", AUTHORITY, {
        Condition: {
          StringEqualsIfExists: {
            "acm-pca:TemplateArn": "arn:aws:acm-pca:::template/EndEntityServerAuthCertificate/V1",
          },
        },
      }),
    ],
    [
      "the template's ARN under another key",
      allow("acm-pca:IssueCertificate", AUTHORITY, {
        Condition: {
          StringEquals: { "aws:SourceArn": "arn:aws:acm-pca:::template/EndEntityServerAuthCertificate/V1" },
        },
      }),
    ],
    ["a reading call that the file does not need", allow("acm-pca:ListTags", AUTHORITY)],
  ])("the rest: %s", (_, statement) => {
    expect(audit(policyWith(statement)).findings.map(({ group }) => group)).toEqual(["rest"]);
  });

  test("without the test that there are values at all, a record's conditions are no conditions: beyond", () => {
    const [dns] = identity.Statement.filter((one) => one["Sid"] === "ChangeBrokerDns");
    const { Null: _, ...open } = (dns?.["Condition"] ?? {}) as Record<string, unknown>;
    expect(Object.keys(open)).toHaveLength(3);
    expect(found(audit(policyWith({ ...dns, Condition: open })))).toEqual(["rest route53:ChangeResourceRecordSets"]);
  });
});

/** Facts of published lists, written anew: Hasura's read-only statement, Pinecone's PassRole, TiDB's wildcards, Nuon's provisioning. */
describe("what published roles ask for", () => {
  const READ_ONLY = allow(["ec2:DescribeSubnets", "eks:DescribeCluster", "eks:ListAddons", "eks:DeleteAddon"]);
  const cases: [string, object, string[]][] = [
    [
      "a change hidden among reads is seen by what stands beside it",
      READ_ONLY,
      [
        "unconditioned ec2:DescribeSubnets",
        "unconditioned eks:DescribeCluster",
        "unconditioned eks:ListAddons",
        "hidden eks:DeleteAddon",
      ],
    ],
    [
      "or by what the statement is called",
      { ...allow(["eks:DescribeCluster", "eks:DeleteAddon"], "arn:aws:eks:eu-west-1:1:cluster/x"), Sid: "EksReadOnly" },
      ["rest eks:DescribeCluster", "hidden eks:DeleteAddon"],
    ],
    [
      "a role that is passed to a machine is an escalation of both",
      allow(["iam:PassRole", "ec2:RunInstances", "ec2:CreateTags"]),
      ["escalation iam:PassRole", "escalation ec2:RunInstances", "unconditioned ec2:CreateTags"],
    ],
    [
      "wildcards are wildcards whatever the condition",
      allow(["ec2:Describe*", "eks:List*", "s3:GetBucket?cl"], "*", {
        Condition: { StringEquals: { "aws:RequestedRegion": "eu-west-1" } },
      }),
      ["wildcard ec2:Describe*", "wildcard eks:List*", "wildcard s3:GetBucket?cl"],
    ],
    ["everything", allow("*"), ["escalation *"]],
    ["all of a service", allow("sqs:*", "arn:aws:sqs:eu-west-1:1:q"), ["wildcard sqs:*"]],
    ["everything but IAM", { Effect: "Allow", NotAction: "iam:*", Resource: "*" }, ["escalation *"]],
    ["a role taken on by name", allow("sts:AssumeRole", "arn:aws:iam::1:role/one"), ["rest sts:AssumeRole"]],
    ["any role taken on", allow("sts:AssumeRole", "arn:aws:iam::1:role/*"), ["escalation sts:AssumeRole"]],
    [
      "everything but one resource",
      { Effect: "Allow", Action: "kms:Decrypt", NotResource: "arn:aws:kms:eu-west-1:1:key/x" },
      ["unconditioned kms:Decrypt"],
    ],
    [
      "any resource under a condition is not unconditioned",
      allow("ec2:StopInstances", "*", { Condition: { StringEquals: { "aws:ResourceTag/by": "vendor" } } }),
      ["rest ec2:StopInstances"],
    ],
  ];
  test.each(cases)("%s", (_, statement, expected) => {
    expect(found(audit(policyWith(statement)))).toEqual(expected);
  });

  test("each way to more permissions names what it needs; half of one opens none", () => {
    const ways = (...actions: string[]): string[] => audit(policyWith(allow(actions))).ways.map(({ id }) => id);
    expect(ways("iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction")).toEqual(["iam-pass", "lambda-001"]);
    expect(ways("lambda:CreateFunction", "lambda:InvokeFunction")).toEqual([]);
    expect(ways("IAM:Create*")).toEqual(["iam-001", "iam-002", "iam-004"]);
    expect(ways("*").length).toBeGreaterThan(50);
    expect(ways("sts:AssumeRole")).toEqual(["sts-001"]);
    expect(audit(policyWith(allow("sts:AssumeRole", "arn:aws:iam::1:role/one"))).ways).toEqual([]);
  });
});

describe("denials", () => {
  const deny = (actions: string | string[], resource: string | string[] = "*", more: object = {}): object => ({
    ...allow(actions, resource, more),
    Effect: "Deny",
  });
  const cases: [string, object[], string[]][] = [
    [
      "what is denied is not granted",
      [allow(["sqs:SendMessage", "sns:Publish"]), deny("sqs:*")],
      ["unconditioned sns:Publish"],
    ],
    [
      "a denial elsewhere takes nothing away",
      [allow("sqs:SendMessage"), deny("sqs:*", "arn:aws:sqs:*:*:q")],
      ["unconditioned sqs:SendMessage"],
    ],
    [
      "a denial under a condition takes nothing away",
      [allow("sqs:SendMessage"), deny("sqs:*", "*", { Condition: { Bool: { "aws:SecureTransport": "false" } } })],
      ["unconditioned sqs:SendMessage"],
    ],
    [
      "a denial of a resource takes that one",
      [
        allow("sqs:SendMessage", ["arn:aws:sqs:eu-west-1:1:a", "arn:aws:sqs:eu-west-1:1:b"]),
        deny("*", "arn:aws:sqs:*:1:a"),
      ],
      ["rest sqs:SendMessage"],
    ],
    [
      "a denial by a variable takes nothing that is certain",
      [allow("sqs:SendMessage", "arn:aws:sqs:eu-west-1:1:a"), deny("*", `arn:aws:sqs:eu-west-1:1:${VARIABLE}`)],
      ["rest sqs:SendMessage"],
    ],
    [
      "of everything is left what is not denied",
      [allow("*"), { Effect: "Deny", NotAction: ["sqs:SendMessage", "sns:*"], Resource: "*" }],
      ["unconditioned sqs:SendMessage", "wildcard sns:*"],
    ],
    [
      "everything but some resources",
      [
        allow("sqs:SendMessage", ["arn:aws:sqs:eu-west-1:1:a", "arn:aws:sqs:eu-west-1:1:b"]),
        { Effect: "Deny", Action: "*", NotResource: "arn:aws:sqs:*:1:b" },
      ],
      ["rest sqs:SendMessage"],
    ],
  ];
  test.each(cases)("%s", (_, statements, expected) => {
    expect(found(audit(policyWith(...statements)))).toEqual(expected);
  });

  test("a wildcard whose way to more permissions is denied opens it no more", () => {
    const role = policyWith(allow("iam:*"), deny(["iam:CreatePolicyVersion", "iam:PassRole"]));
    const ids = audit(role).ways.map(({ id }) => id);
    expect(ids).not.toContain("iam-001");
    expect(ids).not.toContain("iam-pass");
    expect(ids).toContain("iam-005");
  });
});

describe("what AWS's own tools print is read", () => {
  const document = policyWith(allow("sqs:SendMessage"));
  const inline = { RoleName: "vendor", PolicyName: "queue", PolicyDocument: document };
  const MANAGED = "arn:aws:iam::111122223333:policy/own";
  const role = (more: object = {}) => ({
    RoleName: "vendor",
    AssumeRolePolicyDocument: policyWith({ Effect: "Allow", Principal: "*", Action: "sts:AssumeRole" }),
    RolePolicyList: [{ PolicyName: "queue", PolicyDocument: document }],
    AttachedManagedPolicies: [],
    ...more,
  });
  const managed = {
    PolicyName: "own",
    Arn: MANAGED,
    PolicyVersionList: [
      { VersionId: "v1", IsDefaultVersion: false, Document: policyWith(allow("*")) },
      { VersionId: "v2", IsDefaultVersion: true, Document: policyWith(allow("sns:Publish")) },
    ],
  };
  const attached = { AttachedManagedPolicies: [{ PolicyName: "own", PolicyArn: MANAGED }] };

  const good: [string, unknown, string[]][] = [
    ["a document", document, ["sqs:SendMessage"]],
    ["a document with one statement", { ...document, Statement: allow("sqs:SendMessage") }, ["sqs:SendMessage"]],
    ["a list", [document, inline], ["sqs:SendMessage", "sqs:SendMessage"]],
    ["get-role-policy", inline, ["sqs:SendMessage"]],
    [
      "get-role-policy, as the API encodes it",
      { ...inline, PolicyDocument: encodeURIComponent(JSON.stringify(document)) },
      ["sqs:SendMessage"],
    ],
    ["get-policy-version", { PolicyVersion: { VersionId: "v2", Document: document } }, ["sqs:SendMessage"]],
    ["a role of an account's details", role(), ["sqs:SendMessage"]],
    [
      "get-account-authorization-details",
      { RoleDetailList: [role(attached)], Policies: [managed] },
      ["sqs:SendMessage", "sns:Publish"],
    ],
    [
      "AdministratorAccess by its name",
      {
        RoleDetailList: [
          role({ AttachedManagedPolicies: [{ PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" }] }),
        ],
      },
      ["sqs:SendMessage", "*"],
    ],
  ];
  test.each(good)("%s", (_, value, actions) => {
    expect(audit(value).findings.map(({ action }) => action)).toEqual(actions);
  });

  test("of several roles one is named", () => {
    const several = { RoleDetailList: [role(), { ...role({ RolePolicyList: [] }), RoleName: "other" }] };
    expect(why(several)).toBe("it holds 2 roles, and none was named");
    expect(why(several, "nobody")).toBe("it holds no role named nobody");
    expect(found(audit(several, "vendor"))).toEqual(["unconditioned sqs:SendMessage"]);
  });

  const bad: [string, unknown, string][] = [
    ["nothing", "", "it is not JSON"],
    ["no JSON", "{", "it is not JSON"],
    ["a number", 7, "the file is not an object"],
    ["an empty list", [], "it holds no policy document"],
    ["another object", { Policy: {} }, "it holds no policy document"],
    ["a trust policy", policyWith({ Effect: "Allow", Principal: "*", Action: "sts:AssumeRole" }), "Principal"],
    ["an unknown element", policyWith({ ...allow("a:B"), Extra: 1 }), "Extra"],
    ["no action", policyWith({ Effect: "Allow", Resource: "*" }), "a statement has one of Action and NotAction"],
    ["both", policyWith({ ...allow("a:B"), NotAction: "a:C" }), "a statement has one of Action and NotAction"],
    ["no resource", policyWith({ Effect: "Allow", Action: "a:B" }), "a statement has one of Resource and NotResource"],
    ["an effect that is none", policyWith({ ...allow("a:B"), Effect: "allow" }), "Effect"],
    [
      "a name twice",
      '{"Statement":[{"Effect":"Allow","Action":"a:B","Action":"*","Resource":"*"}]}',
      '"Action" stands twice in one object',
    ],
    [
      "a name twice, once escaped",
      '{"Statement":[{"Effect":"Allow","Action":"a:B","\\u0041ction":"*","Resource":"*"}]}',
      '"Action" stands twice in one object',
    ],
    [
      "a name twice in an encoded document",
      { ...inline, PolicyDocument: encodeURIComponent('{"Statement":[],"Statement":[]}') },
      '"Statement" stands twice in one object',
    ],
    [
      "an attached policy that is not there",
      { RoleDetailList: [role(attached)] },
      `the attached policy ${MANAGED} is not in the file`,
    ],
    [
      "a policy without a version in force",
      { RoleDetailList: [role()], Policies: [{ ...managed, PolicyVersionList: [] }] },
      "own has no version in force",
    ],
    ["nested too deep", `${"[".repeat(200_000)}${"]".repeat(200_000)}`, "it is nested too deep"],
  ];
  test.each(bad)("not judged: %s", (_, value, because) => {
    expect(why(value)).toContain(because);
  });

  test("bytes that are not UTF-8 are not judged", () => {
    expect(readRole(new Uint8Array([0x7b, 0xff, 0x7d]), null)).toMatchObject({ because: "it is not UTF-8 text" });
  });
});

describe("patterns", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", ":", "/"), maxLength: 6 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", ":", "*", "?"), maxLength: 6 });
  const expression = (of: string): RegExp =>
    new RegExp(`^${of.replace(/[*?/]/g, (char) => (char === "*" ? ".*" : char === "?" ? "." : "\\/"))}$`);

  test("a text is matched as a regular expression would", () => {
    let matched = 0;
    fc.assert(
      fc.property(pattern, text, (one, other) => {
        const expected = expression(one).test(other);
        if (expected) matched += 1;
        expect(covers(one, other)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
    expect(matched).toBeGreaterThan(50);
  });

  test("a pattern that covers another matches all that the other matches", () => {
    let covered = 0;
    fc.assert(
      fc.property(pattern, pattern, text, (one, other, sample) => {
        if (!covers(one, other)) return;
        covered += 1;
        if (expression(other).test(sample)) expect(expression(one).test(sample)).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(covered).toBeGreaterThan(100);
  });

  test("no name of a JSON text that stands once is said to stand twice", () => {
    fc.assert(fc.property(fc.json(), (json) => expect(duplicateName(json)).toBeNull()));
    expect(duplicateName('{"a":{"b":1,"c":[{"b":2}]},"b":3}')).toBeNull();
    expect(duplicateName('{"a":"a","b":["b","b"]}')).toBeNull();
    expect(duplicateName('{"a":[{"b":1,"x":"}","b":2}]}')).toBe("b");
  });
});

describe("an IAM that we did not write agrees with the audit", () => {
  const resources = [GROUP, GROUP.replace(/[^/]+$/, "other"), GROUP.replace(/[^/]+$/, "*"), "*"];
  const actions = ["autoscaling:SetDesiredCapacity", "autoscaling:Set*", "autoscaling:*", "*"];
  const statement = fc.record({
    Effect: fc.constantFrom("Allow", "Allow", "Deny"),
    element: fc.constantFrom("Action", "NotAction"),
    actions: fc.subarray(actions, { minLength: 1 }),
    where: fc.constantFrom("Resource", "NotResource"),
    resources: fc.subarray(resources, { minLength: 1 }),
  });

  test("a role of which nothing is beyond allows no other group to be scaled", async () => {
    const seen = { beyond: 0, allowed: 0, not: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(statement, { minLength: 1, maxLength: 3 }), async (list) => {
        const role = policyWith(
          ...list.map((one) => ({ Effect: one.Effect, [one.element]: one.actions, [one.where]: one.resources })),
        );
        const { findings } = audit(role);
        const allows = await allowed(JSON.parse(JSON.stringify(role)), scaling("other"));
        if (findings.length > 0) seen.beyond += 1;
        if (allows) seen.allowed += 1;
        else seen.not += 1;
        expect(allows && findings.length === 0).toBe(false);
      }),
      { numRuns: 400 },
    );
    expect(seen.beyond).toBeGreaterThan(50);
    expect(seen.allowed).toBeGreaterThan(20);
    expect(seen.not).toBeGreaterThan(20);
  }, 60_000);

  test("each group of findings was met in these tests", () => {
    const met = new Set<Group>(
      audit(
        policyWith(
          allow("*"),
          allow(["eks:DescribeX", "eks:ListX", "eks:DeleteX"]),
          allow("a:*", "b"),
          allow("a:B", "b"),
        ),
      ).findings.map(({ group }) => group),
    );
    expect([...met].sort()).toEqual(["escalation", "hidden", "rest", "unconditioned", "wildcard"]);
  });
});
