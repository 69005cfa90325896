import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  DescribeCertificateAuthorityCommand,
  GetCertificateAuthorityCertificateCommand,
  GetCertificateCommand,
  IssueCertificateCommand,
  type IssueCertificateRequest,
} from "@aws-sdk/client-acm-pca";
import { clientsOf, refusal, worlds } from "./world/clients.ts";
import type { Mistake } from "./world/issuing.ts";
import { makeRequest, openssl, verifies } from "./world/requests.ts";
import type { WorldOptions } from "./world/world.ts";

const { make } = worlds();
const DAY = 86_400_000;
type Wish = Readonly<Record<string, unknown>>;
const TEMPLATE = "arn:aws:acm-pca:::template/";

async function authorityOf(options: WorldOptions = {}) {
  const world = await make(options);
  const { pca } = clientsOf(world, (await world.credentials()).secret);
  const CertificateAuthorityArn = world.authority.arn;
  const ec = (options.key ?? "EC_prime256v1") === "EC_prime256v1";
  const request = makeRequest(["a.example.com", "b.example.com"]);
  const ask = async (wish: Wish = {}): Promise<string> => {
    const input = {
      CertificateAuthorityArn,
      Csr: Buffer.from(request.csr),
      SigningAlgorithm: ec ? "SHA256WITHECDSA" : "SHA256WITHRSA",
      TemplateArn: `${TEMPLATE}EndEntityServerAuthCertificate/V1`,
      Validity: { Type: "DAYS", Value: 30 },
      ...wish,
    } as IssueCertificateRequest;
    return (await pca.send(new IssueCertificateCommand(input))).CertificateArn ?? "";
  };
  const fetch = (CertificateArn: string) =>
    pca.send(new GetCertificateCommand({ CertificateAuthorityArn, CertificateArn }));
  const issue = async (wish: Wish = {}) => {
    const { Certificate = "", CertificateChain = "" } = await fetch(await ask(wish));
    return { leaf: new X509Certificate(Certificate), pem: Certificate, chain: CertificateChain };
  };
  return { world, pca, request, ask, fetch, issue, CertificateAuthorityArn };
}

test.each(["EC_prime256v1", "RSA_2048"] as const)(
  "a certificate is what was asked for, under the root that the authority shows: %s",
  async (key) => {
    const { pca, request, issue, CertificateAuthorityArn } = await authorityOf({ key });
    const { CertificateAuthority } = await pca.send(
      new DescribeCertificateAuthorityCommand({ CertificateAuthorityArn }),
    );
    expect(CertificateAuthority).toMatchObject({ Status: "ACTIVE", Type: "ROOT" });
    expect(CertificateAuthority?.CertificateAuthorityConfiguration?.KeyAlgorithm).toBe(key);
    const root = await pca.send(new GetCertificateAuthorityCertificateCommand({ CertificateAuthorityArn }));
    const before = Date.now();
    const { leaf, pem, chain } = await issue();
    expect(new X509Certificate(chain).raw).toEqual(new X509Certificate(root.Certificate ?? "").raw);
    expect(leaf.publicKey.export({ type: "spki", format: "pem" })).toBe(request.publicKey);
    expect(leaf.subject).toBe("CN=a.example.com");
    expect(leaf.subjectAltName).toBe("DNS:a.example.com, DNS:b.example.com");
    expect([leaf.ca, leaf.keyUsage]).toEqual([false, ["1.3.6.1.5.5.7.3.1"]]);
    // AWS sets the start an hour back.
    expect(Math.abs(Date.parse(leaf.validFrom) - (before - 3_600_000))).toBeLessThan(5000);
    expect(Math.abs(Date.parse(leaf.validTo) - (before + 30 * DAY))).toBeLessThan(5000);
    expect(verifies(pem, chain, "sslserver", "b.example.com")).toBe(true);
    expect(verifies(pem, chain, "sslclient", "b.example.com")).toBe(false);
    expect(verifies(pem, chain, "sslserver", "c.example.com")).toBe(false);
  },
  120_000,
);

