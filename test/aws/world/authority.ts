/**
 * AWS Private CA on top of moto, which has authorities but signs for a year whatever was asked, at once and without tokens. What is added
 * here, each from AWS's documentation: validity, algorithm and template as asked, idempotency tokens, issuing that takes its time,
 * authorities that are not active, requests that are refused.
 */
import "reflect-metadata";
import { randomBytes } from "node:crypto";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import type { Admin } from "./admin.ts";
import type { Structure } from "./codec.ts";
import { type Issuer, issue, type Mistake, signingOf, TEMPLATE, templateOf } from "./issuing.ts";
import { type Made, ServiceError } from "./made.ts";
import type { Behaviour } from "./proxy.ts";

export type AuthoritySwitches = {
  /** How long a certificate is being issued. */
  issueMilliseconds: number;
  /** How long a token is remembered: AWS says five minutes (one, until 2022). */
  tokenMilliseconds: number;
  /** The next certificates are not what was asked for. */
  mistake: Mistake | null;
  /** Issuing is accepted, and fails later. */
  fails: boolean;
};

type Issued = { readonly leaf: string; readonly chain: string; readonly ready: number; readonly failed: boolean };
/** AWS sets "Not Before" an hour back, for clocks that are behind. */
const BACKDATED_MILLISECONDS = 3_600_000;
const DAY = 86_400_000;

function bad(code: string, words: string): ServiceError {
  return new ServiceError(code, words);
}

