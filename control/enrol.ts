import { createPublicKey, verify } from "node:crypto";
import { clusterOf, spiffeId } from "../agent/wire/names.ts";
import { proofBinding } from "../agent/wire/proof.ts";
import type { EnrolAnswer, EnrolRequest, TokenClaims } from "../agent/wire/protocol.ts";
import { readTokenForm } from "../agent/wire/token.ts";
import { type Admission, admits, readAdmission } from "./admissions.ts";
import type { Authority } from "./ca.ts";
import { type AgentCsr, readNamedCsr } from "./csr.ts";
import { enrolProven } from "./enrolProven.ts";
import { enrolByToken, readTokenRow, theft } from "./enrolToken.ts";
import { Faulted, Outage } from "./fault.ts";
import type { Nonces } from "./nonces.ts";
import { principalOf, principalText, type Shown } from "./proof/shown.ts";
import type { Verifier } from "./proof/verify.ts";
import type { Sql, Store } from "./store.ts";
import type { WitnessKey } from "./witness/key.ts";

/** What the control plane is to its agents. */
export type Plane = {
  readonly store: Store;
  readonly authority: Authority;
  /** By which it cosigns agents' heads: named in trust statements. */
  readonly witness: WitnessKey;
  readonly trustDomain: string;
  /** Who a proof shows. */
  readonly verify: Verifier;
  readonly enrolUrl: string;
  readonly agentsUrl: string;
};
/** Who asks to enrol: `claims` of a token that this control plane signed, or null. */
export type Asker = { readonly cluster: string; readonly claims: TokenClaims | null; readonly request: AgentCsr };

/**
 * Enrols an agent (DESIGN section 4). The epoch is raised, the token burnt or the budget used, and the certificate recorded in one
 * transaction, which is durable before the answer leaves. The same key is answered the same until the certificate's first use.
 * Throws Faulted: token-…, proof-…, key-used, csr-invalid, unavailable (the platform cannot be asked).
 */
export async function enrol(plane: Plane, nonces: Nonces, asked: EnrolRequest): Promise<EnrolAnswer> {
  const asker = await readAsker(plane, asked);
  const looked = await look(plane, nonces, asked, asker);
  const result = await plane.store.transaction(async (sql): Promise<EnrolAnswer | Faulted> => {
    const admission = await readAdmission(sql, asker.cluster);
    if (admission !== null) return onPlatform(plane, sql, admission, asker, looked);
    if (asker.claims !== null) return enrolByToken(plane, sql, { ...asker, claims: asker.claims });
    return new Faulted("proof-not-admitted", "nobody is admitted by a platform for this cluster");
  }, asker.cluster);
  // An alarm must be kept although the request is refused: so a refusal is returned from the transaction, then thrown.
  if (result instanceof Faulted) throw result;
  return result;
}

async function readAsker(plane: Plane, { token, csr }: EnrolRequest): Promise<Asker> {
  const claims = token === null ? null : readToken(plane, token);
  const request = await readNamedCsr(csr);
  if (typeof request === "string") throw new Faulted("csr-invalid", `the certificate request is refused: ${request}`);
  const named = clusterOf(request.id, plane.trustDomain);
  const cluster = claims?.sub ?? named;
  if (cluster === null || named !== cluster)
    throw new Faulted(
      "csr-invalid",
      `the certificate request is refused: its only name must be the URI ${spiffeId(plane.trustDomain, cluster ?? "CLUSTER")}`,
    );
  return { cluster, claims, request };
}

/** Who the proof shows; null without one, and where nobody is admitted: no platform is asked for nothing. */
async function look(
  plane: Plane,
  nonces: Nonces,
  { proof, nonce }: EnrolRequest,
  { cluster, request }: Asker,
): Promise<Shown | Faulted | null> {
  if (proof === null || nonce === null) return null;
  if (!(await nonces.use(nonce))) throw new Faulted("proof-nonce", "the nonce is not one of ours, or not fresh");
  const admission = await plane.store.read((sql) => readAdmission(sql, cluster));
  if (admission === null) return null;
  if (admission.platform !== proof.platform)
    return new Faulted("proof-not-admitted", `a proof of ${proof.platform} is not what is admitted for this cluster`);
  const pin = Buffer.from(plane.authority.rootSha256, "hex");
  return plane.verify(
    proof,
    proofBinding({ nonce: Buffer.from(nonce, "base64url"), pin, cluster, spki: request.spki }),
    cluster,
  );
}

/** A cluster with an admission: who is not shown to be admitted does not enrol, whatever token there is. */
async function onPlatform(
  plane: Plane,
  sql: Sql,
  admission: Admission,
  asker: Asker,
  looked: Shown | Faulted | null,
): Promise<EnrolAnswer | Faulted> {
  const refused = refusal(admission, looked);
  if (looked !== null && !(looked instanceof Faulted) && refused === null)
    return enrolProven(plane, sql, admission, asker, looked);
  const { claims, request } = asker;
  const row = claims === null ? null : await readTokenRow(sql, claims);
  if (row instanceof Faulted) return refused ?? row;
  const otherKey = row !== null && row.spki !== null && row.spki !== request.spkiSha256;
  // While the platform cannot say who asks, it is no theft yet: if that does not lie with who asks.
  const stolen = otherKey && !(refused instanceof Outage) ? await theft(sql, asker.cluster, row) : null;
  return refused ?? stolen ?? new Faulted("proof-needed", "this cluster enrols with a proof of its platform");
}

function refusal(admission: Admission, looked: Shown | Faulted | null): Faulted | null {
  if (looked === null || looked instanceof Faulted) return looked;
  const principal = principalOf(looked);
  if (admits(admission, principal)) return null;
  return new Faulted("proof-not-admitted", `the proof shows ${principalText(principal)}, who is not admitted here`);
}

function readToken(plane: Plane, token: string): TokenClaims {
  const claims = readTokenForm(token);
  if ("fault" in claims) throw new Faulted("token-invalid", claims.fault);
  if (!signedByTokenKey(plane, token))
    throw new Faulted("token-invalid", "the token is not signed by this control plane");
  const ours =
    claims.iss === plane.trustDomain && claims.url === plane.enrolUrl && claims.sha === plane.authority.rootSha256;
  if (!ours) throw new Faulted("token-invalid", "the token is for another control plane");
  return claims;
}

function signedByTokenKey(plane: Plane, token: string): boolean {
  const end = token.lastIndexOf(".");
  const signature = Buffer.from(token.slice(end + 1), "base64url");
  return verify(null, Buffer.from(token.slice(0, end)), createPublicKey(plane.authority.tokenKey), signature);
}
