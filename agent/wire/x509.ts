import "reflect-metadata";
import { X509Certificate as NodeCertificate } from "node:crypto";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from "@peculiar/x509";
import { CLOCK_SKEW_SECONDS } from "../limits.ts";
import { isStrictDer } from "./der.ts";

const UNDERSTOOD = new Set(["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"]);
const MAX_CHAIN = 4;

/** A leaf whose chain to a trusted root was checked. */
export type CheckedLeaf = {
  /** The only SAN, when it is exactly one URI; else null. */
  readonly uri: string | null;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

/**
 * Checks a chain, leaf first and root last, against trusted roots by their bytes (RFC 5280 section 6, as far as reeve's chains go:
 * signatures, names, CA flags, path lengths, key usage, no critical extension that is not understood). `atMs`: the moment it must be valid
 * at; null leaves validity to the caller. Returns a short reason, in our own words, for what does not hold.
 */
export function checkChain(
  chain: readonly Uint8Array[],
  roots: readonly Uint8Array[],
  atMs: number | null,
): { readonly leaf: CheckedLeaf } | { readonly bad: string } {
  if (chain.length < 2 || chain.length > MAX_CHAIN) return { bad: "the chain has not 2 to 4 certificates" };
  if (!chain.every(isStrictDer)) return { bad: "a certificate is not DER" };
  const last = chain.at(-1);
  if (last === undefined || !roots.some((root) => Buffer.compare(root, last) === 0)) {
    return { bad: "the chain does not end in a trusted root" };
  }
  try {
    const certificates = chain.map((der) => new X509Certificate(new Uint8Array(der)));
    const nodes = chain.map((der) => new NodeCertificate(Buffer.from(der)));
    for (const [index, certificate] of certificates.entries()) {
      const issuer = nodes[Math.min(index + 1, nodes.length - 1)];
      const bad =
        faultOf(certificate, index, atMs) ??
        (issuer !== undefined && isIssuedBy(nodes[index], issuer) ? null : "a signature in the chain is wrong");
      if (bad !== null) return { bad };
    }
    const leaf = certificates[0];
    return leaf === undefined ? { bad: "no leaf" } : { leaf: leafFacts(leaf) };
  } catch {
    return { bad: "a certificate cannot be read" };
  }
}

function isIssuedBy(certificate: NodeCertificate | undefined, issuer: NodeCertificate): boolean {
  return certificate?.checkIssued(issuer) === true && certificate.verify(issuer.publicKey);
}

/** `below`: 0 for the leaf, else how many certificates stand below a CA. */
function faultOf(certificate: X509Certificate, below: number, atMs: number | null): string | null {
  if (atMs !== null && atMs + CLOCK_SKEW_SECONDS * 1000 < certificate.notBefore.getTime()) return "not yet valid";
  if (atMs !== null && atMs > certificate.notAfter.getTime()) return "expired";
  const oids = certificate.extensions.map((extension) => extension.type);
  if (new Set(oids).size !== oids.length) return "an extension stands twice";
  if (certificate.extensions.some((extension) => extension.critical && !UNDERSTOOD.has(extension.type))) {
    return "a critical extension is not understood";
  }
  const basic = certificate.getExtension(BasicConstraintsExtension);
  const usage = certificate.getExtension(KeyUsagesExtension);
  if (below === 0) return basic?.ca === true ? "the leaf is a CA" : null;
  if (basic?.ca !== true) return "an issuer is not a CA";
  if (basic.pathLength !== undefined && basic.pathLength < below - 1) return "the chain is longer than a CA allows";
  if (usage !== null && (usage.usages & KeyUsageFlags.keyCertSign) === 0) return "an issuer may not sign certificates";
  return null;
}

function leafFacts(leaf: X509Certificate): CheckedLeaf {
  const names = leaf.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const [only] = names;
  return {
    uri: names.length === 1 && only?.type === "url" ? only.value : null,
    spki: new Uint8Array(leaf.publicKey.rawData),
    serial: leaf.serialNumber.toLowerCase(),
    notBeforeMs: leaf.notBefore.getTime(),
    notAfterMs: leaf.notAfter.getTime(),
  };
}

/** One PEM block (RFC 7468) of a certificate's DER. */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
