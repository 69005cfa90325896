import { compactVerify } from "jose";

/** The three parts of a compact JWS (RFC 7515 section 7.1), decoded. Nothing in it is verified. */
export type Parts = { readonly header: string; readonly payload: Uint8Array; readonly signature: Uint8Array };

/**
 * Splits a compact JWS. Null unless there are exactly three non-empty parts of base64url without padding whose last characters
 * carry no stray bits, so that one signature has one spelling. The header is Latin-1 text: comparing it compares bytes.
 */
export function splitJws(text: string): Parts | null {
  const [header, payload, signature, ...rest] = text.split(".");
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return null;
  const bytes = [header, payload, signature].map(decodeBase64Url);
  const [first, second, third] = bytes;
  if (!first || !second || !third) return null;
  return { header: Buffer.from(first).toString("latin1"), payload: second, signature: third };
}

function decodeBase64Url(part: string): Uint8Array | null {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) return null;
  const bytes = Buffer.from(part, "base64url");
  return bytes.toString("base64url") === part ? bytes : null;
}

/** Whether `x` (32 bytes, base64url) signed these bytes by Ed25519 (RFC 8032, RFC 9864). A key that is no key signed nothing. */
export async function signedBy(jws: string, x: string): Promise<boolean> {
  try {
    await compactVerify(jws, { kty: "OKP", crv: "Ed25519", x }, { algorithms: ["Ed25519"] });
    return true;
  } catch {
    return false;
  }
}

/** Strict UTF-8 (RFC 3629), a byte order mark kept; null for anything else. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
