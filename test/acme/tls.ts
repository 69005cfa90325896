import "reflect-metadata";
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export type Keys = CryptoKeyPair;
export type Made = { readonly certificate: X509Certificate; readonly keys: Keys };

export function newKeys(): Promise<Keys> {
  return crypto.subtle.generateKey(EC, true, ["sign", "verify"]);
}

/** Of a certificate that a test makes: what is left out is good. */
export type Wish = {
  readonly subject?: string;
  readonly keys?: Keys;
  readonly publicKey?: CryptoKey;
  readonly from?: number;
  readonly until?: number;
  /** Hexadecimal. */
  readonly serialNumber?: string;
  readonly extensions?: readonly Extension[];
};

/** Signed by `by`, by itself where there is nobody. Times are milliseconds from now. */
export async function certificate(by: Made | null, wish: Wish): Promise<Made> {
  const keys = wish.keys ?? (await newKeys());
  const subject = wish.subject ?? "CN=test";
  const made = await X509CertificateGenerator.create({
    serialNumber:
      wish.serialNumber ??
      Buffer.from(crypto.getRandomValues(new Uint8Array(12)))
        .toString("hex")
        .replace(/^./, "1"),
    subject,
    issuer: by?.certificate.subject ?? subject,
    notBefore: new Date(Date.now() + (wish.from ?? -60_000)),
    notAfter: new Date(Date.now() + (wish.until ?? DAY_MS)),
    publicKey: wish.publicKey ?? keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    signingAlgorithm: EC,
    extensions: [...(wish.extensions ?? [])],
  });
  return { certificate: made, keys };
}

const CA = [
  new BasicConstraintsExtension(true, undefined, true),
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
];

export function authority(by: Made | null, subject: string, wish: Wish = {}): Promise<Made> {
  return certificate(by, { subject, extensions: CA, ...wish });
}

export async function privatePem({ keys }: Made): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}

export function pem(...made: readonly { readonly certificate: X509Certificate }[]): string {
  return made.map(({ certificate: one }) => `${one.toString("pem").trim()}\n`).join("");
}

/** A root, and what a server on this machine shows under it. */
export async function serverTls(): Promise<{ root: string; cert: string; key: string }> {
  const root = await authority(null, "CN=TLS root");
  const names = new SubjectAlternativeNameExtension([
    { type: "dns", value: "localhost" },
    { type: "ip", value: "127.0.0.1" },
  ]);
  const server = await certificate(root, { subject: "CN=localhost", extensions: [names] });
  return { root: pem(root), cert: pem(server), key: await privatePem(server) };
}
