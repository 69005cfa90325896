import "reflect-metadata";
import { X509Certificate as Certificate, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { certificateFault } from "../wire/certificateFault.ts";

/** Whether a chain of certificates leads to an authority, by WebCrypto alone: the page of `audit ui` judges by the same code as the agent. */
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text; those that cannot be read are none. */
export function certificatesOf(pem: string): Certificate[] {
  return (pem.match(PEM) ?? []).flatMap((one) => {
    try {
      return [new Certificate(one)];
    } catch {
      return [];
    }
  });
}

/** The root, of the ones given, that the chain (leaf first) leads to by signatures and certificates that were good at `date`. */
export async function rootOfChain(
  chain: readonly Certificate[],
  roots: readonly Certificate[],
  date: number,
): Promise<Certificate | null> {
  for (const [at, certificate] of chain.entries()) {
    if (certificateFault(certificate, at, date) !== null) return null;
    for (const root of roots) {
      // A root that is itself in the chain ends it; being at place 0 it would be its own agent.
      if (at > 0 && root.equal(certificate)) return root;
      if (certificateFault(root, at + 1, date) === null && (await isSignedBy(certificate, root))) return root;
    }
    const issuer = chain[at + 1];
    if (issuer === undefined || !(await isSignedBy(certificate, issuer))) return null;
  }
  return null;
}

async function isSignedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
  if (certificate.issuer !== issuer.subject) return false;
  try {
    return await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true });
  } catch {
    // An issuer whose key is of another kind has not signed it.
    return false;
  }
}

/** The SPIFFE ID of a certificate: its only URI name; null when it has none or several. */
export function agentOf(certificate: Certificate): string | null {
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const [uri, ...more] = names.filter((name) => name.type === "url");
  return uri === undefined || more.length > 0 ? null : uri.value;
}
