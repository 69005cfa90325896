import { spawnSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Base64Url32, KeyId } from "../agent/wire/names.ts";
import { thumbprint } from "../agent/wire/trust.ts";
import { writeDurably } from "./files.ts";
import { Complaint } from "./terminal.ts";

const SIGNER_TIMEOUT_MS = 60_000;
const PublicJwk = z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: Base64Url32, kid: KeyId.optional() });
const PrivateJwk = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: Base64Url32,
  kid: KeyId,
  d: Base64Url32,
});

/** A command key, wherever its private half is. `sign` takes the bytes and gives 64 bytes (RFC 8032). */
export type Signer = { readonly kid: string; readonly x: string; sign(bytes: Uint8Array): Uint8Array };
export type SignerOptions = {
  readonly keys?: string | undefined;
  readonly kid?: string | undefined;
  readonly signer?: string | undefined;
  readonly signerKey?: string | undefined;
};

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

/** The signer that the options name, or null when they name none. Throws a Complaint for a key that cannot be used. */
export function openSigner(options: SignerOptions): Signer | null {
  if (options.keys !== undefined && options.signer !== undefined)
    throw new Complaint(2, "sign", "both --keys and --signer are given", "Give one of them.");
  if (options.signer !== undefined) return commandSigner(options.signer, options);
  return options.keys === undefined ? null : fileSigner(options.keys, options.kid);
}

function fileSigner(folder: string, kid: string | undefined): Signer {
  const cannot = "read the command key";
  const file = keyFile(folder, kid);
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
  const key = createPrivateKey({ key: parsed.data, format: "jwk" });
  // The private half decides: an x that does not belong to it would only make signatures that nobody takes.
  if (createPublicKey(key).export({ format: "jwk" }).x !== parsed.data.x)
    throw new Complaint(3, cannot, `${file} holds two halves of different keys`, "Make a new one.");
  return { kid: parsed.data.kid, x: parsed.data.x, sign: (bytes) => sign(null, bytes, key) };
}

function keyFile(folder: string, kid: string | undefined): string {
  const cannot = "read the command key";
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /^command-[A-Za-z0-9._-]+\.json$/.test(name));
  } catch (error) {
    throw new Complaint(
      4,
      cannot,
      `${folder} cannot be read (${String((error as { code?: unknown }).code)})`,
      "Name the folder of `reeve-control keys init`.",
    );
  }
  const wanted = kid === undefined ? names : names.filter((name) => name === `command-${kid}.json`);
  const [name, ...more] = wanted;
  if (name === undefined)
    throw new Complaint(3, cannot, `${folder} holds no such key`, "Make one with `reeve-control keys init`.");
  if (more.length > 0)
    throw new Complaint(2, cannot, `${folder} holds ${wanted.length} keys`, "Say which one with --kid.");
  return join(folder, name);
}

/** A program that signs: bytes on stdin; on stdout 64 raw bytes, or their base64. For ssh-agent, PKCS #11, a KMS. */
function commandSigner(command: string, options: SignerOptions): Signer {
  const cannot = "sign with the signer";
  if (options.signerKey === undefined)
    throw new Complaint(
      2,
      cannot,
      "its public key is not known",
      "Give it with --signer-key FILE (a JWK, or the 32 bytes in base64url).",
    );
  const text = readText(options.signerKey, cannot).trim();
  const jwk = text.startsWith("{")
    ? PublicJwk.safeParse(readJson(options.signerKey, cannot))
    : PublicJwk.safeParse({ kty: "OKP", crv: "Ed25519", x: text });
  const kid = options.kid ?? jwk.data?.kid;
  if (!jwk.success)
    throw new Complaint(
      3,
      cannot,
      `${options.signerKey} holds no Ed25519 public key`,
      "Write a JWK (RFC 8037), or its x.",
    );
  if (kid === undefined || !KeyId.safeParse(kid).success)
    throw new Complaint(2, cannot, "the key has no name", "Give it with --kid, or as kid in the JWK.");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: jwk.data.x }, format: "jwk" });
  return {
    kid,
    x: jwk.data.x,
    sign(bytes) {
      const ran = spawnSync("/bin/sh", ["-c", command], {
        input: bytes,
        timeout: SIGNER_TIMEOUT_MS,
        stdio: ["pipe", "pipe", "inherit"],
        maxBuffer: 4096,
      });
      if (ran.status !== 0)
        throw new Complaint(
          1,
          cannot,
          `it ended with ${ran.status ?? ran.signal ?? ran.error?.message}`,
          "Run it by hand with some bytes on stdin.",
        );
      const signature = signatureOf(ran.stdout);
      if (signature === null || !verify(null, bytes, publicKey, signature))
        throw new Complaint(
          1,
          cannot,
          "what it answered is no signature by the key of --signer-key",
          "It must write an Ed25519 signature, 64 bytes or their base64.",
        );
      return signature;
    },
  };
}

function signatureOf(bytes: Buffer): Buffer | null {
  if (bytes.length === 64) return bytes;
  const decoded = Buffer.from(bytes.toString("latin1").trim(), "base64");
  return decoded.length === 64 ? decoded : null;
}

function readText(file: string, cannot: string): string {
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

function readJson(file: string, cannot: string): unknown {
  try {
    return JSON.parse(readText(file, cannot));
  } catch (error) {
    if (error instanceof Complaint) throw error;
    throw new Complaint(3, cannot, `${file} is not JSON`, "Make one with `reeve-control keys init`.");
  }
}

/** A compact JWS (RFC 7515 section 7.1) over exactly this header and payload. */
export function signJws(header: string, payload: string, signer: Pick<Signer, "sign">): string {
  const input = `${Buffer.from(header).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
  return `${input}.${Buffer.from(signer.sign(Buffer.from(input))).toString("base64url")}`;
}