test.each([
  ["END_DATE", Number(`${new Date(Date.now() + 3 * DAY).toISOString().replace(/\D/g, "").slice(0, 14)}`), 3 * DAY],
  ["ABSOLUTE", Math.floor((Date.now() + 5 * DAY) / 1000), 5 * DAY],
  ["DAYS", 2, 2 * DAY],
] as const)("validity as %s is honoured to the second", async (Type, Value, milliseconds) => {
  const { issue } = await authorityOf();
  const wanted = Date.now() + milliseconds;
  const { leaf } = await issue({ Validity: { Type, Value } });
  expect(Math.abs(Date.parse(leaf.validTo) - wanted)).toBeLessThan(20_000);
});

test.each([
  ["EndEntityCertificate/V1", "1.3.6.1.5.5.7.3.1 1.3.6.1.5.5.7.3.2", false],
  ["EndEntityClientAuthCertificate/V1", "1.3.6.1.5.5.7.3.2", false],
  ["SubordinateCACertificate_PathLen0/V1", "", true],
] as const)("the template decides the usages: %s", async (template, usages, authority) => {
  const { issue } = await authorityOf();
  const { leaf } = await issue({ TemplateArn: `${TEMPLATE}${template}` });
  expect([leaf.ca, (leaf.keyUsage ?? []).join(" ")]).toEqual([authority, usages]);
});

test("only a passthrough template takes extensions of the request", async () => {
  const { issue } = await authorityOf();
  const Csr = Buffer.from(makeRequest(["a.example.com"], "1.2.3.4=ASN1:UTF8String:mine").csr);
  const text = async (template: string) =>
    openssl(["x509", "-noout", "-text"], (await issue({ Csr, TemplateArn: `${TEMPLATE}${template}` })).pem).out;
  expect(await text("EndEntityCertificate/V1")).not.toContain("1.2.3.4");
  expect(await text("EndEntityCertificate_CSRPassthrough/V1")).toContain("1.2.3.4");
});

test("one token is one certificate within the window, two without it; another authority's token is another", async () => {
  const { ask, world, CertificateAuthorityArn } = await authorityOf();
  const first = await ask({ IdempotencyToken: "t1" });
  expect(await ask({ IdempotencyToken: "t1" })).toBe(first);
  expect(world.look.issued()).toBe(1);
  expect(await ask({ IdempotencyToken: "t2" })).not.toBe(first);
  const other = await world.more.authority("EC_prime256v1");
  expect(await ask({ IdempotencyToken: "t1", CertificateAuthorityArn: other })).not.toStartWith(
    CertificateAuthorityArn,
  );
  world.issuing.tokenMilliseconds = 0;
  expect(await ask({ IdempotencyToken: "t1" })).not.toBe(first);
  expect(world.look.issued()).toBe(3);
  expect(world.calls.map(({ token }) => token)).toEqual(["t1", "t1", "t2", "t1", "t1"]);
  expect(await ask()).not.toBe(await ask());
});

test("a certificate is in progress for a while, or fails in the end", async () => {
  const { ask, fetch, world } = await authorityOf();
  world.issuing.issueMilliseconds = 300;
  const arn = await ask();
  expect(await refusal(fetch(arn))).toMatchObject({ name: "RequestInProgressException", status: 400 });
  await Bun.sleep(320);
  expect((await fetch(arn)).Certificate).toContain("BEGIN CERTIFICATE");
  world.issuing.issueMilliseconds = 0;
  world.issuing.fails = true;
  expect(await refusal(fetch(await ask()))).toMatchObject({ name: "RequestFailedException", status: 400 });
});

