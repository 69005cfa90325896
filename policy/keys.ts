import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { MAX_SSH_APPLICATION_BYTES } from "./limits.ts";

/** The forms of public keys that a policy holds. A key has one spelling, so that one text is one key. */

/** What stands behind `ssh-ed25519 AAAA…`. */
export type SshKey = {
  readonly type: string;
  /** The public key itself: 32 bytes of Ed25519, an uncompressed point of ECDSA. The same point is the same private key. */
  readonly point: Uint8Array;
  /** What a FIDO key was made for, such as `ssh:`; null when the key is none. */
  readonly application: Uint8Array | null;
  /** What the key's signatures are over; null is Ed25519, which hashes by itself. */
  readonly digest: Curve["digest"];
  readonly object: KeyObject;
};

type Curve = {
  readonly jwk: "Ed25519" | "P-256" | "P-384" | "P-521";
  /** RFC 5656 section 10.1; an Ed25519 key does not name its curve. */
  readonly name: string | null;
  readonly bytes: number;
  /** RFC 5656 section 6.2.1. */
  readonly digest: "sha256" | "sha384" | "sha512" | null;
};
const ED25519: Curve = { jwk: "Ed25519", name: null, bytes: 32, digest: null };
const P256: Curve = { jwk: "P-256", name: "nistp256", bytes: 65, digest: "sha256" };
const P384: Curve = { jwk: "P-384", name: "nistp384", bytes: 97, digest: "sha384" };
const P521: Curve = { jwk: "P-521", name: "nistp521", bytes: 133, digest: "sha512" };

/** RFC 8709 section 4, RFC 5656 section 3.1, OpenSSH PROTOCOL.u2f. A FIDO key ends with its application. */
const SSH_KINDS: ReadonlyMap<string, { readonly curve: Curve; readonly fido: boolean }> = new Map([
  ["ssh-ed25519", { curve: ED25519, fido: false }],
  ["ecdsa-sha2-nistp256", { curve: P256, fido: false }],
  ["ecdsa-sha2-nistp384", { curve: P384, fido: false }],
  ["ecdsa-sha2-nistp521", { curve: P521, fido: false }],
  ["sk-ssh-ed25519@openssh.com", { curve: ED25519, fido: true }],
  ["sk-ecdsa-sha2-nistp256@openssh.com", { curve: P256, fido: true }],
]);

/** Bytes of canonical base64 (RFC 4648 section 4), or null. */
export function fromBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

/** RFC 4251 section 5: strings with a 32-bit length, nothing after the last. */
export function sshStrings(bytes: Uint8Array): Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return null;
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) return null;
    strings.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return strings;
}

/** An OpenSSH public key without options or comment: `ssh-ed25519 AAAA…`. Null when it is anything else. */
export function readSshKey(text: string): SshKey | null {
  const [type = "", encoded = "", ...more] = text.split(" ");
  const bytes = fromBase64(encoded);
  const kind = SSH_KINDS.get(type);
  if (bytes === null || more.length > 0 || kind === undefined) return null;
  const { curve, fido } = kind;
  const fields = sshStrings(bytes) ?? [];
  const head = curve.name === null ? [type] : [type, curve.name];
  if (fields.length !== head.length + (fido ? 2 : 1)) return null;
  if (head.some((word, at) => !Buffer.from(word).equals(fields[at] ?? new Uint8Array()))) return null;
  const [point = new Uint8Array(), application = null] = fields.slice(head.length);
  // OpenSSH takes the application as a C string: nothing after a NUL would be signed.
  if (application !== null && (application.length === 0 || application.includes(0))) return null;
  if ((application?.length ?? 0) > MAX_SSH_APPLICATION_BYTES) return null;
  const object = publicKey(curve, point);
  return object === null ? null : { type, point, application, digest: curve.digest, object };
}

export function isSshKey(text: string): boolean {
  return readSshKey(text) !== null;
}

/** The point as a key, or null: it must be spelled in the one way, lie on its curve, and bind its signatures. */
function publicKey(curve: Curve, point: Uint8Array): KeyObject | null {
  if (point.length !== curve.bytes) return null;
  const base64url = (from: number, to: number): string => Buffer.from(point.subarray(from, to)).toString("base64url");
  if (curve.name === null) {
    if (!isSoundEd25519(point)) return null;
    return createPublicKey({ key: { kty: "OKP", crv: curve.jwk, x: base64url(0, 32) }, format: "jwk" });
  }
  // SEC 1 section 2.3.3: 4 is uncompressed; 2, 3, 6 and 7 would be other spellings.
  if (point[0] !== 4) return null;
  const half = (curve.bytes - 1) / 2;
  const key = { kty: "EC", crv: curve.jwk, x: base64url(1, 1 + half), y: base64url(1 + half, curve.bytes) };
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch {
    // The library refuses a point that is not on the curve.
    return null;
  }
}

const P25519 = 2n ** 255n - 19n;
const ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
/** The heights of the eight points of small order: for such a key, all zero among them, anyone can make signatures. */
const SMALL_ORDER_Y: readonly bigint[] = [0n, 1n, P25519 - 1n, ORDER_8_Y, P25519 - ORDER_8_Y];

/** RFC 8032 section 5.1.2: y, little-endian, below p; the highest bit is the sign of x. */
function isSoundEd25519(point: Uint8Array): boolean {
  const y = BigInt(`0x${Buffer.from(point).reverse().toString("hex")}`) & (2n ** 255n - 1n);
  return y < P25519 && !SMALL_ORDER_Y.includes(y);
}

/** A note verifier key `name+hash+key` (C2SP signed-note): Ed25519 and no key for which anyone can sign, its hash true. */
export function isNoteKey(text: string): boolean {
  return noteKeyOf(text) !== null;
}

/** The public key itself, base64 of its algorithm's byte and 32 bytes: under another name it is still the same key. Null for what is none. */
export function noteKeyOf(text: string): string | null {
  const match = /^([^\s+]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text);
  const key = fromBase64(match?.[3] ?? "");
  if (match === null || key === null || key.length !== 33 || key[0] !== 1 || !isSoundEd25519(key.subarray(1)))
    return null;
  const hash = createHash("sha256").update(`${match[1]}\n`).update(key).digest("hex");
  return hash.startsWith(match[2] ?? " ") ? (match[3] ?? null) : null;
}