/** When a certificate ends that is asked for with this `Validity`. */
function endOf(validity: unknown, now: number): number {
  const { Type, Value } = (validity ?? {}) as { Type?: string; Value?: number };
  if (typeof Value !== "number" || Value <= 0) throw bad("InvalidArgsException", "The validity is invalid.");
  const date = new Date(now);
  if (Type === "DAYS") return now + Value * DAY;
  if (Type === "MONTHS") return date.setUTCMonth(date.getUTCMonth() + Value);
  if (Type === "YEARS") return date.setUTCFullYear(date.getUTCFullYear() + Value);
  if (Type === "ABSOLUTE") return Value * 1000;
  const [, y, m, d, h, i, s] = /^(\d{4}|\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(String(Value)) ?? [];
  if (Type !== "END_DATE" || y === undefined) throw bad("InvalidArgsException", "The validity is invalid.");
  return Date.parse(`${y.length === 2 ? `20${y}` : y}-${m}-${d}T${h}:${i}:${s}Z`);
}

async function requestIn(csr: unknown): Promise<Pkcs10CertificateRequest> {
  const malformed = bad("MalformedCSRException", "The certificate signing request is malformed.");
  const pem = Buffer.from(String(csr), "base64").toString("utf8");
  if (!pem.includes("-----BEGIN CERTIFICATE REQUEST-----")) throw malformed;
  const parsed = await Promise.resolve()
    .then(() => new Pkcs10CertificateRequest(pem))
    .catch(() => null);
  if (parsed === null || !(await parsed.verify())) throw malformed;
  return parsed;
}

export type Authority = Behaviour & {
  /** From now on this authority signs with our key. */
  take(arn: string, issuer: Issuer): void;
  /** How many certificates were issued under an authority. */
  issued(arn: string): number;
};

export function authority(admin: Admin, switches: AuthoritySwitches): Authority {
  const issuers = new Map<string, Issuer>();
  const certificates = new Map<string, Issued>();
  const tokens = new Map<string, { arn: string; at: number }>();

  const usable = async (arn: string, region: string): Promise<Issuer> => {
    const found = await describe(arn, region);
    if (found["Status"] !== "ACTIVE")
      throw bad(
        "InvalidStateException",
        `The certificate authority is not in a valid state for issuing: ${found["Status"]}`,
      );
    const issuer = issuers.get(arn);
    if (issuer === undefined) throw new Error(`nobody holds the key of ${arn}`);
    return issuer;
  };
  const describe = async (arn: string, region: string): Promise<Structure> => {
    if (!/^arn:aws:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority\/[0-9a-f-]{36}$/.test(arn))
      throw bad("InvalidArnException", "The ARN is invalid.");
    if (!issuers.has(arn) || !arn.includes(`:${region}:`))
      throw bad("ResourceNotFoundException", `Could not find the certificate authority ${arn}.`);
    const found = await admin.call("acm-pca", "DescribeCertificateAuthority", { CertificateAuthorityArn: arn }, region);
    return found["CertificateAuthority"] as Structure;
  };

  const issueOne = async (made: Made): Promise<Structure> => {
    const { params, region, token } = made;
    const arn = String(params["CertificateAuthorityArn"]);
    const issuer = await usable(arn, region);
    const now = Date.now();
    const before = token === null ? undefined : tokens.get(`${arn} ${token}`);
    if (before !== undefined && now - before.at < switches.tokenMilliseconds) return { CertificateArn: before.arn };
    const template = String(params["TemplateArn"] ?? `${TEMPLATE}EndEntityCertificate/V1`);
    const signing = String(params["SigningAlgorithm"]);
    if (templateOf(template) === null) throw bad("InvalidArgsException", `Unknown template ${template}.`);
    if (signingOf(signing, issuer.algorithm) === null)
      throw bad("InvalidArgsException", `${signing} does not match the authority's key.`);
    const notAfter = endOf(params["Validity"], now);
    if (!(notAfter > now)) throw bad("ValidationException", "The certificate would be over already.");
    if (notAfter > issuer.certificate.notAfter.getTime())
      throw bad(
        "ValidationException",
        "The certificate validity specified exceeds the certificate authority validity.",
      );
    const start = params["ValidityNotBefore"];
    const notBefore = start === undefined ? now - BACKDATED_MILLISECONDS : endOf(start, now);
    const csr = await requestIn(params["Csr"]);
    const wish = { csr, template, signing, notBefore: new Date(notBefore), notAfter: new Date(notAfter) };
    const issued = await issue(issuer, wish, switches.mistake);
    const certificate = `${arn}/certificate/${randomBytes(16).toString("hex")}`;
    certificates.set(certificate, { ...issued, ready: now + switches.issueMilliseconds, failed: switches.fails });
    if (token !== null) tokens.set(`${arn} ${token}`, { arn: certificate, at: now });
    made.changed = true;
    return { CertificateArn: certificate };
  };

  const getOne = async ({ params, region }: Made): Promise<Structure> => {
    const arn = String(params["CertificateAuthorityArn"]);
    await describe(arn, region);
    const wanted = String(params["CertificateArn"]);
    const found = wanted.startsWith(`${arn}/`) ? certificates.get(wanted) : undefined;
    if (found === undefined) throw bad("ResourceNotFoundException", `Could not find the certificate ${wanted}.`);
    if (found.ready > Date.now())
      throw bad("RequestInProgressException", "The request to issue the certificate is in progress.");
    if (found.failed) throw bad("RequestFailedException", "The certificate could not be issued.");
    return { Certificate: found.leaf, ...(found.chain === "" ? {} : { CertificateChain: found.chain }) };
  };

  return {
    take: (arn, issuer) => void issuers.set(arn, issuer),
    issued: (arn) => [...certificates.keys()].filter((one) => one.startsWith(`${arn}/`)).length,
    async about(operation, params) {
      const template = params["TemplateArn"];
      const context =
        operation === "IssueCertificate" && typeof template === "string" ? { "acm-pca:TemplateArn": [template] } : {};
      return { resources: [String(params["CertificateAuthorityArn"] ?? "*")], context };
    },
    async answer(made) {
      const { operation, params, region } = made;
      if (operation === "IssueCertificate") return issueOne(made);
      if (operation === "GetCertificate") return getOne(made);
      if (params["CertificateAuthorityArn"] !== undefined)
        await describe(String(params["CertificateAuthorityArn"]), region);
      return admin.call("acm-pca", operation, params, region);
    },
  };
}
