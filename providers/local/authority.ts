import "reflect-metadata";
import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from "node:crypto";
import { geteuid } from "node:process";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  X509Certificate,
} from "@peculiar/x509";
import type { Disk } from "../../agent/host/host.ts";
import { CallFailed } from "../provider.ts";

const MAX_KEY_BYTES = 16 * 1024;
const MAX_CHAIN_BYTES = 64 * 1024;
/** With the leaf an outcome holds four. */
const MAX_CHAIN = 3;
const MIN_RSA_BITS = 2048;

type Signing = {
  readonly importing: webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams | webcrypto.Algorithm;
  readonly signing: webcrypto.EcdsaParams | webcrypto.Algorithm;
};
export type Authority = {
  readonly certificate: X509Certificate;
  /** PEM, the issuing certificate first. */
  readonly chain: readonly X509Certificate[];
  readonly key: CryptoKey;
  readonly signing: Signing["signing"];
};

/** ca.crt: the issuing CA's certificate, and those above it. Throws CallFailed when it is not a CA's. */
export function readChain(disk: Disk, directory: string): readonly X509Certificate[] {
  const text = new TextDecoder().decode(disk.read(`${directory}/ca.crt`, MAX_CHAIN_BYTES).bytes);
  let chain: X509Certificate[];
  try {
    chain = PemConverter.decode(text).map((der) => new X509Certificate(der));
  } catch (error) {
    throw new CallFailed("authority-unreadable", `ca.crt: ${String(error)}`, "none");
  }
  const [first] = chain;
  if (first === undefined || chain.length > MAX_CHAIN)
    throw new CallFailed("authority-unreadable", `ca.crt holds one to ${MAX_CHAIN} certificates`, "none");
  const usage = first.getExtension(KeyUsagesExtension);
  const signs = usage === null || (usage.usages & KeyUsageFlags.keyCertSign) !== 0;
  if (first.getExtension(BasicConstraintsExtension)?.ca !== true || !signs)
    throw new CallFailed(
      "not-an-authority",
      "ca.crt is not a certificate that may sign others (RFC 5280 section 4.2.1.9)",
      "none",
    );
  return chain;
}

/** The authority with its key: 0600 or stricter, the agent's own or root's, no link. Throws CallFailed and DiskError. */
export async function openAuthority(disk: Disk, directory: string): Promise<Authority> {
  const chain = readChain(disk, directory);
  const [certificate] = chain;
  if (certificate === undefined) throw new Error("an empty chain was read");
  const { bytes, stat } = disk.read(`${directory}/ca.key`, MAX_KEY_BYTES);
  if ((stat.mode & 0o077) !== 0)
    throw new CallFailed("key-permission", "ca.key may be read by others: chmod 600 it", "none");
  if (stat.uid !== 0 && stat.uid !== geteuid?.())
    throw new CallFailed("key-owner", "ca.key belongs to another user", "none");
  if (stat.links !== 1) throw new CallFailed("key-permission", "ca.key has a second name (a hard link)", "none");
  let key: KeyObject;
  try {
    key = createPrivateKey(Buffer.from(bytes));
  } catch (error) {
    throw new CallFailed("key-unreadable", `ca.key: ${String(error)}`, "none");
  }
  const { importing, signing } = signingOf(key);
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  if (!spki.equals(Buffer.from(certificate.publicKey.rawData)))
    throw new CallFailed("key-other", "ca.key is not the key of ca.crt", "none");
  const pkcs8 = new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
  return {
    certificate,
    chain,
    signing,
    key: await crypto.subtle.importKey("pkcs8", pkcs8, importing, false, ["sign"]),
  };
}

/** Keys of 112 bits of strength or more. */
function signingOf(key: KeyObject): Signing {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const ecdsa = (curve: string, hash: string) => ({
    importing: { name: "ECDSA", namedCurve: curve },
    signing: { name: "ECDSA", namedCurve: curve, hash },
  });
  if (key.asymmetricKeyType === "ec" && namedCurve === "prime256v1") return ecdsa("P-256", "SHA-256");
  if (key.asymmetricKeyType === "ec" && namedCurve === "secp384r1") return ecdsa("P-384", "SHA-384");
  if (key.asymmetricKeyType === "ed25519") return { importing: { name: "Ed25519" }, signing: { name: "Ed25519" } };
  if (key.asymmetricKeyType === "rsa" && modulusLength >= MIN_RSA_BITS) {
    const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return { importing: rsa, signing: rsa };
  }
  throw new CallFailed("key-type", "ca.key is none of P-256, P-384, Ed25519, RSA of 2048 bits or more", "none");
}
