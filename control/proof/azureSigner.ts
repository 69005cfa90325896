import "reflect-metadata";
import { X509Certificate as NodeCertificate } from "node:crypto";
import { SubjectAlternativeNameExtension, X509Certificate } from "@peculiar/x509";
import { checkChain } from "../../agent/wire/x509.ts";

/** A leaf, an issuing CA and the root: the longest that `checkChain` takes is one more. */
const MAX_CHAIN = 4;

/**
 * The names that a signer's certificate (DER) is for; null when one of them is no name of a host, or there is none. The subject's common
 * name, where there is one, is among them.
 */
export function signerNames(der: Uint8Array): readonly string[] | null {
  try {
    const certificate = new X509Certificate(new Uint8Array(der));
    const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
    if (names.length === 0 || names.some(({ type }) => type !== "dns")) return null;
    return [...names.map(({ value }) => value), ...certificate.subjectName.getField("CN")];
  } catch {
    // Decoded only once it is looked at: these bytes are no certificate.
    return null;
  }
}

/** Azure signs as `metadata.azure.com` and one name a region below it, and as nothing beside. */
export function isOfService(names: readonly string[], service: string): boolean {
  return names.every((name) => {
    const region = name.endsWith(`.${service}`) ? name.slice(0, -service.length - 1) : null;
    return name === service || (region !== null && /^[a-z0-9][a-z0-9-]{0,62}$/.test(region));
  });
}

/** What is wrong with the way from a certificate to a root among these CAs (DER, roots and those below them), or null. */
export function signerFault(der: Uint8Array, cas: readonly Uint8Array[], nowMs: number): string | null {
  const chain = chainOf(der, cas);
  if (chain === null) return "its document's signer is of no CA that is known here";
  const checked = checkChain(chain, [...cas].filter(isRoot), nowMs);
  return "bad" in checked ? `its document's signer has a certificate that does not hold: ${checked.bad}` : null;
}

/** Leaf first. A root goes before another certificate of the same CA. */
function chainOf(der: Uint8Array, cas: readonly Uint8Array[]): readonly Uint8Array[] | null {
  const issuers = [...cas].sort((a, b) => Number(isRoot(b)) - Number(isRoot(a)));
  const chain = [der];
  let last = der;
  while (chain.length < MAX_CHAIN) {
    const issuer = issuers.find((ca) => isIssuedBy(last, ca));
    if (issuer === undefined) return null;
    chain.push(issuer);
    if (isRoot(issuer)) return chain;
    last = issuer;
  }
  return null;
}

function isRoot(der: Uint8Array): boolean {
  return isIssuedBy(der, der);
}

function isIssuedBy(der: Uint8Array, by: Uint8Array): boolean {
  try {
    const issuer = new NodeCertificate(Buffer.from(by));
    const certificate = new NodeCertificate(Buffer.from(der));
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
