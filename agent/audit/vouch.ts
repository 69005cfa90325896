import "reflect-metadata";
import { X509Certificate as Certificate } from "@peculiar/x509";
import { agentOf, certificatesOf, rootOfChain } from "./chain.ts";
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
 * at the line's time, and the leaf's key signed the binding. Returns who vouches, or why nobody does. `also`: a second moment, milliseconds
 * since 1970, at which all of it must be valid; null for none.
 */
export async function vouch(
  first: Naming,
  caPem: string,
  also: number | null = null,
): Promise<Vouched | { readonly not: string }> {
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
  if (also !== null && (await rootOfChain(chain, roots, also)) === null)
    return { not: `${name}'s certificate chain is not valid any more` };
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
