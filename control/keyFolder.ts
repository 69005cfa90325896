import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Base64Url32, KeyId } from "../agent/wire/names.ts";
import { thumbprint } from "../agent/wire/trust.ts";
import { writeDurably } from "./files.ts";
import { type NamedKey, readKeyText } from "./publicKey.ts";
import type { Signer } from "./signer.ts";
import { Complaint } from "./terminal.ts";

const PrivateJwk = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: Base64Url32,
  kid: KeyId,
  d: Base64Url32,
});

/** Makes a command key in a folder of its own (0700) as command-KID.json (0600, a private JWK, RFC 8037). */
export async function initKey(
  folder: string,
  kid: string,
): Promise<{ readonly kid: string; readonly x: string; readonly thumbprint: string; readonly file: string }> {
  const cannot = `make the command key ${kid}`;
  if (!KeyId.safeParse(kid).success)
    throw new Complaint(2, cannot, "a key's name has 1 to 64 of A-Z a-z 0-9 . _ -", "Name it for example cmd-2026-11.");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const file = join(folder, `command-${kid}.json`);
  if (existsSync(file)) throw new Complaint(1, cannot, `${file} is there already`, "Use it, or choose another --kid.");
  const jwk = PrivateJwk.omit({ kid: true }).parse(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }));
  writeDurably(file, `${JSON.stringify({ kid, kty: jwk.kty, crv: jwk.crv, x: jwk.x, d: jwk.d })}\n`, 0o600);
  return { kid, x: jwk.x, thumbprint: await thumbprint(jwk.x), file };
}

/** Signs with a key of the folder. */
export function fileSigner(folder: string, kid: string | undefined): Signer {
  const { d, ...named } = readKeyFile(keyFile(folder, kid));
  const key = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", x: named.x, d }, format: "jwk" });
  return { ...named, sign: (bytes) => sign(null, bytes, key) };
}

function readKeyFile(file: string): NamedKey & { readonly d: string } {
  const cannot = "read the command key";
  if ((statSync(file).mode & 0o077) !== 0)
    throw new Complaint(
      4,
      cannot,
      `${file} can be read by others`,
      "Run chmod 600 on it, and think about who read it.",
    );
  const parsed = PrivateJwk.safeParse(readJson(file, cannot));
  if (!parsed.success)
    throw new Complaint(
      3,
      cannot,
      `${file} holds no private Ed25519 JWK with a kid`,
      "Make one with `reeve-control keys init`.",
    );
  const { kid, x, d } = parsed.data;
  const key = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", x, d }, format: "jwk" });
  // The private half decides: an x that does not belong to it would only make signatures that nobody takes.
  if (createPublicKey(key).export({ format: "jwk" }).x !== x)
    throw new Complaint(3, cannot, `${file} holds two halves of different keys`, "Make a new one.");
  return { kid, x, d };
}

/** The names of a folder's command keys, without reading any. */
export function folderKids(folder: string): string[] {
  try {
    return readdirSync(folder)
      .map((name) => /^command-([A-Za-z0-9._-]+)\.json$/.exec(name)?.[1])
      .filter((kid) => kid !== undefined)
      .sort();
  } catch (error) {
    throw new Complaint(
      4,
      "read the command key",
      `${folder} cannot be read (${String((error as { code?: unknown }).code)})`,
      "Name the folder of `reeve-control keys init`.",
    );
  }
}

/** The public half of a folder's key. */
export function folderKey(folder: string, kid: string | undefined): NamedKey {
  const { kid: name, x } = readKeyFile(keyFile(folder, kid));
  return { kid: name, x };
}

function keyFile(folder: string, kid: string | undefined): string {
  const cannot = "read the command key";
  const wanted = folderKids(folder).filter((name) => kid === undefined || name === kid);
  const [name, ...more] = wanted;
  if (name === undefined)
    throw new Complaint(
      3,
      cannot,
      kid === undefined ? `${folder} holds no command key` : `${folder} holds no key ${kid}`,
      "Make one with `reeve-control keys init`.",
    );
  if (more.length > 0)
    throw new Complaint(
      2,
      cannot,
      `${folder} holds ${wanted.length} keys`,
      `Say which one with --kid: ${wanted.join(", ")}.`,
    );
  return join(folder, `command-${name}.json`);
}

function readJson(file: string, cannot: string): unknown {
  try {
    return JSON.parse(readKeyText(file, cannot));
  } catch (error) {
    if (error instanceof Complaint) throw error;
    throw new Complaint(3, cannot, `${file} is not JSON`, "Make one with `reeve-control keys init`.");
  }
}
