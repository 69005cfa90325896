import "reflect-metadata";
import { X509Certificate as IndependentCertificate } from "node:crypto";
import { BasicConstraintsExtension, X509Certificate } from "@peculiar/x509";
import { CallFailed } from "./provider.ts";

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, in its order; none for an empty one. Throws CallFailed for anything else in it. */
export function certificatesIn(pem: string): X509Certificate[] {
  if (pem.replace(BLOCK, "").trim() !== "") throw unreadable("what is not a certificate stands among them");
  try {
    return (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
  } catch (error) {
    throw unreadable(String(error));
  }
}

function unreadable(words: string): CallFailed {
  return new CallFailed("certificate-unreadable", words, "none");
}

/**
 * What somebody else's certificates say; `otherwise` where their bytes do not decode. Extensions and times are decoded only once they are
 * looked at, and then anything may be thrown: an authority's bytes never end the agent.
 */
export function decoded<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

/** An authority's own certificate and those above it, each of which can be read as far as it is ever looked at. */
export function isAuthority(chain: readonly [X509Certificate, ...X509Certificate[]]): boolean {
  return decoded(() => {
    const timed = chain.every(({ notBefore, notAfter }) => notBefore.getTime() <= notAfter.getTime());
    return timed && chain[0].getExtension(BasicConstraintsExtension)?.ca === true && links(chain);
  }, false);
}

/** Each was signed by the next, by name and by key. The signatures are checked by a second implementation. */
export function links(chain: readonly X509Certificate[]): boolean {
  return chain.every((certificate, at) => {
    const issuer = chain[at + 1];
    return issuer === undefined || (certificate.issuer === issuer.subject && isSignedBy(certificate, issuer));
  });
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return independent(certificate).verify(independent(issuer).publicKey);
}

function independent(certificate: X509Certificate): IndependentCertificate {
  return new IndependentCertificate(Buffer.from(certificate.rawData));
}

export function sameChain(a: readonly X509Certificate[], b: readonly X509Certificate[]): boolean {
  return a.map(base64).join() === b.map(base64).join();
}

export function base64(certificate: X509Certificate): string {
  return Buffer.from(certificate.rawData).toString("base64");
}

export function pemOf(chain: readonly X509Certificate[]): string {
  return chain.map((certificate) => `${certificate.toString("pem").trim()}\n`).join("");
}
