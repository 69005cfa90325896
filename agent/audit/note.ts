import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import { canonical } from "../wire/canonical.ts";
import { timeOf, timeText } from "./time.ts";

/**
 * Signed notes (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint). A key in notes has a name and a type; 0x01 is Ed25519.
 * A note takes more signature lines: a witness's cosignature (c2sp.org/tlog-cosignature) is one more line below ours.
 */
const ED25519 = 0x01;
const ED25519_BYTES = 32;
const KEY_ID_BYTES = 4;
const MAX_NOTE_CHARS = 64 * 1024;
const MAX_SIGNATURES = 16;
/** DER around a raw Ed25519 key: RFC 8410 section 7 (PKCS #8) and section 4 (SubjectPublicKeyInfo). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const NAME = /^[^\s+\p{Cc}]+$/u;
const SIGNATURE_LINE = /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/u;

/** The private key of a 32 byte Ed25519 seed (RFC 8032). */
export function ed25519Private(seed: Uint8Array): KeyObject {
  if (seed.length !== ED25519_BYTES) throw new RangeError("an Ed25519 seed has 32 bytes");
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
}

/** The raw 32 bytes of the public key that belongs to an Ed25519 private key. */
export function ed25519Public(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(SPKI.length);
}

/** The first 4 bytes of SHA-256(name || newline || type || key): what a signature line names its key by. */
export function keyId(name: string, publicKey: Uint8Array, type: number = ED25519): Buffer {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`, "utf8"), Buffer.of(type), publicKey]);
  return hash("sha256", bytes, "buffer").subarray(0, KEY_ID_BYTES);
}

/** A verifier key in text, `name+id+base64`, as notes' tools take it. */
export function verifierKey(name: string, publicKey: Uint8Array): string {
  const key = Buffer.concat([Buffer.of(ED25519), publicKey]).toString("base64");
  return `${name}+${keyId(name, publicKey).toString("hex")}+${key}`;
}

/** The note over `text`, which ends with a newline, with one Ed25519 signature. Throws RangeError on what cannot be a note. */
export function signNote(text: string, name: string, privateKey: KeyObject): string {
  if (!isNoteText(text)) throw new RangeError("not the text of a note");
  if (!NAME.test(name)) throw new RangeError("not the name of a key");
  const signature = sign(null, Buffer.from(text, "utf8"), privateKey);
  return `${text}\n${signatureLine(name, keyId(name, ed25519Public(privateKey)), signature)}`;
}

/** One signature line; appended to a note it is a cosignature. */
export function signatureLine(name: string, id: Uint8Array, signature: Uint8Array): string {
  return `\u2014 ${name} ${Buffer.concat([id, signature]).toString("base64")}\n`;
}

export type NoteSignature = { readonly name: string; readonly id: Buffer; readonly signature: Buffer };
export type Note = { readonly text: string; readonly signatures: readonly NoteSignature[] };

/** Takes a note apart without judging its signatures; null when it is none. */
export function parseNote(note: string, maxChars: number = MAX_NOTE_CHARS): Note | null {
  if (note.length > maxChars) return null;
  const gap = note.lastIndexOf("\n\n");
  if (gap < 0 || !note.endsWith("\n")) return null;
  const text = note.slice(0, gap + 1);
  if (!isNoteText(text)) return null;
  const lines = note.slice(gap + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) return null;
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const [, name, base64] = SIGNATURE_LINE.exec(line) ?? [];
    if (name === undefined || base64 === undefined || !NAME.test(name)) return null;
    const bytes = Buffer.from(base64, "base64");
    if (bytes.toString("base64") !== base64 || bytes.length <= KEY_ID_BYTES) return null;
    signatures.push({ name, id: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) });
  }
  return { text, signatures };
}

/** The note's text when this key signed it, else null. Signatures by other keys are passed over; a wrong one by this key is not. */
export function verifyNote(
  note: string,
  name: string,
  publicKey: Uint8Array,
  maxChars: number = MAX_NOTE_CHARS,
): string | null {
  const parsed = parseNote(note, maxChars);
  if (parsed === null || publicKey.length !== ED25519_BYTES) return null;
  const id = keyId(name, publicKey);
  const ours = parsed.signatures.filter((one) => one.name === name && one.id.equals(id));
  if (ours.length === 0) return null;
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: "der", type: "spki" });
  const bytes = Buffer.from(parsed.text, "utf8");
  return ours.every((one) => verify(null, bytes, key, one.signature)) ? parsed.text : null;
}

function isNoteText(text: string): boolean {
  return text.endsWith("\n") && text.isWellFormed() && /^[^\u0000-\u0009\u000b-\u001f]*$/.test(text);
}

export type Checkpoint = {
  readonly origin: string;
  /** Entries covered: the indexes below it. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
  /** Milliseconds since 1970: the log's clock when it signed. */
  readonly time: number;
};
const TIME = /^time (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/;

/** The text of a checkpoint, with the time of signing as its one extension line. */
export function checkpointText(of: Checkpoint): string {
  const time = timeText(of.time);
  return `${of.origin}\n${of.size}\n${of.root.toString("base64")}\ntime ${time}\n`;
}

/** Reads a checkpoint out of a note, without judging its signatures (verifyNote does). Null when it is none of ours. */
export function parseCheckpoint(note: string): Checkpoint | null {
  const text = parseNote(note)?.text;
  if (text === undefined) return null;
  const [origin, size, root, extension, end, ...more] = text.split("\n");
  if (origin === undefined || size === undefined || root === undefined || extension === undefined) return null;
  if (end !== "" || more.length > 0 || !NAME.test(origin) || !/^(?:0|[1-9]\d{0,15})$/.test(size)) return null;
  const bytes = Buffer.from(root, "base64");
  const stamp = TIME.exec(extension)?.[1];
  if (bytes.length !== 32 || bytes.toString("base64") !== root || stamp === undefined) return null;
  const time = timeOf(stamp);
  if (time === null || !Number.isSafeInteger(Number(size))) return null;
  return { origin, size: Number(size), root: bytes, time };
}

/**
 * What the agent's certificate key signs in entry 0, so that the CA vouches for the log's key: canonical JSON of
 * {from, key, origin}. `key` is the Ed25519 key's 32 bytes in base64, `from` the first index that it may sign.
 */
export function logKeyBinding(origin: string, key: string, from: number): Uint8Array {
  return Buffer.from(canonical({ from, key, origin }), "utf8");
}

/** A binding's signature: ECDSA P-256 SHA-256, IEEE P1363, base64url. `privateKey` is the certificate's key. */
export function signBinding(binding: Uint8Array, privateKey: KeyObject): string {
  return sign("sha256", binding, { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
}

/** signBinding of a log key's binding. */
export function signLogKeyBinding(origin: string, key: string, from: number, privateKey: KeyObject): string {
  return signBinding(logKeyBinding(origin, key, from), privateKey);
}

/** Whether the key of a certificate (`spki`: its SubjectPublicKeyInfo, DER) signed the binding. Anything but P-256 is no. */
export function verifyLogKeyBinding(
  spki: Uint8Array,
  origin: string,
  key: string,
  from: number,
  signature: string,
): boolean {
  const bytes = Buffer.from(signature, "base64url");
  if (bytes.length !== 64 || bytes.toString("base64url") !== signature) return false;
  try {
    const publicKey = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    if (publicKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") return false;
    const signed = logKeyBinding(origin, key, from);
    return verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, bytes);
  } catch {
    // A key that cannot be read has signed nothing.
    return false;
  }
}
