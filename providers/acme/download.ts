import type { X509Certificate } from "@peculiar/x509";
import { certificatesIn } from "../chain.ts";
import { CallFailed, type Changed } from "../provider.ts";
import type { Ordering } from "./order.ts";

/** Of a chain, the leaf included: more certificates are no answer. */
const MAX_CHAIN = 10;
/** Hexadecimal digits that are on record. RFC 5280 section 4.1.2.2: at most 40. */
const MAX_SERIAL = 128;

/** The issued chain, leaf first (RFC 8555 section 7.4.2). Throws CallFailed; what was issued stays issued, so its effect is unknown. */
export async function download(
  { calls, signer }: Pick<Ordering, "calls" | "signer">,
  url: string,
): Promise<[X509Certificate, ...X509Certificate[]]> {
  try {
    const { body } = await calls.post("acme:certificate", url, null, signer);
    const [leaf, ...above] = certificatesIn(new TextDecoder().decode(body));
    if (above.length >= MAX_CHAIN) throw new CallFailed("malformed", `more than ${MAX_CHAIN} certificates`, "none");
    if (leaf === undefined) throw new CallFailed("malformed", "its answer is no certificate", "none");
    return [leaf, ...above];
  } catch (error) {
    throw error instanceof CallFailed ? new CallFailed(error.status, error.words, "unknown") : error;
  }
}

/** By its serial number, which the authority's own lists know it by. */
export function issuedChange({ serialNumber }: X509Certificate): Changed {
  return { what: "certificate", from: null, to: serialNumber.slice(0, MAX_SERIAL) };
}
