import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { ed25519Public, keyId, parseNote, signatureLine } from "./note.ts";

/**
 * Cosignatures of checkpoints (c2sp.org/tlog-cosignature, the Ed25519 form): who cosigns says that at this time the checkpoint was the
 * largest it had seen of this log, and consistent with all before it. One is a signature line of the note, key type 0x04.
 */
export const COSIGNATURE = 0x04;
const ED25519_BYTES = 32;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;
/** 9999-12-31: later is no time that anybody signed at. */
const MAX_SECONDS = 253_402_300_799;
/** DER around a raw Ed25519 key: RFC 8410 section 4. */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const NAME = /^[^\s+\p{Cc}]{1,128}$/u;

/** Who cosigns: the name in its lines, and 32 bytes of its Ed25519 key. */
export type Cosigner = { readonly name: string; readonly publicKey: Uint8Array };

/** A verifier key, `name+id+base64`, of type 0x04 (c2sp.org/signed-note, Verifier keys). */
export function cosignerText({ name, publicKey }: Cosigner): string {
  const key = Buffer.concat([Buffer.of(COSIGNATURE), publicKey]).toString("base64");
  return `${name}+${keyId(name, publicKey, COSIGNATURE).toString("hex")}+${key}`;
}

/** Reads what cosignerText writes; null for anything else, also where the id is not the key's. */
export function parseCosigner(text: string): Cosigner | null {
  const [, name, id, base64] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (name === undefined || id === undefined || base64 === undefined || !NAME.test(name)) return null;
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64 || bytes.length !== 1 + ED25519_BYTES || bytes[0] !== COSIGNATURE)
    return null;
  const publicKey = new Uint8Array(bytes.subarray(1));
  return keyId(name, publicKey, COSIGNATURE).toString("hex") === id ? { name, publicKey } : null;
}

/** The signature line over a checkpoint's text (without its signatures). `seconds`: since 1970, not 0. */
export function cosign(text: string, name: string, privateKey: KeyObject, seconds: number): string {
  if (!Number.isSafeInteger(seconds) || seconds <= 0) throw new RangeError("a cosignature has a time");
  if (!NAME.test(name)) throw new RangeError("not the name of a cosigner");
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(seconds));
  const signature = sign(null, message(text, seconds), privateKey);
  const id = keyId(name, ed25519Public(privateKey), COSIGNATURE);
  return signatureLine(name, id, Buffer.concat([time, signature]));
}

/**
 * When this cosigner says that it saw the note's checkpoint, in seconds since 1970; of several lines of its the newest. Null when there is
 * no line of its, and when one of them is not good: such a note is malformed (c2sp.org/signed-note, Signatures).
 */
export function cosignedAt(note: string, by: Cosigner): number | null {
  const parsed = parseNote(note);
  if (parsed === null || by.publicKey.length !== ED25519_BYTES) return null;
  const id = keyId(by.name, by.publicKey, COSIGNATURE);
  const key = createPublicKey({ key: Buffer.concat([SPKI, by.publicKey]), format: "der", type: "spki" });
  let newest: number | null = null;
  for (const line of parsed.signatures.filter((one) => one.name === by.name && one.id.equals(id))) {
    if (line.signature.length !== TIME_BYTES + SIGNATURE_BYTES) return null;
    const seconds = Number(line.signature.readBigUInt64BE(0));
    if (seconds === 0 || seconds > MAX_SECONDS) return null;
    if (!verify(null, message(parsed.text, seconds), key, line.signature.subarray(TIME_BYTES))) return null;
    newest = Math.max(newest ?? 0, seconds);
  }
  return newest;
}

function message(text: string, seconds: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`, "utf8");
}

/** A note with only the signature lines that `keep` takes; null when none is left. */
export function withLines(note: string, keep: (name: string, id: Buffer) => boolean): string | null {
  const parsed = parseNote(note);
  if (parsed === null) return null;
  const lines = parsed.signatures.filter(({ name, id }) => keep(name, id));
  if (lines.length === 0) return null;
  return `${parsed.text}\n${lines.map(({ name, id, signature }) => signatureLine(name, id, signature)).join("")}`;
}
