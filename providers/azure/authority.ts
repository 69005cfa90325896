import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import type { KeyVaultKey } from "@azure/keyvault-keys";
import type { X509Certificate } from "@peculiar/x509";
import { DiskError } from "../../agent/host/host.ts";
import { certificatesIn, isAuthority } from "../chain.ts";
import { CallFailed, type CallPlace, type Gate } from "../provider.ts";
import type { AzureCalls, AzureContext } from "./call.ts";
import { MAX_CHAIN_BYTES } from "./limits.ts";

/** A CA whose key lies in a key vault, and which can sign now. */
export type VaultAuthority = {
  /** Its own certificate, then those above it. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]];
  readonly key: KeyVaultKey;
  readonly signing: Signing;
};

/** What the CA's own key signs with: the digest is as strong as the key. `jose`: RFC 7518 section 3.1, as Key Vault names it. */
export type Signing = {
  readonly jose: "ES256" | "ES384" | "RS256";
  readonly hash: "SHA-256" | "SHA-384";
  /** Of a key of the same kind, in WebCrypto's words. */
  readonly algorithm: typeof RSA | ReturnType<typeof EC>;
};

const EC = (namedCurve: string, hash: Signing["hash"]) => ({ name: "ECDSA", namedCurve, hash });
const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: "SHA-256",
};
const SIGNINGS: Readonly<Record<string, Signing>> = {
  "P-256": { jose: "ES256", hash: "SHA-256", algorithm: EC("P-256", "SHA-256") },
  "P-384": { jose: "ES384", hash: "SHA-384", algorithm: EC("P-384", "SHA-384") },
  RSA: { jose: "RS256", hash: "SHA-256", algorithm: RSA },
};

/** The CA's certificates are a file on this machine: read through the gate like everything a command reads. */
export const CHAIN_OPERATION = { operation: "local.chain.read", kind: "read", method: "read" } as const;

export function chainPlace(path: string): CallPlace {
  return { host: path, region: "local", method: "read" };
}

type Reading = {
  readonly context: AzureContext;
  readonly calls: AzureCalls;
  readonly gate: Gate;
  readonly authority: string;
};

/** Throws CallFailed: `missing` for one that the config or the vault does not have, `authority-…` when it cannot issue. */
export async function readAuthority({ context, calls, gate, authority }: Reading): Promise<VaultAuthority> {
  const named = Object.hasOwn(context.azure.authorities, authority) ? context.azure.authorities[authority] : undefined;
  if (named === undefined) throw new CallFailed("missing", `the config has no authority ${authority}`, "none");
  const chain = await readChain(context, gate, authority, named.chain);
  const [, name = ""] = authority.split("/");
  const { version } = named;
  const key = await calls.send("vault", ({ keys }) => keys.getKey(name, { version }));
  if (key.properties.version !== version || key.name !== name) throw new CallFailed("malformed", "another key", "none");
  if (key.properties.enabled !== true) throw new CallFailed("authority-disabled", "its key is not enabled", "none");
  if (key.keyOperations?.includes("sign") !== true)
    throw new CallFailed("authority-key", "its key may not sign", "none");
  if (!isKeyOf(key, chain[0])) throw new CallFailed("authority-key", "its certificate is of another key", "none");
  return { chain, key, signing: signingOf(key) };
}

export async function readChain(
  { host }: Pick<AzureContext, "host">,
  gate: Gate,
  authority: string,
  path: string,
): Promise<VaultAuthority["chain"]> {
  const text = await gate.call(CHAIN_OPERATION.operation, authority, async (leave) => {
    leave(chainPlace(path), "writing");
    try {
      return { value: new TextDecoder().decode(host.disk.read(path, MAX_CHAIN_BYTES).bytes), request: null };
    } catch (error) {
      throw error instanceof DiskError ? new CallFailed("chain-unreadable", `${path}: ${error.code}`, "none") : error;
    }
  });
  const [own, ...above] = certificatesIn(text);
  if (own === undefined) throw new CallFailed("chain-unreadable", `${path} holds no certificate`, "none");
  if (!isAuthority([own, ...above]))
    throw new CallFailed("authority-chain", "its certificates are not a chain of authorities", "none");
  return [own, ...above];
}

function kindOf(key: KeyVaultKey): string {
  const type = key.keyType ?? "";
  return type.startsWith("RSA") ? "RSA" : (key.key?.crv ?? type);
}

function signingOf(key: KeyVaultKey): Signing {
  const kind = kindOf(key);
  const signing = Object.hasOwn(SIGNINGS, kind) ? SIGNINGS[kind] : undefined;
  if (signing === undefined) throw new CallFailed("authority-key", `its key is of the type ${kind}`, "none");
  return signing;
}

/** The vault's public key and the certificate's are the same numbers (RFC 7517). */
function isKeyOf({ key }: KeyVaultKey, certificate: X509Certificate): boolean {
  const own = createPublicKey({ key: Buffer.from(certificate.publicKey.rawData), format: "der", type: "spki" });
  const wanted = own.export({ format: "jwk" });
  const names = wanted.kty === "RSA" ? (["n", "e"] as const) : (["x", "y"] as const);
  return names.every((name) => {
    const [given, number] = [key?.[name], wanted[name]];
    return given !== undefined && number !== undefined && Buffer.from(number, "base64url").equals(Buffer.from(given));
  });
}
