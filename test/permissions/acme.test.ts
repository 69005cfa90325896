/** What a role needs for a certificate by ACME: the records that prove its names, and nothing of any authority. Judged by IAM's simulator. */
import { expect, test } from "bun:test";
import { certificateNeeds } from "../../policy/permissions/acme.ts";
import { AWS } from "../../policy/permissions/aws/aws.ts";
import { changesOf } from "../../policy/permissions/aws/changes.ts";
import { allowed, BATCH, changing, documents, issuing, policyOf, renderedOf, template } from "./world.ts";

const ZONE = "Z0123456789ABCDEFGHIJ";
const AUTHORITY = `acme:letsencrypt/zone/${ZONE}`;
const HEAD = `version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: aws, account: "111122223333", region: eu-west-1 }
people: {}
signers: {}
share: []
dry_run: allowed
tests: []
`;
const rule = (names: string, authority = AUTHORITY) => `rules:
  - id: public
    why: TLS that browsers trust.
    allow: issue-certificate
    authority: ${authority}
    names: ${names}
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1d, max: 90d }
    rate: 20 per day
    when: always
    approval: none
`;
const EXACTLY = `${HEAD}${rule("{ exactly: [shop.example.com] }")}`;
const BELOW = `${HEAD}${rule("{ below: prod.example.com }")}`;

const may = (text: string, name: string, type = "TXT", zone = ZONE, batch: readonly string[] = ["CREATE"]) =>
  allowed(documents(policyOf(text)).identity, changing(zone, [name], [type], batch));

test("the record of each name that a rule lists may be created, replaced and deleted, and no other", async () => {
  for (const batch of Object.values(BATCH))
    expect(await may(EXACTLY, "_acme-challenge.shop.example.com", "TXT", ZONE, batch)).toBe(true);
  expect(await may(EXACTLY, "_acme-challenge.shop.example.com", "A")).toBe(false);
  expect(await may(EXACTLY, "_acme-challenge.shop.example.com", "TXT", "Z9999999999ABCDEFGHIJ")).toBe(false);
  expect(await may(EXACTLY, "_acme-challenge.shop.example.com", "TXT", ZONE, ["UPSERT"])).toBe(false);
  for (const name of ["shop.example.com", "_acme-challenge.example.com", "_acme-challenge.a.shop.example.com"])
    expect(await may(EXACTLY, name)).toBe(false);
});

test("below a name, the records of names below it, and never the name itself or its own record", async () => {
  for (const name of ["_acme-challenge.b1.prod.example.com", "_acme-challenge.a.b.prod.example.com"])
    expect(await may(BELOW, name)).toBe(true);
  for (const name of [
    "b1.prod.example.com",
    "_acme-challenge.prod.example.com",
    "_acme-challenge.b1.other.example.com",
  ])
    expect(await may(BELOW, name)).toBe(false);
});

test("no right on an authority comes with it, and none is left when the rule is taken out", async () => {
  const { identity } = documents(policyOf(EXACTLY));
  const actions = new Set(identity.Statement.flatMap(({ Action }) => Action));
  expect([...actions].sort()).toEqual([
    "route53:ChangeResourceRecordSets",
    "route53:GetChange",
    "route53:GetHostedZone",
    "route53:ListResourceRecordSets",
  ]);
  const arn = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/00000000-0000-0000-0000-000000000000";
  expect(await allowed(identity, issuing(arn, template("EndEntityServerAuthCertificate/V1")))).toBe(false);
  expect(await may(`${HEAD}rules: []\n`, "_acme-challenge.shop.example.com")).toBe(false);
  expect(certificateNeeds(policyOf(`${HEAD}rules: []\n`))).toEqual({ own: [], challenges: [], actions: [] });
});

test("what is rendered says where the records lie, and under which rule", () => {
  const rendered = renderedOf(policyOf(BELOW));
  expect(rendered.statements.map(({ sid, rules }) => [sid, rules])).toContainEqual(["ProvePublic", ["public"]]);
  const permissions = AWS.render(policyOf(BELOW), null);
  if ("faults" in permissions) throw new Error(JSON.stringify(permissions));
  const { notes } = permissions.print({ format: "iam", boundary: false, head: "" });
  expect(notes.find((note) => note.startsWith("public: "))).toContain(`${ZONE}: _acme-challenge.*.prod.example.com`);
});

test("an authority that names no hosted zone cannot be rendered", () => {
  for (const authority of ["acme:letsencrypt/zone/example.com", "acme:letsencrypt", "acme:/zone/Z0123"]) {
    const rendered = AWS.render(policyOf(`${HEAD}${rule("{ exactly: [shop.example.com] }", authority)}`), null);
    expect(rendered).toHaveProperty("faults.0.rule", "public");
  }
});

test("what doctor asks IAM of such a rule is the record of a name that it permits, and the rendered role allows it", async () => {
  for (const text of [EXACTLY, BELOW]) {
    const policy = policyOf(text);
    const changes = policy.rules.flatMap((one) => changesOf(renderedOf(policy).place, one));
    expect(changes.map(({ action }) => action)).toEqual(Array(3).fill("route53:ChangeResourceRecordSets"));
    for (const { action, resource, context } of changes)
      expect(await allowed(documents(policy).identity, { action, resource, context })).toBe(true);
  }
});
