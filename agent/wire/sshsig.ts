import { createHash, verify } from "node:crypto";
import { fromBase64, readSshKey, type SshKey, sshStrings } from "../../policy/keys.ts";
import { MAX_SSH_SIGNATURE_BYTES } from "../limits.ts";

/**
 * SSH signatures as `ssh-keygen -Y sign` makes them (OpenSSH PROTOCOL.sshsig and PROTOCOL.u2f). Each signature has one spelling here:
 * narrower than ssh-keygen, which also takes version 0, a reserved field, a NUL after a name, zeros before a number, white space in the
 * base64, words after the armor, RSA, certificates, and FIDO keys that nobody touched.
 */
export type SshSignature = {
  /** The public key that it names, `type base64`, as a policy's `people` write it. */
  readonly key: string;
  readonly namespace: string;
  /** What the message is hashed with before it is signed. */
  readonly hash: "sha256" | "sha512";
  readonly signer: SshKey;
  /** 64 bytes of Ed25519; r and s of ECDSA, each as long as the curve's order (IEEE P1363). */
  readonly signature: Uint8Array;
  /** Of a FIDO key only: the flags, one byte, and the counter, four, as they were signed. */
  readonly device: Uint8Array | null;
};
type Fault = { readonly fault: string };

const BEGIN = "-----BEGIN SSH SIGNATURE-----";
const END = "-----END SSH SIGNATURE-----";
const BASE64_LINE = /^[A-Za-z0-9+/=]+$/;
const BLOCK = new RegExp(`^${BEGIN}\n((?:[A-Za-z0-9+/=]+\n)+)${END}$`);
const PREAMBLE = Buffer.from("SSHSIG");
const VERSION = Buffer.from([0, 0, 0, 1]);
const USER_PRESENT = 0x01;
const DEVICE_BYTES = 5;

/**
 * The armored blocks of a file, at least one and at most `max`, one after another with nothing else but empty lines. Lines end with LF,
 * or with CRLF as after a paste on Windows (ssh-keygen takes both since 9.5); the blocks that come back have LF, and none after their last line.
 */
export function splitSshSignatures(text: string, max: number): { readonly blocks: readonly string[] } | Fault {
  if (text.length > max * MAX_SSH_SIGNATURE_BYTES)
    return { fault: `it is over ${max * MAX_SSH_SIGNATURE_BYTES} bytes, too long for ${max} SSH signatures` };
  const blocks: string[] = [];
  let block: string[] = [];
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    const inside = block.length > 0;
    if (inside ? line !== END && !BASE64_LINE.test(line) : line !== BEGIN && line !== "")
      return { fault: `line ${at + 1} is no part of an SSH signature` };
    if (inside || line === BEGIN) block.push(line);
    if (line !== END) continue;
    blocks.push(block.join("\n"));
    block = [];
  }
  if (block.length > 0) return { fault: "its last SSH signature has no end" };
  if (blocks.length === 0) return { fault: "it holds no SSH signature" };
  return blocks.length > max ? { fault: `it holds over ${max} SSH signatures` } : { blocks };
}

/** The armored block around an SSH signature's base64, in lines as ssh-keygen writes them. */
export function armorSshSignature(base64: string): string {
  return [BEGIN, ...(base64.match(/.{1,70}/g) ?? []), END].join("\n");
}

/** One armored block, read and not yet verified. */
export function readSshSignature(block: string): SshSignature | Fault {
  if (block.length > MAX_SSH_SIGNATURE_BYTES) return { fault: `it is over ${MAX_SSH_SIGNATURE_BYTES} bytes` };
  const encoded = BLOCK.exec(block)?.[1];
  if (encoded === undefined) return { fault: "it is not one armored SSH signature" };
  const bytes = fromBase64(encoded.replaceAll("\n", ""));
  if (bytes === null) return { fault: "its base64 is not canonical" };
  const head = PREAMBLE.length + VERSION.length;
  if (!Buffer.concat([PREAMBLE, VERSION]).equals(bytes.subarray(0, head)))
    return { fault: "it is not an SSH signature of version 1" };
  const [blob, namespace, reserved, hash, inner, ...more] = sshStrings(bytes.subarray(head)) ?? [];
  if (!blob || !namespace || !reserved || !hash || !inner || more.length > 0)
    return { fault: "its fields are not the five of an SSH signature" };
  if (reserved.length > 0) return { fault: "its reserved field is not empty" };
  const named = { namespace: latin1(namespace), hash: latin1(hash) };
  // Printable ASCII, so that a message may name it.
  if (!/^[ -~]{1,255}$/.test(named.namespace)) return { fault: "its namespace is empty or not printable ASCII" };
  if (named.hash !== "sha256" && named.hash !== "sha512") return { fault: "its hash is neither sha256 nor sha512" };
  return withKey(blob, inner, named.namespace, named.hash);
}

