/** One key vault with one key that never leaves it, and the certificate of the authority whose key it is. */
import { spawnSync } from "node:child_process";
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign as signHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Answer, type Made, Refused } from "./made.ts";

export type KeyType = "P-256" | "P-384" | "RSA";

type Made2 = { readonly key: KeyObject; readonly certificate: string };

/** By OpenSSL: a key and a self-signed authority. */
function authority(type: KeyType, subject: string): Made2 {
  const folder = mkdtempSync(join(tmpdir(), "reeve-azure-ca-"));
  const key = type === "RSA" ? ["rsa:2048"] : ["ec", "-pkeyopt", `ec_paramgen_curve:${type}`];
  const done = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", ...key, "-nodes", "-days", "400", "-subj", `/CN=${subject}`],
    ...["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", `${folder}/ca.key`, "-out", `${folder}/ca.crt`],
  ]);
  if (done.status !== 0) throw new Error(String(done.stderr));
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  const made = { key: createPrivateKey(read("ca.key")), certificate: read("ca.crt") };
  rmSync(folder, { recursive: true, force: true });
  return made;
}

const HASHES: Readonly<Record<string, { readonly hash: string; readonly bytes: number; readonly type: KeyType }>> = {
  ES256: { hash: "sha256", bytes: 32, type: "P-256" },
  ES384: { hash: "sha384", bytes: 48, type: "P-384" },
  RS256: { hash: "sha256", bytes: 32, type: "RSA" },
};

/** Signs a digest as it is (the service never sees what was hashed): by OpenSSL, which takes one. */
function signDigest(key: KeyObject, { hash, type }: (typeof HASHES)[string], digest: Buffer): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "reeve-azure-sign-"));
  try {
    writeFileSync(join(folder, "key"), key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    writeFileSync(join(folder, "digest"), digest);
    const options = type === "RSA" ? ["-pkeyopt", `digest:${hash}`] : [];
    const done = spawnSync("openssl", [
      "pkeyutl",
      "-sign",
      "-inkey",
      join(folder, "key"),
      "-in",
      join(folder, "digest"),
      ...options,
    ]);
    if (done.status !== 0) throw new Error(String(done.stderr));
    return type === "RSA" ? done.stdout : jose(done.stdout, type);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** DER's SEQUENCE of two INTEGERs to the two numbers one after the other (RFC 7518 section 3.4), which is what Key Vault answers. */
function jose(der: Buffer, type: KeyType): Buffer {
  const size = type === "P-384" ? 48 : 32;
  let at = 2;
  const integer = (): Buffer => {
    const length = der[at + 1] ?? 0;
    const value = der.subarray(at + 2, at + 2 + length);
    at += 2 + length;
    const plain = value[0] === 0 ? value.subarray(1) : value;
    return Buffer.concat([Buffer.alloc(size - plain.length), plain]);
  };
  return Buffer.concat([integer(), integer()]);
}

export function vault(options: {
  readonly name: string;
  readonly key: string;
  readonly type: KeyType;
  readonly origin: () => string;
}) {
  const { key, certificate } = authority(options.type, "clients");
  const version = randomBytes(16).toString("hex");
  const switches = { disabled: false, other: false, absent: false, operations: ["sign", "verify"] };
  const signed: Buffer[] = [];
  const other = options.type === "RSA" ? null : authority(options.type, "another").key;
  const kid = (): string => `${options.origin()}/keys/${options.key}/${version}`;
  const held = (name: string, given: string): void => {
    if (switches.absent || name !== options.key || (given !== version && given !== ""))
      throw new Refused(404, "KeyNotFound", `A key with (name/id) ${name} was not found in this key vault.`);
  };
  return {
    switches,
    signed,
    version,
    certificate,
    get(name: string, given: string): Answer {
      held(name, given);
      const {
        d: _,
        p,
        q,
        dp,
        dq,
        qi,
        ...jwk
      } = createPublicKey(switches.other ? (other ?? key) : key).export({ format: "jwk" }) as Record<string, string>;
      for (const secret of [p, q, dp, dq, qi])
        if (secret !== undefined) throw new Error("a private part in a public key");
      const now = Math.floor(Date.now() / 1000);
      return {
        status: 200,
        body: {
          key: { kid: kid(), key_ops: switches.operations, ...jwk },
          attributes: { enabled: !switches.disabled, created: now, updated: now, recoveryLevel: "Recoverable" },
        },
      };
    },
    sign(name: string, given: string, made: Made): Answer {
      held(name, given);
      const { alg = "", value = "" } = made.body as { alg?: string; value?: string };
      const known = HASHES[alg];
      if (known === undefined || known.type !== options.type)
        throw new Refused(
          400,
          "BadParameter",
          `Key and signing algorithm are incompatible. Key uses ${options.type}, algorithm ${alg}.`,
        );
      const digest = Buffer.from(value, "base64url");
      if (digest.length !== known.bytes) throw new Refused(400, "BadParameter", "Invalid length of the digest.");
      if (switches.disabled)
        throw new Refused(403, "Forbidden", "Operation sign is not permitted on this key: it is disabled.");
      signed.push(digest);
      made.changed = true;
      const result = signDigest(switches.other ? (other ?? key) : key, known, digest);
      return { status: 200, body: { kid: kid(), value: result.toString("base64url") } };
    },
    /** For tests that need the key's word in another way. */
    signs: (bytes: Uint8Array): Buffer => signHash(null, bytes, key),
  };
}
export type Vault = ReturnType<typeof vault>;
