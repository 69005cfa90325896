import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { Base64Url32, KeyId } from "../agent/wire/names.ts";
import { Complaint } from "./terminal.ts";

const PublicJwk = z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: Base64Url32, kid: KeyId.optional() });
const SSH_KIND = "ssh-ed25519";
/** RFC 8709 section 4: two strings, each after its length in four bytes. */
const SSH_HEAD = Buffer.concat([
  Buffer.from([0, 0, 0, SSH_KIND.length]),
  Buffer.from(SSH_KIND),
  Buffer.from([0, 0, 0, 32]),
]);

/** An Ed25519 public key: `x` in base64url; `kid` when its file names it. */
export type PublicKey = { readonly kid: string | null; readonly x: string };
/** The same under a name, as trust statements hold it. */
export type NamedKey = { readonly kid: string; readonly x: string };

/**
 * Reads an Ed25519 public key as its makers write it: a JWK (RFC 8037), its `x` alone, PEM (RFC 8410; `pkcs11-tool --read-object`), or the
 * line that `ssh-add -L` prints. Throws a Complaint for anything else.
 */
export function readPublicKey(file: string, cannot: string): PublicKey {
  const text = readKeyText(file, cannot).trim();
  const key = text.startsWith("{") ? ofJwk(text) : { kid: null, x: ofPem(text) ?? ofSsh(text) ?? text };
  if (key !== null && Base64Url32.safeParse(key.x).success) return key;
  throw new Complaint(
    3,
    cannot,
    `${file} holds no Ed25519 public key`,
    "Write a JWK (RFC 8037), its x, PEM, or the line of `ssh-add -L` that begins with ssh-ed25519.",
  );
}

/** `KID=FILE`, or FILE when it is a JWK that names itself. */
export function readNamedKey(text: string, cannot: string): NamedKey {
  const [, given, path] = /^([A-Za-z0-9._-]{1,64})=(.+)$/s.exec(text) ?? [null, undefined, text];
  const key = readPublicKey(path ?? text, cannot);
  const kid = given ?? key.kid;
  if (kid === null)
    throw new Complaint(2, cannot, `the key of ${text} has no name`, "Write KID=FILE, or use a JWK with a kid.");
  return { kid, x: key.x };
}

export function readKeyText(file: string, cannot: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Complaint(
      4,
      cannot,
      `${file} cannot be read (${String((error as { code?: unknown }).code)})`,
      "Name a file that this user may read.",
    );
  }
}

function ofJwk(text: string): PublicKey | null {
  try {
    const jwk = PublicJwk.safeParse(JSON.parse(text));
    return jwk.success ? { kid: jwk.data.kid ?? null, x: jwk.data.x } : null;
  } catch {
    return null;
  }
}

function ofPem(text: string): string | null {
  if (!text.startsWith("-----BEGIN PUBLIC KEY-----")) return null;
  try {
    return createPublicKey(text).export({ format: "jwk" }).x ?? null;
  } catch {
    return null;
  }
}

function ofSsh(text: string): string | null {
  const [kind, base64, ...comment] = text.split(/[ \t]+/);
  if (kind !== SSH_KIND || base64 === undefined || comment.join("").includes("\n")) return null;
  const bytes = Buffer.from(base64, "base64");
  const key = bytes.subarray(SSH_HEAD.length);
  return bytes.subarray(0, SSH_HEAD.length).equals(SSH_HEAD) && key.length === 32 ? key.toString("base64url") : null;
}