/** The key that is named, and the signature as that key's kind writes it. */
function withKey(
  blob: Uint8Array,
  inner: Uint8Array,
  namespace: string,
  hash: SshSignature["hash"],
): SshSignature | Fault {
  const type = firstString(blob);
  const key = `${type} ${Buffer.from(blob).toString("base64")}`;
  const signer = readSshKey(key);
  if (signer === null) return { fault: whyNoKey(type) };
  const device = signer.application === null ? null : inner.subarray(Math.max(0, inner.length - DEVICE_BYTES));
  const [innerType, raw, ...more] = sshStrings(inner.subarray(0, inner.length - (device?.length ?? 0))) ?? [];
  if (!innerType || !raw || more.length > 0) return { fault: "its inner signature is not of its key's form" };
  if (latin1(innerType) !== type) return { fault: "its inner signature is of another kind than its key" };
  const signature = signer.digest === null ? ed25519Signature(raw) : ecdsaSignature(raw, signer);
  if (signature === null) return { fault: "its inner signature's numbers are not of its key's form" };
  return { key, namespace, hash, signer, signature, device };
}

/** Of a key that may be of any kind: not all are made of strings only. Empty when there is none. */
function firstString(bytes: Uint8Array): string {
  const end = bytes.length < 4 ? 0 : 4 + Buffer.from(bytes.subarray(0, 4)).readUInt32BE();
  return end > bytes.length ? "" : latin1(bytes.subarray(4, end));
}

function whyNoKey(type: string): string {
  if (/^[a-z0-9@.-]{1,64}-cert-v01@openssh\.com$/.test(type))
    return "it was made with a certificate: sign with the key alone";
  if (type === "ssh-rsa" || type === "ssh-dss") return `its key is of the kind ${type}, which is not taken`;
  return "its key is of another kind than a policy's people may have, or is damaged";
}

function ed25519Signature(raw: Uint8Array): Uint8Array | null {
  return raw.length === 64 ? raw : null;
}

/** RFC 5656 section 3.1.2: two mpints. RFC 4251 section 5: minimal; these are above 0. */
function ecdsaSignature(raw: Uint8Array, { point }: SshKey): Uint8Array | null {
  const size = (point.length - 1) / 2;
  const numbers = sshStrings(raw) ?? [];
  if (numbers.length !== 2) return null;
  const padded = numbers.map((number) => unsigned(number, size));
  return padded.every((each) => each !== null) ? Buffer.concat(padded) : null;
}

function unsigned(mpint: Uint8Array, size: number): Uint8Array | null {
  const [first = 0x80, second = 0] = mpint;
  // Nothing is 0; a set first bit is negative; a zero in front is there only to keep the next bit from saying so.
  if (first >= 0x80 || (first === 0 && second < 0x80)) return null;
  const digits = first === 0 ? mpint.subarray(1) : mpint;
  return digits.length > size ? null : Buffer.concat([new Uint8Array(size - digits.length), digits]);
}

/**
 * The key that signed `message` under `namespace`. Whose key it is, the policy says. A FIDO key must have been touched.
 * PROTOCOL.sshsig section 3; PROTOCOL.u2f, SSH U2F signatures.
 */
export function verifySshSignature(
  block: string,
  message: Uint8Array,
  namespace: string,
): { readonly key: string } | { readonly fault: "form" | "namespace" | "signature"; readonly because: string } {
  const read = readSshSignature(block);
  if ("fault" in read) return { fault: "form", because: read.fault };
  if (read.namespace !== namespace)
    return { fault: "namespace", because: `its namespace is ${read.namespace}, not ${namespace}` };
  if (read.device !== null && ((read.device[0] ?? 0) & USER_PRESENT) === 0)
    return { fault: "signature", because: "nobody touched the security key (its user-presence flag is not set)" };
  const key = { key: read.signer.object, dsaEncoding: "ieee-p1363" } as const;
  if (!verify(read.signer.digest, signedBytes(read, message), key, read.signature))
    return { fault: "signature", because: "the key that it names did not sign these bytes" };
  return { key: read.key };
}

function signedBytes({ namespace, hash, signer, device }: SshSignature, message: Uint8Array): Uint8Array {
  const fields = [namespace, "", hash, digest(hash, message)].map(sshString);
  const bytes = Buffer.concat([PREAMBLE, ...fields]);
  if (signer.application === null || device === null) return bytes;
  return Buffer.concat([digest("sha256", signer.application), device, digest("sha256", bytes)]);
}

function digest(hash: SshSignature["hash"], bytes: Uint8Array): Uint8Array {
  return createHash(hash).update(bytes).digest();
}

function sshString(value: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
