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
import { CLOCK_SKEW_SECONDS } from "../../agent/limits.ts";
import type { Usage } from "../../policy/asked.ts";
import { decoded, links } from "../chain.ts";
import type { JudgedCertificateArgs } from "../provider.ts";

const USAGES: Readonly<Record<Usage, string>> = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" };
const KEY_USAGES = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment;

export type Fault =
  | `issued-other-${"chain" | "key" | "subject" | "names" | "usages" | "validity"}`
  | "issued-authority";

export type Wanted = {
  readonly args: JudgedCertificateArgs;
  /** Seconds. An ACME authority decides itself how long a certificate is valid: never longer than was asked, never shorter than the rule permits. */
  readonly validity: { readonly min: number; readonly max: number };
  /** Milliseconds since 1970. */
  readonly now: number;
  /** What the chain must lead to; null: it is held to its own links. */
  readonly roots: readonly X509Certificate[] | null;
};

/** What about an issued chain, leaf first, is not as it was judged; null when all is. What does not decode is no chain. */
export function faultOf(chain: readonly [X509Certificate, ...X509Certificate[]], wanted: Wanted): Fault | null {
  const request = new Pkcs10CertificateRequest(new Uint8Array(wanted.args.csrDer));
  return decoded(() => faultBeside(request, chain, wanted), "issued-other-chain");
}

function faultBeside(
  request: Pkcs10CertificateRequest,
  [leaf, ...above]: readonly [X509Certificate, ...X509Certificate[]],
  wanted: Wanted,
): Fault | null {
  const { args, roots } = wanted;
  const chain = [leaf, ...above];
  if (!links(chain) || above.length === 0 || !above.every(signs) || !leads(chain, roots)) return "issued-other-chain";
  // Each on its own: OpenSSL's word (`ca`) would let one pass that says so and may not sign.
  const usages = leaf.getExtension(KeyUsagesExtension)?.usages ?? 0;
  const authority = leaf.getExtension(BasicConstraintsExtension)?.ca === true;
  if (authority || (usages & KeyUsageFlags.keyCertSign) !== 0) return "issued-authority";
  const key = (of: X509Certificate | Pkcs10CertificateRequest) => Buffer.from(of.publicKey.rawData);
  if (!key(leaf).equals(key(request))) return "issued-other-key";
  const named = leaf.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const judged = args.names.map((name) => `dns:${name}`);
  if (
    !sameSet(
      named.map(({ type, value }) => `${type}:${value}`),
      judged,
    )
  )
    return "issued-other-names";
  // Authorities leave the subject out, or put one of the names there, whatever the request says.
  const subjects = ["", ...args.names.map((name) => `CN=${name}`)];
  if (!subjects.includes(leaf.subject)) return "issued-other-subject";
  const extended = leaf.getExtension(ExtendedKeyUsageExtension)?.usages.map(String) ?? [];
  if (
    !sameSet(
      extended,
      args.usages.map((usage) => USAGES[usage]),
    )
  )
    return "issued-other-usages";
  if ((usages & ~KEY_USAGES) !== 0 || (usages & KeyUsageFlags.digitalSignature) === 0) return "issued-other-usages";
  return valid(leaf, wanted) ? null : "issued-other-validity";
}

function signs(certificate: X509Certificate): boolean {
  const usages = certificate.getExtension(KeyUsagesExtension)?.usages ?? KeyUsageFlags.keyCertSign;
  return certificate.getExtension(BasicConstraintsExtension)?.ca === true && (usages & KeyUsageFlags.keyCertSign) !== 0;
}

/** The last of the chain is a root, or signed by one. */
function leads(chain: readonly X509Certificate[], roots: readonly X509Certificate[] | null): boolean {
  const last = chain.at(-1);
  if (roots === null || last === undefined) return roots === null;
  return roots.some((root) => root.equal(last) || links([last, root]));
}

/** It holds now, and as long as the rule and the command say; both ends are inclusive (RFC 5280 section 4.1.2.5). */
function valid({ notBefore, notAfter }: X509Certificate, { validity, now }: Wanted): boolean {
  const seconds = (notAfter.getTime() - notBefore.getTime()) / 1000 + 1;
  const begun = notBefore.getTime() <= now + CLOCK_SKEW_SECONDS * 1000;
  return begun && notAfter.getTime() > now && seconds >= validity.min && seconds <= validity.max;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return [...new Set(a)].sort().join("\n") === [...new Set(b)].sort().join("\n");
}
