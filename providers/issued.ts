import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  type X509Certificate,
} from "@peculiar/x509";
import { CLOCK_SKEW_SECONDS } from "../agent/limits.ts";
import type { Usage } from "../policy/asked.ts";
import { decoded, links, sameChain } from "./chain.ts";
import { CallFailed, type JudgedCertificateArgs } from "./provider.ts";

/** When an issued certificate is valid: unix seconds, both ends inclusive (RFC 5280 section 4.1.2.5). */
export type Validity = { readonly from: number; readonly until: number };

/** Extended key usages (RFC 5280 section 4.2.1.12). */
export const USAGES: Readonly<Record<Usage, string>> = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" };
/** What the base end-entity templates give, and no more. */
const KEY_USAGES = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment;
/** A short certificate is dated back by no more than this part of it. */
const BACKDATE_PART = 10;

/** Dated back for clocks that run behind; as a whole no longer than asked, and never beyond any certificate above it. */
export function validityOf(now: number, seconds: number, chain: readonly X509Certificate[]): Validity {
  const present = Math.floor(now / 1000);
  const earliest = Math.max(...chain.map(({ notBefore }) => secondsOf(notBefore)));
  const latest = Math.min(...chain.map(({ notAfter }) => secondsOf(notAfter)));
  if (present < earliest || present >= latest)
    throw new CallFailed("authority-expired", "the authority's certificates are not valid now", "none");
  const from = Math.max(present - Math.min(CLOCK_SKEW_SECONDS, Math.floor(seconds / BACKDATE_PART)), earliest);
  return { from, until: Math.min(from + seconds - 1, latest) };
}

function secondsOf(date: X509Certificate["notBefore"]): number {
  return date.getTime() / 1000;
}

export type Fault =
  | `issued-other-${"chain" | "key" | "subject" | "names" | "usages" | "validity"}`
  | "issued-authority";

type Wanted = {
  readonly args: JudgedCertificateArgs;
  readonly chain: readonly X509Certificate[];
  readonly validity: Validity;
};

/**
 * What about an issued chain is not as it was judged and asked for; null when all is. `above`: the authority's own chain. What does not decode
 * is no chain.
 */
export function faultOf(leaf: X509Certificate, above: readonly X509Certificate[], wanted: Wanted): Fault | null {
  const request = new Pkcs10CertificateRequest(new Uint8Array(wanted.args.csrDer));
  return decoded(() => faultBeside(request, leaf, above, wanted), "issued-other-chain");
}

function faultBeside(
  request: Pkcs10CertificateRequest,
  leaf: X509Certificate,
  above: readonly X509Certificate[],
  wanted: Wanted,
): Fault | null {
  const { args, validity } = wanted;
  const key = (of: X509Certificate | Pkcs10CertificateRequest) => Buffer.from(of.publicKey.rawData);
  const names = leaf.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const usages = leaf.getExtension(ExtendedKeyUsageExtension)?.usages.map(String) ?? [];
  const keyUsages = leaf.getExtension(KeyUsagesExtension)?.usages ?? 0;
  if (!sameChain(above, wanted.chain) || !links([leaf, ...wanted.chain])) return "issued-other-chain";
  // Each on its own: OpenSSL's word (`ca`) would let one pass that says so and may not sign.
  const authority = leaf.getExtension(BasicConstraintsExtension)?.ca === true;
  if (authority || (keyUsages & KeyUsageFlags.keyCertSign) !== 0) return "issued-authority";
  if (!key(leaf).equals(key(request))) return "issued-other-key";
  if (leaf.subject !== request.subject) return "issued-other-subject";
  const named = names.map(({ type, value }) => `${type}:${value}`);
  const judged = args.names.map((name) => `dns:${name}`);
  if (!sameSet(named, judged)) return "issued-other-names";
  const wantedUsages = args.usages.map((usage) => USAGES[usage]);
  if (!sameSet(usages, wantedUsages) || (keyUsages & ~KEY_USAGES) !== 0) return "issued-other-usages";
  if ((keyUsages & KeyUsageFlags.digitalSignature) === 0) return "issued-other-usages";
  const asked = secondsOf(leaf.notBefore) === validity.from && secondsOf(leaf.notAfter) === validity.until;
  return asked ? null : "issued-other-validity";
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return [...new Set(a)].sort().join("\n") === [...new Set(b)].sort().join("\n");
}
