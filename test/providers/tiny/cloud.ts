import "reflect-metadata";
import { createHash } from "node:crypto";
import { Pkcs10CertificateRequest, X509CertificateGenerator } from "@peculiar/x509";

/** A cloud that fits into one file: values by path. `changes`: the paths that were written, oldest first. */
export type Cloud = {
  get(path: string): Promise<string | null>;
  put(path: string, value: string): Promise<void>;
  readonly changes: readonly string[];
  /** What anyone could see without asking it. */
  peek(path: string): string | null;
};

export function makeCloud(): Cloud {
  const values = new Map([
    ["group/web", "1"],
    ["authority/main", "CN=Tiny"],
    ["zone/example.com", ""],
  ]);
  const changes: string[] = [];
  return {
    changes,
    peek: (path) => values.get(path) ?? null,
    get: async (path) => values.get(path) ?? null,
    async put(path, value) {
      changes.push(path);
      values.set(path, value);
    },
  };
}

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const key = crypto.subtle.generateKey(EC, false, ["sign", "verify"]);

/** The authority's signature under a request, base64 DER. */
export async function sign(csrDer: Uint8Array, serial: string): Promise<string> {
  const request = new Pkcs10CertificateRequest(new Uint8Array(csrDer));
  const { privateKey } = await key;
  const leaf = await X509CertificateGenerator.create({
    serialNumber: createHash("sha256").update(serial).digest("hex").slice(0, 16),
    issuer: "CN=Tiny",
    subject: request.subject,
    publicKey: request.publicKey,
    signingKey: privateKey,
    signingAlgorithm: EC,
  });
  return Buffer.from(leaf.rawData).toString("base64");
}
