import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Complaint } from "./terminal.ts";

/** Reads a root CA's certificate, PEM or DER, as base64 DER. Throws a Complaint for one that no chain could lead to. */
export function readNewRoot(file: string, cannot: string): string {
  const bytes = readBytes(file, cannot);
  const because = faultOf(bytes);
  if (typeof because !== "string") return because.raw.toString("base64");
  throw new Complaint(3, cannot, `${file} ${because}`, "Name one root CA's certificate, PEM or DER.");
}

function readBytes(file: string, cannot: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    throw new Complaint(4, cannot, `${file} cannot be read (${code})`, "Name a file that this user may read.");
  }
}

function faultOf(bytes: Buffer): X509Certificate | string {
  if (bytes.toString("latin1").split("-----BEGIN CERTIFICATE-----").length > 2)
    return "holds more than one certificate";
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(bytes);
  } catch {
    return "holds no certificate";
  }
  if (!certificate.ca) return "is no CA's certificate";
  if (!certificate.verify(certificate.publicKey)) return "is not signed by its own key";
  const now = Date.now();
  if (Date.parse(certificate.validFrom) > now || Date.parse(certificate.validTo) < now) return "is not valid now";
  return certificate;
}
