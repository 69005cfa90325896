import type { DnsType } from "../../policy/asked.ts";
import { decodeValue, encodeValue } from "../local/dnsWire.ts";

/** Values as Azure DNS has them, to and from the one spelling that a policy judges. Both throw RangeError. */

/** RFC 1035 section 3.3.14: a TXT is strings of at most 255 bytes. */
const MAX_STRING_BYTES = 255;

/** What of an answer holds the values; anything may stand in it. */
export type Values = {
  readonly aRecords?: readonly { readonly ipv4Address?: string }[] | undefined;
  readonly aaaaRecords?: readonly { readonly ipv6Address?: string }[] | undefined;
  readonly cnameRecord?: { readonly cname?: string } | undefined;
  readonly txtRecords?: readonly { readonly value?: readonly string[] }[] | undefined;
};

/** Sorted, each once. */
export function valuesOf(type: DnsType, found: Values): readonly string[] {
  const raw: Readonly<Record<DnsType, () => readonly (string | undefined)[]>> = {
    A: () => (found.aRecords ?? []).map(({ ipv4Address }) => ipv4Address),
    AAAA: () => (found.aaaaRecords ?? []).map(({ ipv6Address }) => ipv6Address),
    CNAME: () => (found.cnameRecord === undefined ? [] : [found.cnameRecord.cname?.toLowerCase().replace(/\.$/, "")]),
    TXT: () => (found.txtRecords ?? []).map(({ value }) => value?.join("")),
  };
  const read = raw[type]().map((value) => {
    if (value === undefined) throw new RangeError("a record without a value");
    return plain(type, value);
  });
  return [...new Set(read)].sort();
}

/** One value in the policy's spelling; what is none of its type has none. */
export function plain(type: DnsType, value: string): string {
  return decodeValue(type, encodeValue(type, value));
}

/** The values of a command as they are sent. */
export function recordsOf(type: DnsType, values: readonly string[]) {
  switch (type) {
    case "A":
      return { aRecords: values.map((ipv4Address) => ({ ipv4Address })) };
    case "AAAA":
      return { aaaaRecords: values.map((ipv6Address) => ({ ipv6Address })) };
    case "CNAME":
      return { cnameRecord: { cname: values[0] ?? "" } };
    case "TXT":
      return { txtRecords: values.map((value) => ({ value: stringsOf(value) })) };
  }
}

/** In pieces of which none is cut within a character. */
function stringsOf(value: string): string[] {
  const strings = [""];
  for (const char of value) {
    const last = strings.at(-1) ?? "";
    if (Buffer.byteLength(last + char) > MAX_STRING_BYTES) strings.push(char);
    else strings[strings.length - 1] = last + char;
  }
  return strings;
}
