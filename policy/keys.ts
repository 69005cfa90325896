import { createHash } from "node:crypto";

/** The forms of public keys that a policy holds. Only their form is judged here. */

function base64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

/** RFC 4251 section 5: strings with a 32-bit length, nothing after the last. */
function sshStrings(bytes: Uint8Array): Uint8Array[] | null {
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

const SSH_KEYS: Readonly<Record<string, (fields: readonly Uint8Array[]) => boolean>> = {
  // RFC 8709 section 4; RFC 5656 section 3.1; OpenSSH PROTOCOL.u2f.
  "ssh-ed25519": ([key, ...more]) => key?.length === 32 && more.length === 0,
  "ecdsa-sha2-nistp256": ([curve, key, ...more]) =>
    Buffer.from(curve ?? []).toString("latin1") === "nistp256" && key?.length === 65 && more.length === 0,
  "sk-ssh-ed25519@openssh.com": ([key, application, ...more]) =>
    key?.length === 32 && (application?.length ?? 0) > 0 && more.length === 0,
};

/** An OpenSSH public key without options or comment: `ssh-ed25519 AAAA…`. */
export function isSshKey(text: string): boolean {
  const [type = "", encoded = "", ...more] = text.split(" ");
  const bytes = base64(encoded);
  if (bytes === null || more.length > 0 || !Object.hasOwn(SSH_KEYS, type)) return false;
  const [inner, ...fields] = sshStrings(bytes) ?? [];
  return Buffer.from(inner ?? []).toString("latin1") === type && SSH_KEYS[type]?.(fields) === true;
}

/** A note verifier key `name+hash+key` (C2SP signed-note): Ed25519, its hash true. */
export function isNoteKey(text: string): boolean {
  const match = /^([^\s+]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text);
  const key = base64(match?.[3] ?? "");
  if (match === null || key === null || key.length !== 33 || key[0] !== 1) return false;
  return createHash("sha256")
    .update(`${match[1]}\n`)
    .update(key)
    .digest("hex")
    .startsWith(match[2] ?? " ");
}
