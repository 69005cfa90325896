import { z } from "zod";
import { CLOCK_SKEW_SECONDS } from "../../agent/limits.ts";
import { azureNonce, type Proof } from "../../agent/wire/proof.ts";
import { Faulted } from "../fault.ts";
import { type Attested, readDocument } from "./azureDocument.ts";
import { type Ca, isOfService, signerFault, signerNames } from "./azureSigner.ts";
import { readPlatformToken } from "./platformToken.ts";
import type { Shown } from "./shown.ts";
import type { SigningKey, SigningKeys } from "./signingKeys.ts";

/** One of Azure's clouds, as a proof of it is judged. */
export type AzureCloud = {
  /** The metadata service's own name, by which it signs: metadata.azure.com. */
  readonly service: string;
  /** Roots, and the CAs below them that a signer's certificate may be of. Azure does not send them along. */
  readonly cas: readonly Ca[];
  /** Entra's origin: a token's issuer is this, its tenant and `/v2.0`. */
  readonly login: string;
  /** What a token must be for: nothing that opens anything by itself. */
  readonly audiences: readonly string[];
  /** Entra's. */
  readonly keys: SigningKeys;
};
type AzureProof = Extract<Proof, { platform: "azure" }>;

/** A document is made for its enrolment: an older one was made for something else. */
const MAX_AGE_SECONDS = 300;

const Guid = z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
/** A managed identity's token (v2.0). What is not used is let be. */
const Claims = z.object({
  iss: z.string(),
  aud: z.string(),
  tid: Guid,
  oid: Guid,
  /** An identity's own token is about itself. */
  sub: z.string(),
  idtyp: z.literal("app").optional(),
  /** The resource that the identity belongs to: a machine, a scale set, or a user-assigned identity. */
  xms_mirid: z.string().optional(),
});
type Claims = z.infer<typeof Claims>;
const RESOURCE =
  /^\/subscriptions\/([0-9a-f-]{36})\/resourcegroups\/[^/]{1,90}\/providers\/microsoft\.(?:managedidentity\/userassignedidentities|compute\/virtualmachines|compute\/virtualmachinescalesets)\/[^/]{1,128}$/;

/**
 * Which machine asked Azure's metadata service for a document with our nonce, and a managed identity whose token came beside it. The document
 * binds the enrolment; the token is the bearer's, and nothing says that it is that machine's: docs/THREAT-MODEL.md. Faulted: proof-invalid,
 * unavailable.
 */
export async function shownByAzure(
  proof: AzureProof,
  binding: Uint8Array,
  clouds: readonly AzureCloud[],
  nowMs: number,
): Promise<Shown | Faulted> {
  const document = readDocument(new Uint8Array(Buffer.from(proof.document, "base64")));
  if (typeof document === "string") return invalid(document);
  const names = signerNames(document.signer);
  const cloud = clouds.find(({ service }) => names !== null && isOfService(names, service));
  if (cloud === undefined) return invalid("its document is signed by another than Azure's metadata service");
  const bad = signerFault(document.signer, cloud.cas, nowMs) ?? documentFault(document, binding, nowMs);
  if (bad !== null) return invalid(bad);
  const read = await readPlatformToken(proof.token, cloud.keys, nowMs / 1000);
  if ("unreachable" in read) return new Faulted("unavailable", `Entra's keys cannot be read: ${read.unreachable}`);
  if ("invalid" in read) return invalid(read.invalid);
  const claims = Claims.safeParse(read.claims);
  if (!claims.success) return invalid("its token is not one of a managed identity");
  const { subscription, vm } = document;
  const wrong = tokenFault(claims.data, read.key, cloud, subscription);
  return wrong === null ? { platform: "azure", subscription, principal: claims.data.oid, vm } : invalid(wrong);
}

function documentFault({ nonce, createdMs, expiresMs }: Attested, binding: Uint8Array, nowMs: number): string | null {
  if (nonce !== azureNonce(binding)) return "its document is for another enrolment";
  if (createdMs > nowMs + CLOCK_SKEW_SECONDS * 1000) return "its document is not yet valid: compare the clocks";
  if (expiresMs <= nowMs) return "its document has expired";
  return createdMs + MAX_AGE_SECONDS * 1000 < nowMs ? "its document was made too long ago" : null;
}

function tokenFault(claims: Claims, key: SigningKey, cloud: AzureCloud, subscription: string): string | null {
  const issuer = `${cloud.login}/${claims.tid}/v2.0`;
  if (claims.iss !== issuer) return "its token is not issued by Entra for the tenant that it names";
  // Entra's keys for all tenants stand beside those of one.
  if (key.issuer !== null && key.issuer.replace("{tenantid}", claims.tid) !== issuer)
    return "its token is signed by a key for other tenants";
  if (!cloud.audiences.includes(claims.aud)) return "its token is for another audience than an enrolment's";
  if (claims.sub !== claims.oid) return "its token is about another than the identity that it is of";
  if (claims.xms_mirid === undefined) return null;
  const of = RESOURCE.exec(claims.xms_mirid.toLowerCase())?.[1];
  if (of === undefined) return "its token is of an identity that no machine has";
  return of === subscription ? null : "its token is of an identity of another subscription than the machine's";
}

function invalid(why: string): Faulted {
  return new Faulted("proof-invalid", `the proof is refused: ${why}`);
}
