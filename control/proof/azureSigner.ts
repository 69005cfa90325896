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

/** Who may have signed a signer's certificate: a CA that is known here, roots first. */
export type Ca = { readonly der: Uint8Array; readonly certificate: NodeCertificate; readonly root: boolean };

/** DER of roots and of the CAs below them. Throws what is no certificate. */
export function casOf(ders: readonly Uint8Array[]): readonly Ca[] {
  const cas = ders.map((der) => {
    const certificate = new NodeCertificate(Buffer.from(der));
    return { der, certificate, root: isIssuedBy(certificate, certificate) };
  });
  // A root goes before another certificate of the same CA.
  return cas.toSorted((a, b) => Number(b.root) - Number(a.root));
}

/** What is wrong with the way from a certificate (DER) to a root among these, or null. */
export function signerFault(der: Uint8Array, cas: readonly Ca[], nowMs: number): string | null {
  const chain = chainOf(der, cas);
  if (chain === null) return "its document's signer is of no CA that is known here";
  const roots = cas.filter(({ root }) => root).map((ca) => ca.der);
  const checked = checkChain(chain, roots, nowMs);
  return "bad" in checked ? `its document's signer has a certificate that does not hold: ${checked.bad}` : null;
}

/** Leaf first, root last; null when none of these leads to a root. */
function chainOf(der: Uint8Array, cas: readonly Ca[]): readonly Uint8Array[] | null {
  const chain = [der];
  let last = certificateIn(der);
  while (last !== null && chain.length < MAX_CHAIN) {
    const below = last;
    const issuer = cas.find(({ certificate }) => isIssuedBy(below, certificate));
    if (issuer === undefined) return null;
    chain.push(issuer.der);
    if (issuer.root) return chain;
    last = issuer.certificate;
  }
  return null;
}

function certificateIn(der: Uint8Array): NodeCertificate | null {
  try {
    return new NodeCertificate(Buffer.from(der));
  } catch {
    return null;
  }
}

function isIssuedBy(certificate: NodeCertificate, issuer: NodeCertificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
