import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { dirname } from "node:path";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";
import { type Disk, DiskError } from "../../agent/host/host.ts";
import { CallFailed } from "../provider.ts";
import { MAX_KEY_BYTES } from "./limits.ts";

/** An account's key (RFC 8555 section 6.2), P-256. `thumbprint`: RFC 7638, what a challenge is answered with. */
export type AccountKey = { readonly key: KeyObject; readonly jwk: JWK; readonly thumbprint: string };

/** Null: there is none. `uid`: the agent's own user, whose it must be, or root's. Throws CallFailed for one that others could read, or that is no P-256 key. */
export async function readAccountKey(disk: Disk, uid: number, path: string): Promise<AccountKey | null> {
  if (!disk.exists(path)) return null;
  const { bytes, stat } = failing(() => disk.read(path, MAX_KEY_BYTES));
  const unfit = (words: string) => new CallFailed("account-key", `${path}: ${words}`, "none");
  if (stat.kind !== "file" || (stat.mode & 0o077) !== 0) throw unfit("it may be read by others: chmod 600 it");
  if (stat.uid !== 0 && stat.uid !== uid) throw unfit("it belongs to another user");
  let key: KeyObject;
  try {
    key = createPrivateKey(Buffer.from(bytes));
  } catch {
    throw unfit("it is not a private key in PEM");
  }
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
    throw unfit("it is not a key of P-256");
  const jwk = await exportJWK(createPublicKey(key));
  return { key, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

/** The account's key; where there is none, one made on this machine that is durable before anybody hears of it. */
export async function accountKey(disk: Disk, uid: number, path: string): Promise<AccountKey> {
  const there = await readAccountKey(disk, uid, path);
  if (there !== null) return there;
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });
  failing(() => {
    disk.makeDirectory(dirname(path), 0o700);
    // If we stop before this returns no account has this key; once it returns, every start finds it.
    disk.replace(path, new TextEncoder().encode(pem.toString()), 0o600);
  });
  const made = await readAccountKey(disk, uid, path);
  if (made === null) throw new Error("a key that was written is not there");
  return made;
}

function failing<T>(then: () => T): T {
  try {
    return then();
  } catch (error) {
    throw error instanceof DiskError ? new CallFailed(error.code, error.message, "none") : error;
  }
}
