import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  type X509Certificate,
} from "@peculiar/x509";
import type { Usage } from "../policy/asked.ts";
import { links, sameChain } from "./chain.ts";
import type { JudgedCertificateArgs } from "./provider.ts";

const USAGES: Readonly<Record<Usage, string>> = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" };
/** What an end entity of TLS needs, and no more. */
const KEY_USAGES = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment;

export type Fault =
  | `issued-other-${"chain" | "key" | "subject" | "names" | "usages" | "validity"}`
  | "issued-authority";

/** What about an issued chain is not as it was judged and asked for; null when all is. `above`: what came with it. */
export function faultOf(
  leaf: X509Certificate,
  above: readonly X509Certificate[],
  wanted: {
    readonly args: JudgedCertificateArgs;
    /** The authority's own chain. */
    readonly chain: readonly X509Certificate[];
    /** Whether it is valid for the time that was asked: unix seconds, both ends inclusive (RFC 5280 section 4.1.2.5). */
    readonly inTime: (from: number, until: number) => boolean;
  },
): Fault | null {
  const { args, inTime } = wanted;
  const request = new Pkcs10CertificateRequest(new Uint8Array(args.csrDer));
  const key = (of: X509Certificate | Pkcs10CertificateRequest) => Buffer.from(of.publicKey.rawData);
  const names = leaf.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const usages = leaf.getExtension(ExtendedKeyUsageExtension)?.usages.map(String) ?? [];
  const keyUsages = leaf.getExtension(KeyUsagesExtension)?.usages ?? 0;
  if (!sameChain(above, wanted.chain) || !links([leaf, ...wanted.chain])) return "issued-other-chain";
  // Each on its own: OpenSSL's word (`ca`) would let one pass that says so and may not sign.
  const authority = leaf.getExtension(BasicConstraintsExtension)?.ca === true;
  if (authority || (keyUsages & KeyUsageFlags.keyCertSign) !== 0) return "issued-authority";
  if (!key(leaf).equals(key(request))) return "issued-other-key";
  if (leaf.subject !== request.subject) return "issued-other-subject";
  const named = names.map(({ type, value }) => `${type}:${value}`);
  const judged = args.names.map((name) => `dns:${name}`);
  if (!sameSet(named, judged)) return "issued-other-names";
  const wantedUsages = args.usages.map((usage) => USAGES[usage]);
  if (!sameSet(usages, wantedUsages) || (keyUsages & ~KEY_USAGES) !== 0) return "issued-other-usages";
  if ((keyUsages & KeyUsageFlags.digitalSignature) === 0) return "issued-other-usages";
  return inTime(secondsOf(leaf.notBefore), secondsOf(leaf.notAfter)) ? null : "issued-other-validity";
}

export function secondsOf(date: X509Certificate["notBefore"]): number {
  return date.getTime() / 1000;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return [...new Set(a)].sort().join("\n") === [...new Set(b)].sort().join("\n");
}
