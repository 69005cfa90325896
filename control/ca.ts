import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import {
  type Issued,
  type Issuer,
  issueClientCertificate,
  issuerOf,
  makeRootCertificate,
  makeServerCertificate,
} from "./certificates.ts";
import { makeFolderDurably, writeDurably } from "./files.ts";
import { liveRoots, type Root, rootInUse, rootKey } from "./roots.ts";
import { Complaint } from "./terminal.ts";

const SERVER_RENEW_BEFORE_MS = 30 * 86_400_000;

/** The control plane's own keys: root CA, server certificate, token key. The command key is none of them. */
export type Authority = {
  readonly rootPem: string;
  /** Base64. */
  readonly rootDer: string;
  /** Lower-case hex SHA-256 of the root's DER. */
  readonly rootSha256: string;
  readonly tokenKey: KeyObject;
  readonly server: { readonly key: string; readonly cert: string };
  /** PEM of every root that an agent's certificate may come from: the one in use and those beside it. */
  readonly clientRoots: readonly string[];
  /** A client certificate for `id` over the SubjectPublicKeyInfo (DER), and the root: base64 DER, leaf first. */
  issue(id: string, spki: Uint8Array): Promise<Issued>;
};

/**
 * Opens DIR/ca, and makes what is not there. `hosts`: names and addresses for the server's certificate. After `ca use-root` the server's
 * certificate is of another root than the one in use: it is made anew here.
 */
export async function openAuthority(directory: string, hosts: readonly string[]): Promise<Authority> {
  const folder = join(directory, "ca");
  makeFolderDurably(folder);
  await makeFirstRoot(folder);
  const root = rootInUse(directory);
  const issuer = await issuerOf(root.pem, rootKey(directory, root));
  await makeServer(folder, root, issuer, hosts);
  const serverPem = readFileSync(join(folder, "server.pem"), "utf8");
  return {
    ...readRoot(directory),
    // The root goes along in the chain: an agent's first connection compares its digest with the token's pin.
    server: {
      key: readFileSync(join(folder, "server.key"), "utf8"),
      cert: `${serverPem.trim()}\n${root.pem.trim()}\n`,
    },
    clientRoots: liveRoots(directory).map((one) => one.pem),
    issue: (id, spki) => issueClientCertificate(issuer, id, spki),
  };
}

/** What the commands beside `serve` need of DIR/ca: the root in use and the token key. */
export function readRoot(directory: string): Pick<Authority, "rootPem" | "rootDer" | "rootSha256" | "tokenKey"> {
  const folder = join(directory, "ca");
  if (!existsSync(join(folder, "root.pem")) || !existsSync(join(folder, "token.key")))
    throw new Complaint(
      3,
      `use ${directory}`,
      "it holds no control plane yet",
      "Start `reeve-control serve` on it once.",
    );
  const root = rootInUse(directory);
  return {
    rootPem: root.pem,
    rootDer: root.der,
    rootSha256: root.sha256,
    tokenKey: createPrivateKey(readFileSync(join(folder, "token.key"))),
  };
}

async function makeFirstRoot(folder: string): Promise<void> {
  // root.pem is written last: if we stop before it, the next start makes all of them anew, and nobody has seen these.
  if (existsSync(join(folder, "root.pem"))) return;
  const root = await makeRootCertificate("reeve control plane root");
  const token = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  writeDurably(join(folder, "token.key"), String(token), 0o600);
  writeDurably(join(folder, "root.key"), root.key, 0o600);
  writeDurably(join(folder, "root.pem"), root.pem, 0o644);
}

/** Sees to it that FOLDER/server.key and server.pem are there, by this root, for all these names, and good for a month. */
export async function makeServer(
  folder: string,
  root: Pick<Root, "pem">,
  issuer: Issuer,
  hosts: readonly string[],
): Promise<void> {
  const wanted = [...new Set([...hosts, "localhost", "127.0.0.1"])];
  if (serverIsGood(folder, root, wanted)) return;
  const made = await makeServerCertificate(issuer, wanted);
  // The certificate last: a key without its certificate is made anew at the next start.
  writeDurably(join(folder, "server.key"), made.key, 0o600);
  writeDurably(join(folder, "server.pem"), made.pem, 0o644);
}

function serverIsGood(folder: string, root: Pick<Root, "pem">, hosts: readonly string[]): boolean {
  if (!existsSync(join(folder, "server.pem")) || !existsSync(join(folder, "server.key"))) return false;
  const leaf = new X509Certificate(readFileSync(join(folder, "server.pem")));
  const key = createPrivateKey(readFileSync(join(folder, "server.key")));
  if (!leaf.checkPrivateKey(key) || Date.parse(leaf.validTo) - Date.now() < SERVER_RENEW_BEFORE_MS) return false;
  if (!leaf.verify(new X509Certificate(root.pem).publicKey)) return false;
  const names = (leaf.subjectAltName ?? "").split(", ");
  return hosts.every((host) => names.includes(isIP(host) ? `IP Address:${host}` : `DNS:${host}`));
}
