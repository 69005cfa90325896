import { createHash, createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeRootCertificate } from "./certificates.ts";
import { makeFolderDurably, removeDurably, renameDurably, writeDurably } from "./files.ts";
import { Complaint } from "./terminal.ts";

/**
 * The root CAs in DIR/ca:
 *
 *     root.pem               the root in use; replacing this one file is the switch
 *     root.key               the first root's key, as the first start wrote it
 *     roots/SHA256.key .pem  every root there is, from the first `ca new-root` on; the .pem is written last
 *     roots/SHA256.dropped   the certificate of one that was dropped: old logs are still verified with it
 */
export type Root = {
  readonly pem: string;
  /** Base64. */
  readonly der: string;
  /** Lower-case hex, of the DER. */
  readonly sha256: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
};

/** As many as a trust statement can name (TrustClaims). */
const MAX_ROOTS = 8;

export function rootOf(pem: string): Root {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    throw new Complaint(
      3,
      "use the root CAs",
      "a certificate in DIR/ca cannot be read",
      "Bring DIR/ca back from its backup, as a whole.",
    );
  }
  return {
    pem,
    der: certificate.raw.toString("base64"),
    sha256: createHash("sha256").update(certificate.raw).digest("hex"),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}

/** The SHA-256 of a root as trust statements hold it (base64 DER). */
export function rootDigest(der: string): string {
  return createHash("sha256").update(Buffer.from(der, "base64")).digest("hex");
}

export function rootInUse(dir: string): Root {
  const path = join(dir, "ca", "root.pem");
  if (!existsSync(path))
    throw new Complaint(3, `use ${dir}`, "it holds no control plane yet", "Start `reeve-control serve` on it once.");
  return rootOf(readFileSync(path, "utf8"));
}

/** The one in use first, then those beside it, by their digests. */
export function liveRoots(dir: string): Root[] {
  const inUse = rootInUse(dir);
  return [inUse, ...filed(dir, "pem").filter((root) => root.sha256 !== inUse.sha256)];
}

/** Certificates only: their keys are gone. */
export function droppedRoots(dir: string): Root[] {
  return filed(dir, "dropped");
}

/** Those that a new cluster's first statement names: the one in use, and each newer one, for it is what comes next. */
export function firstRoots(dir: string): string[] {
  const [inUse, ...beside] = liveRoots(dir);
  return [inUse, ...beside]
    .filter((root) => root !== undefined)
    .filter((root) => root === inUse || root.notBefore >= (inUse?.notBefore ?? 0))
    .map((root) => root.der);
}

function filed(dir: string, kind: "pem" | "dropped"): Root[] {
  const folder = join(dir, "ca", "roots");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => new RegExp(`^[0-9a-f]{64}\\.${kind}$`).test(name))
    .sort()
    .map((name) => rootOf(readFileSync(join(folder, name), "utf8")));
}

/** PKCS #8, PEM. Throws a Complaint when there is none that fits. */
export function rootKey(dir: string, root: Root): string {
  const places = [join(dir, "ca", "roots", `${root.sha256}.key`), join(dir, "ca", "root.key")];
  const certificate = new X509Certificate(root.pem);
  for (const place of places) {
    if (!existsSync(place)) continue;
    const key = readFileSync(place, "utf8");
    if (isKeyOf(certificate, key)) return key;
  }
  throw new Complaint(
    3,
    `use the root ${root.sha256}`,
    "its private key is not in DIR/ca",
    "Bring DIR/ca back from its backup, as a whole.",
  );
}

/** A file that holds no key is nobody's. */
function isKeyOf(certificate: X509Certificate, pem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

/** Makes a root beside the one in use; nothing uses it yet. */
export async function newRoot(dir: string): Promise<Root> {
  const cannot = "make a new root";
  ownFolder(dir, cannot);
  const live = liveRoots(dir);
  if (live.length >= MAX_ROOTS)
    throw new Complaint(1, cannot, `there are ${live.length} already`, "Drop one: `reeve-control ca drop-root`.");
  const [inUse] = live;
  if (inUse === undefined) throw new Error("no root is in use");
  makeFolderDurably(join(dir, "ca", "roots"));
  removeRemains(dir);
  // The one in use moves in first, so that its key is still found by its digest when root.pem names another.
  keep(dir, inUse.pem, rootKey(dir, inUse));
  // A name of its own, so that nobody takes one root for the other by its name.
  const made = await makeRootCertificate(`reeve control plane root ${randomBytes(4).toString("hex")}`);
  keep(dir, made.pem, made.key);
  return rootOf(made.pem);
}

/** The key first: a key without its certificate is no root, and a certificate in this folder always has its key. */
function keep(dir: string, pem: string, key: string): void {
  const { sha256 } = rootOf(pem);
  const path = join(dir, "ca", "roots", sha256);
  if (existsSync(`${path}.pem`)) return;
  writeDurably(`${path}.key`, key, 0o600);
  writeDurably(`${path}.pem`, pem, 0o644);
}

/** The switch itself. If we stop before the rename in it, the old root is in use; after it, this one. */
export function putInUse(dir: string, root: Root): void {
  rootKey(dir, root);
  writeDurably(join(dir, "ca", "root.pem"), root.pem, 0o644);
}

/** From the first line on agents' certificates by it are not taken; its key goes, its certificate stays for old logs. */
export function putAway(dir: string, root: Root): void {
  const path = join(dir, "ca", "roots", root.sha256);
  if (existsSync(`${path}.pem`)) renameDurably(`${path}.pem`, `${path}.dropped`);
  // If we stop before or between these, the same command removes what is left.
  removeRemains(dir);
  const first = join(dir, "ca", "root.key");
  if (existsSync(first) && isKeyOf(new X509Certificate(root.pem), readFileSync(first, "utf8"))) removeDurably(first);
}

/** What a command that was killed left half written, and keys without a certificate: of no root, or of one that was dropped. */
function removeRemains(dir: string): void {
  const folder = join(dir, "ca", "roots");
  if (!existsSync(folder)) return;
  const names = readdirSync(folder);
  for (const name of names) {
    const alone = name.endsWith(".key") && !names.includes(name.replace(/key$/, "pem"));
    if (alone || name.endsWith(".new")) removeDurably(join(folder, name));
  }
}

/** Files that another user makes here could not be read by `serve`. */
export function ownFolder(dir: string, cannot: string): void {
  const folder = join(dir, "ca");
  if (!existsSync(folder)) rootInUse(dir);
  const owner = statSync(folder).uid;
  const us = process.getuid?.() ?? owner;
  if (owner !== us)
    throw new Complaint(
      4,
      cannot,
      `${folder} belongs to user ${owner}, and this is user ${us}`,
      `Run it as the user that serves: setpriv --reuid ${owner} --clear-groups reeve-control ca …`,
    );
}
