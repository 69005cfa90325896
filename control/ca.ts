import "reflect-metadata";
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { CERTIFICATE_LIFETIME_SECONDS, CLOCK_SKEW_SECONDS } from "../agent/limits.ts";
import { writeDurably } from "./files.ts";
import { Complaint } from "./terminal.ts";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
const ROOT_LIFETIME_MS = 3650 * DAY_MS;
const SERVER_LIFETIME_MS = 365 * DAY_MS;
const SERVER_RENEW_BEFORE_MS = 30 * DAY_MS;

/** The control plane's own keys: root CA, server certificate, token key. The command key is none of them. */
export type Authority = {
  readonly rootPem: string;
  readonly rootDer: string;
  /** Lower-case hex SHA-256 of the root's DER. */
  readonly rootSha256: string;
  readonly tokenKey: KeyObject;
  readonly server: { readonly key: string; readonly cert: string };
  /** A client certificate for `id` over the SubjectPublicKeyInfo (DER), and the root: base64 DER, leaf first. */
  issue(id: string, spki: Uint8Array): Promise<Issued>;
};
export type Issued = { readonly serial: string; readonly chain: readonly string[]; readonly notAfter: number };

/** Opens DIR/ca, and makes what is not there. `hosts`: names and addresses for the server's certificate; null to leave it alone. */
export async function openAuthority(directory: string, hosts: readonly string[]): Promise<Authority> {
  const folder = join(directory, "ca");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await makeRoot(folder);
  const key = await importKey(readFileSync(join(folder, "root.key"), "utf8"));
  const root = new x509.X509Certificate(readFileSync(join(folder, "root.pem"), "utf8"));
  await makeServer(folder, root, key, hosts);
  const rootPem = root.toString("pem");
  const serverPem = readFileSync(join(folder, "server.pem"), "utf8");
  return {
    ...readRoot(directory),
    // The root goes along in the chain: an agent's first connection compares its digest with the token's pin.
    server: { key: readFileSync(join(folder, "server.key"), "utf8"), cert: `${serverPem.trim()}\n${rootPem.trim()}\n` },
    issue: (id, spki) => issue(root, key, id, spki),
  };
}

/** What the commands beside `serve` need of DIR/ca: the root and the token key. */
export function readRoot(directory: string): Pick<Authority, "rootPem" | "rootDer" | "rootSha256" | "tokenKey"> {
  const folder = join(directory, "ca");
  if (!existsSync(join(folder, "root.pem")) || !existsSync(join(folder, "token.key")))
    throw new Complaint(
      3,
      `use ${directory}`,
      "it holds no control plane yet",
      "Start `reeve-control serve` on it once.",
    );
  const rootPem = readFileSync(join(folder, "root.pem"), "utf8");
  const der = new X509Certificate(rootPem).raw;
  return {
    rootPem,
    rootDer: der.toString("base64"),
    rootSha256: createHash("sha256").update(der).digest("hex"),
    tokenKey: createPrivateKey(readFileSync(join(folder, "token.key"))),
  };
}

async function makeRoot(folder: string): Promise<void> {
  // root.pem is written last: if we stop before it, the next start makes all of them anew, and nobody has seen these.
  if (existsSync(join(folder, "root.pem"))) return;
  const keys = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  const now = Date.now();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: "CN=reeve control plane root",
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
  const token = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  writeDurably(join(folder, "token.key"), String(token), 0o600);
  writeDurably(join(folder, "root.key"), await exportKey(keys.privateKey), 0o600);
  writeDurably(join(folder, "root.pem"), root.toString("pem"), 0o644);
}

async function makeServer(
  folder: string,
  root: x509.X509Certificate,
  rootKey: CryptoKey,
  hosts: readonly string[],
): Promise<void> {
  const wanted = [...new Set([...hosts, "localhost", "127.0.0.1"])];
  if (serverIsGood(folder, wanted)) return;
  const keys = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  const now = Date.now();
  const names = wanted.map((host) => ({ type: isIP(host) ? ("ip" as const) : ("dns" as const), value: host }));
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "CN=reeve control plane",
    issuer: root.subject,
    notBefore: new Date(now - CLOCK_SKEW_SECONDS * 1000),
    notAfter: new Date(now + SERVER_LIFETIME_MS),
    signingAlgorithm: ECDSA,
    publicKey: keys.publicKey,
    signingKey: rootKey,
    extensions: [
      ...(await leafExtensions(root, keys.publicKey, "1.3.6.1.5.5.7.3.1")),
      new x509.SubjectAlternativeNameExtension(names),
    ],
  });
  // The certificate last: a key without its certificate is made anew at the next start.
  writeDurably(join(folder, "server.key"), await exportKey(keys.privateKey), 0o600);
  writeDurably(join(folder, "server.pem"), leaf.toString("pem"), 0o644);
}

function serverIsGood(folder: string, hosts: readonly string[]): boolean {
  if (!existsSync(join(folder, "server.pem")) || !existsSync(join(folder, "server.key"))) return false;
  const leaf = new X509Certificate(readFileSync(join(folder, "server.pem")));
  const key = createPrivateKey(readFileSync(join(folder, "server.key")));
  if (!leaf.checkPrivateKey(key) || Date.parse(leaf.validTo) - Date.now() < SERVER_RENEW_BEFORE_MS) return false;
  const names = (leaf.subjectAltName ?? "").split(", ");
  return hosts.every((host) => names.includes(isIP(host) ? `IP Address:${host}` : `DNS:${host}`));
}

async function issue(root: x509.X509Certificate, rootKey: CryptoKey, id: string, spki: Uint8Array): Promise<Issued> {
  const publicKey = await crypto.subtle.importKey("spki", Buffer.from(spki), ECDSA, true, ["verify"]);
  const now = Math.floor(Date.now() / 1000);
  const notAfter = now + CERTIFICATE_LIFETIME_SECONDS;
  const serial = serialNumber();
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: "CN=reeve agent",
    issuer: root.subject,
    notBefore: new Date((now - CLOCK_SKEW_SECONDS) * 1000),
    notAfter: new Date(notAfter * 1000),
    signingAlgorithm: ECDSA,
    publicKey,
    signingKey: rootKey,
    extensions: [
      ...(await leafExtensions(root, publicKey, "1.3.6.1.5.5.7.3.2")),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: id }]),
    ],
  });
  const chain = [leaf, root].map((one) => Buffer.from(one.rawData).toString("base64"));
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

function importKey(pem: string): Promise<CryptoKey> {
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", new Uint8Array(der), ECDSA, false, ["sign"]);
}
