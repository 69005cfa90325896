import { X509Certificate } from "@peculiar/x509";
import { agentOf, certificatesOf, rootOfChain } from "../../audit/chain.ts";
import { canonical } from "../../wire/canonical.ts";
import { base64, base64url, toBase64, utf8 } from "./bytes.ts";
import { isSignature, toHex } from "./note.ts";
import { rootOf, treeOf } from "./tree.ts";

/**
 * Which key may sign heads of which sizes, and who vouches for it: entry 0 names the first key, the first line of a later segment the next one. The only
 * place of the page that knows how keys lie in entries.
 */
export type KeyRange = {
  readonly origin: string;
  readonly key: string;
  /** The first index of the range: heads of more entries than that are this key's, up to the next one's `from`. */
  readonly from: number;
  readonly time: string;
  readonly epoch: number;
  readonly chain: readonly string[];
  readonly signature: string;
};
/** The first line of a segment, as far as it is about keys and tree. */
type Opening = {
  readonly kind: string;
  readonly index: number;
  readonly time: string;
  readonly epoch: number;
  readonly origin: string;
  readonly chain: readonly string[];
  readonly signature: string;
  readonly log_keys?: readonly { readonly key: string; readonly from: number }[];
  readonly key?: string;
  readonly peaks?: readonly string[];
  readonly before?: { readonly key: string; readonly from: number } | string | null;
  readonly handed?: string;
};

/** A segment's first line, or null when it names no key. */
export function openingOf(line: string): Opening | null {
  try {
    const entry = JSON.parse(line) as Opening;
    return entry.kind === "epoch" || entry.kind === "segment" ? entry : null;
  } catch {
    return null;
  }
}

export function rangeOf({ log_keys, key, index, origin, time, epoch, chain, signature }: Opening): KeyRange | null {
  const named = log_keys?.[0] ?? (key === undefined ? undefined : { key, from: index });
  return named === undefined ? null : { ...named, origin, time, epoch, chain, signature };
}

/** The peaks of the tree before a segment; null when its first line does not name them. */
export function peaksOf({ peaks }: Opening): Uint8Array[] | null {
  const bytes = peaks?.map((peak) => base64(peak));
  return bytes === undefined || bytes.includes(null) ? null : (bytes as Uint8Array[]);
}

/** Whether the key before handed over to the one that a segment's first line names, with the root of all entries before. */
export async function isHandedOver(before: KeyRange, opening: Opening): Promise<boolean> {
  const { before: named, key, handed, origin, index } = opening;
  const older = base64(before.key);
  const signature = base64(handed ?? "");
  if (named === null || typeof named !== "object" || older === null || signature === null) return false;
  if (named.key !== before.key || named.from !== before.from || origin !== before.origin || index <= before.from)
    return false;
  const peaks = peaksOf(opening);
  const tree = peaks === null ? null : treeOf(index, peaks);
  if (tree === null) return false;
  return isSignature(older, signature, utf8(`reeve log key\n${origin}\n${index}\n${key}\n${toBase64(rootOf(tree))}\n`));
}

/** The range whose key must have signed a head of this size. */
export function rangeFor(ranges: readonly KeyRange[], size: number): KeyRange | null {
  return ranges.findLast(({ from }) => from < size) ?? null;
}

export type Vouched = { readonly by: string; readonly sha256: string };

/**
 * Who vouches for a log's key: the chain leads to a CA of `pem`, was valid then, is of the agent that the origin names, and its leaf's key signed the
 * binding (ECDSA P-256). Else why nobody does.
 */
export async function vouchFor(range: KeyRange, pem: string): Promise<Vouched | { readonly not: string }> {
  const roots = certificatesOf(pem);
  if (roots.length === 0) return { not: "the CA file holds no certificate" };
  let chain: X509Certificate[];
  try {
    chain = range.chain.map((der) => new X509Certificate(base64(der) ?? new Uint8Array()));
  } catch {
    return { not: "the certificate chain beside the key cannot be read" };
  }
  const [leaf] = chain;
  if (leaf === undefined) return { not: "there is no certificate beside the key" };
  const root = await rootOfChain(chain, roots, Date.parse(range.time));
  if (root === null) return { not: "the certificate chain does not lead to this CA, or was not valid then" };
  const agent = agentOf(leaf);
  if (agent === null || range.origin !== `${agent}/epoch/${range.epoch}`)
    return { not: `the certificate is of ${agent ?? "nobody"}, and the log is ${range.origin}` };
  if (!(await isBound(range, leaf))) return { not: "the certificate did not sign the log's key" };
  return { by: root.subject, sha256: toHex(new Uint8Array(await root.getThumbprint("SHA-256"))) };
}

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;

async function isBound({ from, key, origin, signature }: KeyRange, leaf: X509Certificate): Promise<boolean> {
  const bytes = base64url(signature);
  if (bytes?.length !== 64) return false;
  try {
    const publicKey = await crypto.subtle.importKey("spki", leaf.publicKey.rawData, P256, false, ["verify"]);
    const signed = utf8(canonical({ from, key, origin }));
    return await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, publicKey, bytes, signed);
  } catch {
    // A key of another kind has signed nothing.
    return false;
  }
}