test.each([
  ["a request that is none", { Csr: Buffer.from("nonsense") }, "MalformedCSRException"],
  ["another key family's algorithm", { SigningAlgorithm: "SHA256WITHRSA" }, "InvalidArgsException"],
  ["a template that is not there", { TemplateArn: `${TEMPLATE}Nothing/V1` }, "InvalidArgsException"],
  ["longer than the authority", { Validity: { Type: "YEARS", Value: 20 } }, "ValidationException"],
  ["no ARN", { CertificateAuthorityArn: "arn:aws:acm-pca:x" }, "InvalidArnException"],
  [
    "an authority that is not there",
    {
      CertificateAuthorityArn:
        "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/00000000-0000-0000-0000-000000000000",
    },
    "ResourceNotFoundException",
  ],
] as const)("%s is refused, and nothing is issued", async (_, wish, name) => {
  const { ask, world } = await authorityOf();
  expect(await refusal(ask(wish))).toMatchObject({ name, status: 400 });
  expect([world.look.issued(), world.calls.some(({ changed }) => changed)]).toEqual([0, false]);
});

test("a request whose signature is another key's is malformed", async () => {
  const { ask, request } = await authorityOf();
  const bytes = Buffer.from(request.csr.replace(/-----[^-]+-----|\s/g, ""), "base64");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  expect(await refusal(ask({ Csr: Buffer.from(pem) }))).toMatchObject({ name: "MalformedCSRException" });
});

test("an authority that is disabled issues nothing", async () => {
  const { ask, world, CertificateAuthorityArn } = await authorityOf();
  await world.admin.call("acm-pca", "UpdateCertificateAuthority", { CertificateAuthorityArn, Status: "DISABLED" });
  expect(await refusal(ask())).toMatchObject({ name: "InvalidStateException", status: 400 });
});

test("a certificate that is not there, or is another authority's, is not found", async () => {
  const { ask, fetch, pca, world } = await authorityOf();
  const arn = await ask();
  expect(await refusal(fetch(`${arn.slice(0, -1)}x`))).toMatchObject({ name: "ResourceNotFoundException" });
  const CertificateAuthorityArn = await world.more.authority("EC_prime256v1");
  const command = new GetCertificateCommand({ CertificateAuthorityArn, CertificateArn: arn });
  expect(await refusal(pca.send(command))).toMatchObject({ name: "ResourceNotFoundException" });
});

const isAsAsked = (leaf: X509Certificate, pem: string, chain: string, publicKey: string): boolean =>
  leaf.publicKey.export({ type: "spki", format: "pem" }) === publicKey &&
  leaf.subjectAltName === "DNS:a.example.com, DNS:b.example.com" &&
  Math.abs(Date.parse(leaf.validTo) - (Date.now() + 30 * DAY)) < 60_000 &&
  !leaf.ca &&
  chain !== "" &&
  verifies(pem, chain, "sslserver", "a.example.com");

test.each([
  "other-key",
  "other-name",
  "more-names",
  "longer",
  "already-over",
  "other-usage",
  "an-authority",
  "other-issuer",
  "no-chain",
] as const satisfies readonly Mistake[])("a certificate that is not as asked really is not: %s", async (mistake) => {
  const { issue, world, request } = await authorityOf();
  const good = await issue();
  expect(isAsAsked(good.leaf, good.pem, good.chain, request.publicKey)).toBe(true);
  world.issuing.mistake = mistake;
  const bad = await issue();
  expect(isAsAsked(bad.leaf, bad.pem, bad.chain, request.publicKey)).toBe(false);
});

test("what IAM would judge: the authority, and the template that was named", async () => {
  const { ask, world, CertificateAuthorityArn } = await authorityOf();
  await ask();
  await ask({ TemplateArn: undefined });
  expect(world.calls.map(({ resources, context }) => [resources, context])).toEqual([
    [[CertificateAuthorityArn], { "acm-pca:TemplateArn": [`${TEMPLATE}EndEntityServerAuthCertificate/V1`] }],
    [[CertificateAuthorityArn], {}],
  ]);
});
