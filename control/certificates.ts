import "reflect-metadata";
import { createPrivateKey, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { CERTIFICATE_LIFETIME_SECONDS, CLOCK_SKEW_SECONDS } from "../agent/limits.ts";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
const ROOT_LIFETIME_MS = 3650 * DAY_MS;
const SERVER_LIFETIME_MS = 365 * DAY_MS;

/** A certificate and its private key (PKCS #8), both PEM. */
export type KeyAndCertificate = { readonly key: string; readonly pem: string };
/** A root that signs: its key is in memory, not exportable. */
export type Issuer = { readonly certificate: x509.X509Certificate; readonly key: CryptoKey };
export type Issued = { readonly serial: string; readonly chain: readonly string[]; readonly notAfter: number };

/** A root CA of its own key. `name`: the subject's common name; roots that live side by side have names of their own. */
export async function makeRootCertificate(name: string): Promise<KeyAndCertificate> {
  const keys = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  const now = Date.now();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    notBefore: new Date(now - CLOCK_SKEW_SECONDS * 1000),
    notAfter: new Date(now + ROOT_LIFETIME_MS),
    signingAlgorithm: ECDSA,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await exportKey(keys.privateKey), pem: root.toString("pem") };
}

/** The listeners' certificate, for these names and addresses. */
export async function makeServerCertificate(root: Issuer, hosts: readonly string[]): Promise<KeyAndCertificate> {
  const keys = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  const now = Date.now();
  const names = hosts.map((host) => ({ type: isIP(host) ? ("ip" as const) : ("dns" as const), value: host }));
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "CN=reeve control plane",
    issuer: root.certificate.subject,
    notBefore: new Date(now - CLOCK_SKEW_SECONDS * 1000),
    notAfter: new Date(now + SERVER_LIFETIME_MS),
    signingAlgorithm: ECDSA,
    publicKey: keys.publicKey,
    signingKey: root.key,
    extensions: [
      ...(await leafExtensions(root.certificate, keys.publicKey, "1.3.6.1.5.5.7.3.1")),
      new x509.SubjectAlternativeNameExtension(names),
    ],
  });
  return { key: await exportKey(keys.privateKey), pem: leaf.toString("pem") };
}

/** A client certificate for `id` over the SubjectPublicKeyInfo (DER), and the root: base64 DER, leaf first. */
export async function issueClientCertificate(root: Issuer, id: string, spki: Uint8Array): Promise<Issued> {
  const publicKey = await crypto.subtle.importKey("spki", Buffer.from(spki), ECDSA, true, ["verify"]);
  const now = Math.floor(Date.now() / 1000);
  const notAfter = now + CERTIFICATE_LIFETIME_SECONDS;
  const serial = serialNumber();
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: "CN=reeve agent",
    issuer: root.certificate.subject,
    notBefore: new Date((now - CLOCK_SKEW_SECONDS) * 1000),
    notAfter: new Date(notAfter * 1000),
    signingAlgorithm: ECDSA,
    publicKey,
    signingKey: root.key,
    extensions: [
      ...(await leafExtensions(root.certificate, publicKey, "1.3.6.1.5.5.7.3.2")),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: id }]),
    ],
  });
  const chain = [leaf, root.certificate].map((one) => Buffer.from(one.rawData).toString("base64"));
  return { serial, chain, notAfter };
}

async function leafExtensions(
  root: x509.X509Certificate,
  publicKey: CryptoKey,
  usage: string,
): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([usage]),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(root),
  ];
}

/** 16 random bytes in hex, positive and without a leading zero (RFC 5280 section 4.1.2.2), so that it has one spelling. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

async function exportKey(key: CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

export async function issuerOf(pem: string, key: string): Promise<Issuer> {
  const der = createPrivateKey(key).export({ type: "pkcs8", format: "der" });
  return {
    certificate: new x509.X509Certificate(pem),
    key: await crypto.subtle.importKey("pkcs8", new Uint8Array(der), ECDSA, false, ["sign"]),
  };
}
