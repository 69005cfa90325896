import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { Entry } from "./entry.ts";
import type { EpochEntry } from "./memory.ts";
import { rootOfTree, treeOf } from "./tree.ts";

/**
 * Each segment has a log key of its own, bound to the indexes from its segment's first on. It signs heads whose newest entry has such an
 * index, up to where its successor's range begins, and nothing else: who holds a later key cannot sign anew what was signed before.
 */
export type LogKeyRange = {
  readonly origin: string;
  /** Ed25519, 32 bytes in base64. */
  readonly key: string;
  /** The first index of the range: the first head that the key may sign has one entry more than that. */
  readonly from: number;
};
/** The log's private keys: one, and while one segment follows another its successor. Public keys: 32 bytes in base64. */
export type LogKeys = {
  /** The key that a new log begins with. */
  readonly current: string;
  /** Null when that key is not, or no longer, held. */
  privateKey(publicKey: string): KeyObject | null;
  /** Makes the next key, durable when it returns; the same one until `handOver`. */
  next(): string;
  /** The next key is the current one from now on, and the older one is destroyed; durable when it returns. */
  handOver(): void;
};

export type SegmentEntry = Extract<Entry, { kind: "segment" }>;

/** RFC 8410 section 4: what stands before a raw Ed25519 key. */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

/** The key that entry 0 names. Who vouches for it is vouch()'s to say. */
export function keyOfEpoch({ origin, log_keys }: EpochEntry): LogKeyRange | null {
  const [first] = log_keys;
  return first === undefined ? null : { origin, key: first.key, from: first.from };
}

/** `from`: the first index of the new key's range. `root`: of the tree of that many entries; what came before is the older key's to vouch for. */
export type Handover = LogKeyRange & { readonly root: Buffer };

/** What the older key signs when it hands over. */
export function handoverText({ origin, from, key, root }: Handover): Uint8Array {
  return Buffer.from(`reeve log key\n${origin}\n${from}\n${key}\n${root.toString("base64")}\n`, "utf8");
}

/** The older key's signature over a handover: Ed25519, base64. */
export function signHandover(handover: Handover, older: KeyObject): string {
  return sign(null, handoverText(handover), older).toString("base64");
}

/** The key that a segment's first line names, or why the key before did not hand over to it. The CA's word for it is vouch()'s. */
export function successorOf(before: LogKeyRange, entry: SegmentEntry): LogKeyRange | { readonly fault: string } {
  if (entry.origin !== before.origin) return { fault: `it is of the log ${entry.origin}` };
  if (entry.before.key !== before.key || entry.before.from !== before.from)
    return { fault: "it names another key before it than the one that signed until here" };
  if (entry.index <= before.from || entry.key === before.key) return { fault: "it hands over to no later key" };
  const key = publicKeyOf(before.key);
  const signature = Buffer.from(entry.handed, "base64");
  const root = rootBefore(entry);
  if (root === null) return { fault: `its frontier is not of a tree of ${entry.index} entries` };
  const next = { origin: entry.origin, key: entry.key, from: entry.index };
  const text = handoverText({ ...next, root });
  if (key === null || signature.toString("base64") !== entry.handed || !verify(null, text, key, signature))
    return { fault: "the key before it did not hand over to its key, at these entries" };
  return next;
}

function rootBefore({ index, peaks }: SegmentEntry): Buffer | null {
  try {
    return rootOfTree(treeOf({ size: index, peaks }));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Whether a key may sign a head of `size` entries, as far as its own range says; a successor's `from` is its end. */
export function maySign({ from }: LogKeyRange, size: number, successorFrom: number | null = null): boolean {
  return size > from && (successorFrom === null || size <= successorFrom);
}

function publicKeyOf(base64: string): KeyObject | null {
  const raw = Buffer.from(base64, "base64");
  if (raw.length !== 32 || raw.toString("base64") !== base64) return null;
  return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
}
