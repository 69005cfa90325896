import "reflect-metadata";
import type { X509Certificate } from "@peculiar/x509";
import type { Validity } from "../issued.ts";
import { leafOf, requestOf, serialOf } from "../leaf.ts";
import { CallFailed, type JudgedCertificateArgs } from "../provider.ts";
import type { Signing } from "./authority.ts";

/** A certificate without its signature (RFC 5280 section 4.1): `tbs` is what is signed, `algorithm` what it says it is signed with. Both DER. */
export type Unsigned = { readonly tbs: Uint8Array; readonly algorithm: Uint8Array };

/**
 * What the CA's key is to sign: the request's key and subject, the names and usages that were judged, and a serial number that is the
 * command's. The generator signs it with a key of the same kind that is thrown away at once; its signature is never put to use.
 */
export async function unsigned(
  args: JudgedCertificateArgs,
  command: string,
  validity: Validity,
  chain: readonly [X509Certificate, ...X509Certificate[]],
  signing: Signing,
): Promise<Unsigned> {
  const { privateKey } = (await crypto.subtle.generateKey(signing.algorithm, false, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const leaf = await leafOf({
    ...{ args, request: await requestOf(args), serial: serialOf(command), issuer: chain[0] },
    ...{
      notBefore: dateOf(validity.from),
      notAfter: dateOf(validity.until),
      key: privateKey,
      algorithm: signing.algorithm,
    },
  });
  return partsOf(new Uint8Array(leaf.rawData));
}

function dateOf(seconds: number): X509Certificate["notBefore"] {
  // biome-ignore lint/style/noRestrictedGlobals: A date made of a number reads no clock.
  return new Date(seconds * 1000);
}

/** One DER element from `at` on: where its content begins, and where it ends. Lengths are the generator's own, so definite and short. */
function element(der: Uint8Array, at: number): { readonly content: number; readonly end: number } {
  const first = der[at + 1] ?? 0;
  if (first < 0x80) return { content: at + 2, end: at + 2 + first };
  const bytes = first & 0x7f;
  const length = der.subarray(at + 2, at + 2 + bytes).reduce((sum, byte) => sum * 256 + byte, 0);
  return { content: at + 2 + bytes, end: at + 2 + bytes + length };
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } */
function partsOf(certificate: Uint8Array): Unsigned {
  const { content } = element(certificate, 0);
  const { end: middle } = element(certificate, content);
  const { end } = element(certificate, middle);
  return { tbs: certificate.slice(content, middle), algorithm: certificate.slice(middle, end) };
}

/** The whole certificate, DER. `signature`: as Key Vault gives it, which for EC keys is two numbers side by side (RFC 7518 section 3.4). */
export function signedWith({ tbs, algorithm }: Unsigned, signature: Uint8Array, { jose }: Signing): Uint8Array {
  const value = jose === "RS256" ? signature : ecSignature(signature);
  return sequence([tbs, algorithm, tagged(0x03, Uint8Array.of(0, ...value))]);
}

/** Ecdsa-Sig-Value (RFC 3279 section 2.2.3). */
function ecSignature(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  if (half !== 32 && half !== 48) throw new CallFailed("malformed", "a signature of another length", "unknown");
  return sequence([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
}

function integer(big: Uint8Array): Uint8Array {
  const start = big.findIndex((byte) => byte !== 0);
  const short = start < 0 ? Uint8Array.of(0) : big.subarray(start);
  return tagged(0x02, (short[0] ?? 0) < 0x80 ? short : Uint8Array.of(0, ...short));
}

function sequence(parts: readonly Uint8Array[]): Uint8Array {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.of(tag, ...size, ...content);
}
