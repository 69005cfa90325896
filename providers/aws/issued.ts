import type { X509Certificate } from "@peculiar/x509";
import { CLOCK_SKEW_SECONDS } from "../../agent/limits.ts";
import { type Fault, faultOf as faultOfIssued, secondsOf } from "../issued.ts";
import { CallFailed, type JudgedCertificateArgs } from "../provider.ts";

/** When an issued certificate is valid: unix seconds, both ends inclusive (RFC 5280 section 4.1.2.5). */
export type Validity = { readonly from: number; readonly until: number };

/** A short certificate is dated back by no more than this part of it. */
const BACKDATE_PART = 10;

/** Dated back for clocks that run behind; as a whole no longer than asked, and never beyond any certificate above it. */
export function validityOf(now: number, seconds: number, chain: readonly X509Certificate[]): Validity {
  const present = Math.floor(now / 1000);
  const earliest = Math.max(...chain.map(({ notBefore }) => secondsOf(notBefore)));
  const latest = Math.min(...chain.map(({ notAfter }) => secondsOf(notAfter)));
  if (present < earliest || present >= latest)
    throw new CallFailed("authority-expired", "the authority's certificates are not valid now", "none");
  const from = Math.max(present - Math.min(CLOCK_SKEW_SECONDS, Math.floor(seconds / BACKDATE_PART)), earliest);
  return { from, until: Math.min(from + seconds - 1, latest) };
}

/** What about an issued chain is not as it was judged and asked for; null when all is: AWS is told both ends of its validity. */
export function faultOf(
  leaf: X509Certificate,
  above: readonly X509Certificate[],
  wanted: {
    readonly args: JudgedCertificateArgs;
    readonly chain: readonly X509Certificate[];
    readonly validity: Validity;
  },
): Fault | null {
  const { args, chain, validity } = wanted;
  const inTime = (from: number, until: number): boolean => from === validity.from && until === validity.until;
  return faultOfIssued(leaf, above, { args, chain, inTime });
}
