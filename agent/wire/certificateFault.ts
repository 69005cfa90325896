import "reflect-metadata";
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, type X509Certificate } from "@peculiar/x509";
import { CLOCK_SKEW_SECONDS } from "../limits.ts";

/** keyUsage, subjectAltName, basicConstraints, extKeyUsage: the others may not be critical. */
const UNDERSTOOD = new Set(["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"]);
/** nameConstraints, policyConstraints, inhibitAnyPolicy: they take something away, so they are not passed over where they are not critical. */
const CONSTRAINTS = new Set(["2.5.29.30", "2.5.29.36", "2.5.29.54"]);
const CURVES = new Set(["P-256", "P-384", "P-521"]);
const RSA_MIN_BITS = 2048;

/**
 * What is wrong with one certificate of a chain by itself, in our own words, or null: RFC 5280 section 6 as far as reeve's chains go, who
 * signed it left to the caller. `below`: 0 for the leaf, else how many certificates stand below a CA. `atMs`: when it must be valid; null
 * leaves that to the caller. WebCrypto's parts of the library alone: the page of `audit ui` judges by it too.
 */
export function certificateFault(certificate: X509Certificate, below: number, atMs: number | null): string | null {
  if (atMs !== null && atMs + CLOCK_SKEW_SECONDS * 1000 < certificate.notBefore.getTime()) return "not yet valid";
  if (atMs !== null && atMs > certificate.notAfter.getTime()) return "expired";
  if (!isTakenKey(certificate)) return "a key of a kind or length that is not taken";
  const oids = certificate.extensions.map((extension) => extension.type);
  if (new Set(oids).size !== oids.length) return "an extension stands twice";
  if (certificate.extensions.some((extension) => extension.critical && !UNDERSTOOD.has(extension.type))) {
    return "a critical extension is not understood";
  }
  if (oids.some((oid) => CONSTRAINTS.has(oid))) return "a constraint is not understood";
  const basic = certificate.getExtension(BasicConstraintsExtension);
  const usage = certificate.getExtension(KeyUsagesExtension);
  if (below === 0) return basic?.ca === true ? "the leaf is a CA" : null;
  if (basic?.ca !== true) return "an issuer is not a CA";
  if (basic.pathLength !== undefined && basic.pathLength < below - 1) return "the chain is longer than a CA allows";
  if (usage !== null && (usage.usages & KeyUsageFlags.keyCertSign) === 0) return "an issuer may not sign certificates";
  return null;
}

type Algorithm = { readonly name: string; readonly namedCurve?: string; readonly modulusLength?: number };

/** ECDSA on the three NIST curves, Ed25519, RSA of 2048 bits and more. */
function isTakenKey({ publicKey }: X509Certificate): boolean {
  const { name, namedCurve, modulusLength }: Algorithm = publicKey.algorithm;
  if (namedCurve !== undefined && name === "ECDSA") return CURVES.has(namedCurve);
  if (modulusLength !== undefined) return modulusLength >= RSA_MIN_BITS;
  return name === "Ed25519" || (name === "EdDSA" && namedCurve === "Ed25519");
}
