import "reflect-metadata";
import { createPrivateKey, type KeyObject, webcrypto } from "node:crypto";
import {
  type Extension,
  type JsonGeneralNames,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

export type KeyPair = {
  readonly pair: CryptoKeyPair;
  readonly key: KeyObject;
  /** PKCS #8. */
  readonly pem: string;
  readonly curve: string;
};

export async function newKey(curve = "P-256"): Promise<KeyPair> {
  const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: curve }, true, ["sign", "verify"]);
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", pair.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return { pair, key, pem: key.export({ format: "pem", type: "pkcs8" }).toString(), curve };
}

/** A request (RFC 2986), base64 DER: by default what an agent sends, its name as one URI. */
export async function requestOf(
  key: KeyPair,
  id: string,
  also: { readonly names?: JsonGeneralNames; readonly extensions?: readonly Extension[] } = {},
): Promise<string> {
  const names: JsonGeneralNames = [{ type: "url", value: id }, ...(also.names ?? [])];
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: key.pair,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension(names), ...(also.extensions ?? [])],
  });
  return Buffer.from(request.rawData).toString("base64");
}

/** A certificate that nobody but its own key vouches for, PEM. */
export async function selfSigned(key: KeyPair, id: string): Promise<string> {
  const made = await X509CertificateGenerator.createSelfSigned({
    keys: key.pair,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    name: "CN=nobody",
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [new SubjectAlternativeNameExtension([{ type: "url", value: id }])],
  });
  return made.toString("pem");
}
