import { spawnSync } from "node:child_process";
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { KeyId } from "../agent/wire/names.ts";
import { fileSigner } from "./keyFolder.ts";
import { type NamedKey, readPublicKey } from "./publicKey.ts";
import { Complaint } from "./terminal.ts";

const SIGNER_TIMEOUT_MS = 60_000;
/** A command key, wherever its private half is. `sign` takes the bytes and gives 64 bytes (RFC 8032). */
export type Signer = NamedKey & { sign(bytes: Uint8Array): Uint8Array };
export type SignerOptions = {
  readonly keys?: string | undefined;
  readonly kid?: string | undefined;
  readonly signer?: string | undefined;
  readonly signerKey?: string | undefined;
};

/** The signer that the options name, or null when they name none. Throws a Complaint for a key that cannot be used. */
export function openSigner(options: SignerOptions): Signer | null {
  if (options.keys !== undefined && options.signer !== undefined)
    throw new Complaint(2, "sign", "both --keys and --signer are given", "Give one of them.");
  if (options.signer !== undefined) return commandSigner(options.signer, options);
  return options.keys === undefined ? null : fileSigner(options.keys, options.kid);
}

/** A program that signs: bytes on stdin; on stdout 64 raw bytes, or their base64. For ssh-agent, PKCS #11, a KMS. */
function commandSigner(command: string, options: SignerOptions): Signer {
  const { kid, x } = signerKey(options);
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return { kid, x, sign: (bytes) => signByCommand(command, bytes, publicKey) };
}

function signerKey(options: SignerOptions): NamedKey {
  const cannot = "sign with the signer";
  if (options.signerKey === undefined)
    throw new Complaint(
      2,
      cannot,
      "its public key is not known",
      "Give it with --signer-key FILE (a JWK, its x, PEM, or the line of `ssh-add -L`).",
    );
  const key = readPublicKey(options.signerKey, cannot);
  const kid = options.kid ?? key.kid ?? undefined;
  if (kid === undefined || !KeyId.safeParse(kid).success)
    throw new Complaint(2, cannot, "the key has no name", "Give it with --kid, or as kid in the JWK.");
  return { kid, x: key.x };
}

function signByCommand(command: string, bytes: Uint8Array, publicKey: KeyObject): Uint8Array {
  const cannot = "sign with the signer";
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
}

function signatureOf(bytes: Buffer): Buffer | null {
  if (bytes.length === 64) return bytes;
  const decoded = Buffer.from(bytes.toString("latin1").trim(), "base64");
  return decoded.length === 64 ? decoded : null;
}

/** A compact JWS (RFC 7515 section 7.1) over exactly this header and payload. */
export function signJws(header: string, payload: string, signer: Pick<Signer, "sign">): string {
  const input = `${Buffer.from(header).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
  return `${input}.${Buffer.from(signer.sign(Buffer.from(input))).toString("base64url")}`;
}
