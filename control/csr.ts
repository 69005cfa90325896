import "reflect-metadata";
import { createHash } from "node:crypto";
import * as x509 from "@peculiar/x509";

const SUBJECT_ALT_NAME = "2.5.29.17";
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";

/** `spki`: SubjectPublicKeyInfo, DER; `spkiSha256`: its digest in hex, by which a key is remembered. */
export type AgentCsr = { readonly spki: Uint8Array; readonly spkiSha256: string };

/**
 * Reads an agent's certificate request (PKCS #10, base64 DER). A string says why it is refused: it must be signed by its own P-256
 * key, and ask for `id` as its only name and for nothing else.
 */
export async function readAgentCsr(base64: string, id: string): Promise<AgentCsr | string> {
  const read = await readNamedCsr(base64);
  if (typeof read === "string") return read;
  return read.id === id ? read : `its only name must be the URI ${id}`;
}

/** The same, for whatever agent it names. */
export async function readNamedCsr(base64: string): Promise<(AgentCsr & { readonly id: string }) | string> {
  try {
    const bytes = Buffer.from(base64, "base64");
    if (bytes.toString("base64") !== base64) return "it is not base64";
    const csr = new x509.Pkcs10CertificateRequest(bytes);
    if (!isP256(csr)) return "its key is not P-256";
    if (!(await csr.verify())) return "its signature is not by its own key";
    if (csr.attributes.some((attribute) => attribute.type !== EXTENSION_REQUEST)) return "it has an unknown attribute";
    const [extension, ...more] = csr.extensions;
    if (extension === undefined || extension.type !== SUBJECT_ALT_NAME || more.length > 0)
      return "it must ask for one subjectAltName and no other extension";
    const names = new x509.SubjectAlternativeNameExtension(extension.rawData).names.items;
    if (names.length !== 1 || names[0]?.type !== "url") return "its only name must be one URI";
    const spki = new Uint8Array(csr.publicKey.rawData);
    return { spki, spkiSha256: createHash("sha256").update(spki).digest("hex"), id: names[0].value };
  } catch {
    // Whatever the parser stumbled over, these bytes are no request.
    return "it is not a certificate request";
  }
}

function isP256(csr: x509.Pkcs10CertificateRequest): boolean {
  const algorithm = csr.publicKey.algorithm as { name?: string; namedCurve?: string };
  return algorithm.name === "ECDSA" && algorithm.namedCurve === "P-256";
}
