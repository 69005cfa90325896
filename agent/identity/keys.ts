import "reflect-metadata";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, webcrypto } from "node:crypto";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "@peculiar/x509";
import type { LogKeys } from "../audit/logKeys.ts";
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

/** `publicKey`: the 32 bytes in base64. Throws TypeError on a key of another kind. */
export type LogKey = { readonly privateKey: KeyObject; readonly publicKey: string };

export function logKeyOf(pem: string): LogKey {
  const privateKey = createPrivateKey(pem);
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (typeof x !== "string" || privateKey.asymmetricKeyType !== "ed25519")
    throw new TypeError("the log's key is not Ed25519");
  return { privateKey, publicKey: Buffer.from(x, "base64url").toString("base64") };
}

/** What holds the log's keys durably. */
type Keeper = {
  stored(): { readonly log_key: string; readonly next_log_key: string | null };
  /** Durable when it returns. */
  save(keys: { readonly log_key: string; readonly next_log_key: string | null }): void;
};

export function logKeysOf({ stored, save }: Keeper): LogKeys {
  return {
    get current() {
      return logKeyOf(stored().log_key).publicKey;
    },
    privateKey(publicKey) {
      const { log_key, next_log_key } = stored();
      const held = [log_key, ...(next_log_key === null ? [] : [next_log_key])].map(logKeyOf);
      return held.find((key) => key.publicKey === publicKey)?.privateKey ?? null;
    },
    next() {
      const { log_key, next_log_key } = stored();
      const next = next_log_key ?? newLogKeyPem();
      if (next_log_key === null) save({ log_key, next_log_key: next });
      return logKeyOf(next).publicKey;
    },
    handOver() {
      const { next_log_key } = stored();
      if (next_log_key === null) throw new Error("there is no next log key");
      save({ log_key: next_log_key, next_log_key: null });
    },
  };
}

/** DER of the SubjectPublicKeyInfo of a private key. */
export function spkiOf(pem: string): Uint8Array {
  return new Uint8Array(createPublicKey(createPrivateKey(pem)).export({ format: "der", type: "spki" }));
}

/** ECDSA over SHA-256, IEEE P1363 form: 64 bytes. */
export function signWith(pem: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(sign("sha256", bytes, { key: createPrivateKey(pem), dsaEncoding: "ieee-p1363" }));
}
