import { createHash } from "node:crypto";
import { z } from "zod";

/**
 * How a machine shows who it is by its platform (DESIGN section 4). What is sent holds no key: each form is signed by the platform, or by
 * credentials that it gave, and binds one nonce, one control plane, one cluster and one public key.
 */
const Compact = z
  .string()
  .max(16 * 1024)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);

/**
 * AWS: what of a signed GetCallerIdentity cannot be known beforehand. The rest (host, method, path, body, headers) the control plane makes
 * itself, so that nothing else can be asked in its name (CVE-2020-16250 is a verifier that forwarded what it was sent).
 */
const AwsProof = z.strictObject({
  platform: z.literal("aws"),
  region: z.string().regex(/^[a-z]{2,5}(?:-[a-z]{1,12}){1,3}-\d{1,2}$/),
  /** x-amz-date. */
  date: z.string().regex(/^\d{8}T\d{6}Z$/),
  /** x-amz-security-token: an assumed role always has one. */
  session: z.string().regex(/^[\x21-\x7e]{1,8192}$/),
  authorization: z
    .string()
    .max(1024)
    .regex(/^[\x20-\x7e]+$/),
});
/** GCP: the instance's identity token, `format=full`, its audience `reeveAudience(binding)`. */
const GcpProof = z.strictObject({ platform: z.literal("gcp"), token: Compact });
/** Azure: IMDS's attested document, PKCS #7 in base64, its nonce `azureNonce(binding)`, and a managed-identity token. */
const AzureProof = z.strictObject({
  platform: z.literal("azure"),
  document: z
    .string()
    .max(64 * 1024)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/),
  token: Compact,
});

export const Proof = z.discriminatedUnion("platform", [AwsProof, GcpProof, AzureProof]);
export type Proof = z.infer<typeof Proof>;
export type Platform = Proof["platform"];

/** What a proof is good for, and nothing else. */
export type Bound = {
  /** Of GET /v1/nonce: 32 bytes. */
  readonly nonce: Uint8Array;
  /** SHA-256 of the DER of the control plane's root: 32 bytes. */
  readonly pin: Uint8Array;
  readonly cluster: string;
  /** SubjectPublicKeyInfo of a P-256 key, DER: 91 bytes. */
  readonly spki: Uint8Array;
};

/** SHA-256(nonce ‖ pin ‖ cluster ‖ public key). All but one have one length, so the pieces cannot run into each other. Throws TypeError on another length. */
export function proofBinding({ nonce, pin, cluster, spki }: Bound): Uint8Array {
  const lengths = [nonce.length, pin.length, spki.length];
  if (lengths.join() !== "32,32,91")
    throw new TypeError(`a proof binds 32, 32 and 91 bytes, not ${lengths.join(", ")}`);
  return new Uint8Array(createHash("sha256").update(nonce).update(pin).update(cluster).update(spki).digest());
}

/** For platforms that sign an audience. */
export function reeveAudience(binding: Uint8Array): string {
  return `https://reeve/${Buffer.from(binding).toString("hex")}`;
}

/**
 * IMDS takes a nonce of at most 10 digits: the first 8 bytes modulo 10^10, so about 33 bits of the binding. Finding a second key that fits
 * a nonce is 10^10 tries within that nonce's minute; the token beside it binds nothing.
 */
export function azureNonce(binding: Uint8Array): string {
  const number = Buffer.from(binding).readBigUInt64BE(0) % 10_000_000_000n;
  return String(number).padStart(10, "0");
}

/** The one request that an AWS proof is a signature of. `host`: `sts.REGION.` and what hosts of its partition end in. */
export const STS = {
  method: "POST",
  path: "/",
  body: "Action=GetCallerIdentity&Version=2011-06-15",
  contentType: "application/x-www-form-urlencoded; charset=utf-8",
  bindingHeader: "x-reeve-binding",
  /** Neither fewer nor more. */
  signedHeaders: "content-type;host;x-amz-date;x-amz-security-token;x-reeve-binding",
} as const;
