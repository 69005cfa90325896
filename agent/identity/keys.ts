import "reflect-metadata";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, webcrypto } from "node:crypto";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";
import type { LogKey } from "./identity.ts";
import type { Asking } from "./store.ts";

const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A new P-256 key and a request (RFC 2986) with an empty subject and the SPIFFE ID as its only name. */
export async function newAsking(agentId: string): Promise<Asking> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: P256,
    extensions: [new SubjectAlternativeNameExtension([{ type: "url", value: agentId }])],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  return { key: pemOf(key), csr: Buffer.from(request.rawData).toString("base64") };
}

function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}

/** A new Ed25519 key for the log, PKCS #8 PEM. */
export function newLogKeyPem(): string {
  return pemOf(generateKeyPairSync("ed25519").privateKey);
}

export function logKeyOf(pem: string): LogKey {
  const privateKey = createPrivateKey(pem);
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (typeof x !== "string") throw new TypeError("the log's key is not Ed25519");
  return { privateKey, x: new Uint8Array(Buffer.from(x, "base64url")) };
}

/** DER of the SubjectPublicKeyInfo of a private key. */
export function spkiOf(pem: string): Uint8Array {
  return new Uint8Array(createPublicKey(createPrivateKey(pem)).export({ format: "der", type: "spki" }));
}

/** ECDSA over SHA-256, IEEE P1363 form: 64 bytes. */
export function signWith(pem: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(sign("sha256", bytes, { key: createPrivateKey(pem), dsaEncoding: "ieee-p1363" }));
}
