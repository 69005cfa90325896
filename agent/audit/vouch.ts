import "reflect-metadata";
import {
  BasicConstraintsExtension,
  X509Certificate as Certificate,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import { keyOfEpoch, type SegmentEntry } from "./logKeys.ts";
import type { EpochEntry } from "./memory.ts";
import { verifyLogKeyBinding } from "./note.ts";
import { timeOf } from "./time.ts";

const NO_KEY = { key: "", from: -1 };

export type Vouched = { readonly by: string; readonly sha256: string };

/** A line that names a log key, and who vouches for it: entry 0, or a segment's first. */
export type Naming = EpochEntry | SegmentEntry;

/**
 * Whether a CA vouches for a log key: the line's chain leads to it, its leaf is of the agent that the origin names, all were valid
 * at the line's time, and the leaf's key signed the binding. Returns who vouches, or why nobody does.
 */
export async function vouch(first: Naming, caPem: string): Promise<Vouched | { readonly not: string }> {
  const name = `entry ${first.index}`;
  const roots = certificatesOf(caPem);
  if (roots.length === 0) return { not: "the CA file holds no certificate" };
  const date = timeOf(first.time);
  if (date === null) return { not: `${name} has no time` };
  let chain: Certificate[];
  try {
    chain = first.chain.map((der) => new Certificate(Buffer.from(der, "base64")));
  } catch {
    return { not: `${name}'s certificate chain cannot be read` };
  }
  const [leaf] = chain;
  if (leaf === undefined) return { not: `${name} has no certificate` };
  const root = await rootOfChain(chain, roots, date);
  if (root === null)
    return { not: `${name}'s certificate chain does not lead to this CA, or was not valid at its time` };
  const agent = agentOf(leaf);
  if (agent === null || first.origin !== `${agent}/epoch/${first.epoch}`)
    return { not: `${name}'s certificate is of ${agent ?? "nobody"}, and the log is ${first.origin}` };
  const { key, from } = (first.kind === "epoch" ? keyOfEpoch(first) : { key: first.key, from: first.index }) ?? NO_KEY;
  if (!verifyLogKeyBinding(new Uint8Array(leaf.publicKey.rawData), first.origin, key, from, first.signature))
    return { not: `${name}'s certificate did not sign the log's key` };
  return { by: root.subject, sha256: hex(await root.getThumbprint("SHA-256")) };
}

function hex(bytes: ArrayBuffer): string {
  return Buffer.from(bytes).toString("hex");
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text; those that cannot be read are none. */
export function certificatesOf(pem: string): Certificate[] {
  return (pem.match(PEM) ?? []).flatMap((one) => {
    try {
      return [new Certificate(one)];
    } catch {
      return [];
    }
  });
}

/** The root, of the ones given, that the chain (leaf first) leads to by signatures that were valid at `date`. */
async function rootOfChain(
  chain: readonly Certificate[],
  roots: readonly Certificate[],
  date: number,
): Promise<Certificate | null> {
  for (const [at, certificate] of chain.entries()) {
    if (!wasValid(certificate, date) || (at > 0 && !isAuthority(certificate))) return null;
    for (const root of roots) {
      if (!wasValid(root, date) || !isAuthority(root)) continue;
      // A root that is itself in the chain ends it; being at place 0 it would be its own agent.
      if (at > 0 && root.equal(certificate)) return root;
      if (await isSignedBy(certificate, root)) return root;
    }
    const issuer = chain[at + 1];
    if (issuer === undefined || !(await isSignedBy(certificate, issuer))) return null;
  }
  return null;
}

function wasValid(certificate: Certificate, date: number): boolean {
  return certificate.notBefore.getTime() <= date && date <= certificate.notAfter.getTime();
}

function isAuthority(certificate: Certificate): boolean {
  return certificate.getExtension(BasicConstraintsExtension)?.ca === true;
}

async function isSignedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
  if (certificate.issuer !== issuer.subject) return false;
  try {
    return await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true });
  } catch {
    // An issuer whose key is of another kind has not signed it.
    return false;
  }
}

/** The SPIFFE ID of a certificate: its only URI name; null when it has none or several. */
function agentOf(certificate: Certificate): string | null {
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const [uri, ...more] = names.filter((name) => name.type === "url");
  return uri === undefined || more.length > 0 ? null : uri.value;
}
