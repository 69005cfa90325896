import "reflect-metadata";
import { X509Certificate as NodeCertificate } from "node:crypto";
import { SubjectAlternativeNameExtension, X509Certificate } from "@peculiar/x509";
import { certificateFault } from "./certificateFault.ts";
import { isStrictDer } from "./der.ts";

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
 * signatures, names, and what certificateFault says of each). `atMs`: the moment it must be valid
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
        certificateFault(certificate, index, atMs) ??
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
