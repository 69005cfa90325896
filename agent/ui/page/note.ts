import { sha256 } from "@noble/hashes/sha2.js";
import { base64, joined, utf8 } from "./bytes.ts";
import { isSame } from "./tree.ts";

/**
 * Signed notes (c2sp.org/signed-note) that hold checkpoints (c2sp.org/tlog-checkpoint) with witnesses' cosignatures (c2sp.org/tlog-cosignature), read in the
 * browser. Signatures are judged by WebCrypto.
 */
const ED25519 = 0x01;
const COSIGNATURE = 0x04;
const KEY_ID_BYTES = 4;
const TIMESTAMP_BYTES = 8;
/** 9999-12-31: later is no time that anybody signed at. */
const MAX_SECONDS = 253_402_300_799;
const SIGNATURE_LINE = /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/u;

type Signature = { readonly name: string; readonly id: Uint8Array; readonly bytes: Uint8Array<ArrayBuffer> };
export type Head = {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** RFC 3339: the log's clock when it signed. */
  readonly time: string;
  readonly text: string;
  readonly signatures: readonly Signature[];
};

/** Null when it is no checkpoint of a log of ours. */
export function headOf(note: string): Head | null {
  const gap = note.lastIndexOf("\n\n");
  if (gap < 0 || !note.endsWith("\n")) return null;
  const text = note.slice(0, gap + 1);
  const [origin, size, root, time, end, ...more] = text.split("\n");
  const hash = root === undefined ? null : base64(root);
  const stamp = /^time (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/.exec(time ?? "")?.[1];
  if (origin === undefined || size === undefined || hash?.length !== 32 || stamp === undefined) return null;
  if (end !== "" || more.length > 0 || !/^(?:0|[1-9]\d{0,15})$/.test(size)) return null;
  const signatures: Signature[] = [];
  for (const line of note.slice(gap + 2, -1).split("\n")) {
    const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? [];
    const bytes = encoded === undefined ? null : base64(encoded);
    if (name === undefined || bytes === null || bytes.length <= KEY_ID_BYTES) return null;
    signatures.push({ name, id: bytes.slice(0, KEY_ID_BYTES), bytes: bytes.slice(KEY_ID_BYTES) });
  }
  return { origin, size: Number(size), root: hash, time: stamp, text, signatures };
}

function idOf(name: string, type: number, key: Uint8Array): Uint8Array {
  return sha256(joined(utf8(`${name}\n`), Uint8Array.of(type), key)).subarray(0, KEY_ID_BYTES);
}

/** Whether the log's key signed the head. A wrong signature under the key's name and id is no, whatever others say. */
export async function isSignedBy(head: Head, key: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const id = idOf(head.origin, ED25519, key);
  const ours = head.signatures.filter((one) => one.name === head.origin && isSame(one.id, id));
  const judged = await Promise.all(ours.map(({ bytes }) => isSignature(key, bytes, utf8(head.text))));
  return judged.length > 0 && judged.every(Boolean);
}

export type Witness = { readonly name: string; readonly key: Uint8Array<ArrayBuffer>; readonly id: Uint8Array };

/** The key of `name+id+base64`, as a witness publishes it; null when it is none that cosigns. */
export function witnessOf(verifier: string): Witness | null {
  const [name, hex, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(verifier)?.slice(1) ?? [];
  const bytes = encoded === undefined ? null : base64(encoded);
  if (name === undefined || bytes?.length !== 33 || bytes[0] !== COSIGNATURE) return null;
  const key = bytes.slice(1);
  const id = idOf(name, COSIGNATURE, key);
  return toHex(id) === hex ? { name, key, id } : null;
}

/** When the witness cosigned the head, in seconds since 1970, the newest time; null when it did not, or when one line of its is not good. */
export async function cosignedAt(head: Head, { name, key, id }: Witness): Promise<number | null> {
  let newest: number | null = null;
  for (const line of head.signatures) {
    if (line.name !== name || !isSame(line.id, id)) continue;
    if (line.bytes.length <= TIMESTAMP_BYTES) return null;
    const time = Number(new DataView(line.bytes.buffer).getBigUint64(line.bytes.byteOffset));
    if (time === 0 || time > MAX_SECONDS) return null;
    const signed = utf8(`cosignature/v1\ntime ${time}\n${head.text}`);
    if (!(await isSignature(key, line.bytes.slice(TIMESTAMP_BYTES), signed))) return null;
    newest = Math.max(newest ?? 0, time);
  }
  return newest;
}

/** Ed25519, RFC 8032. */
export async function isSignature(
  key: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (key.length !== 32 || signature.length !== 64) return false;
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, signature, signed);
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
