/**
 * IP addresses and CIDRs, one spelling each: IPv4 as four decimals without leading zeros, IPv6 exactly as RFC 5952 section 4 says
 * (lower case, the longest run of zeros as `::`). The mixed form of section 5 (`::ffff:10.0.0.1`) is refused: it would be a second spelling.
 */
export type Address = readonly number[];
export type Cidr = { readonly bytes: Address; readonly bits: number; readonly text: string };

function parseV4(text: string): Address | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

function groups(text: string): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  return parts.every((part) => /^[0-9a-f]{1,4}$/.test(part)) ? parts.map((part) => Number.parseInt(part, 16)) : null;
}

/** RFC 5952 section 4.2: the first longest run of at least two zero groups is `::`. */
function v6Text(all: readonly number[]): string {
  let best = { at: 0, length: 1 };
  for (let at = 0; at < all.length; at++) {
    let length = 0;
    while (all[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = (some: readonly number[]): string => some.map((group) => group.toString(16)).join(":");
  if (best.length < 2) return hex(all);
  return `${hex(all.slice(0, best.at))}::${hex(all.slice(best.at + best.length))}`;
}

function parseV6(text: string): Address | null {
  if (text.length > 39) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groups(halves[0] ?? "");
  const tail = groups(halves[1] ?? "");
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  if (v6Text(all) !== text) return null;
  return all.flatMap((group) => [group >> 8, group & 255]);
}

/** The bytes of an address (4 or 16) in its one spelling; null for anything else. */
export function parseAddress(text: string): Address | null {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

/** The one spelling of an address of 4 or 16 bytes. */
export function addressText(bytes: Address): string {
  if (bytes.length === 4) return bytes.join(".");
  const pairs = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0));
  return v6Text(pairs);
}

function bit(bytes: Address, at: number): number {
  return ((bytes[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
}

export function parseCidr(text: string): Cidr | { readonly fault: string } {
  const match = /^([0-9a-f.:]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const bytes = parseAddress(match?.[1] ?? "");
  const bits = Number(match?.[2]);
  if (bytes === null || bits > bytes.length * 8) return { fault: "a CIDR such as 10.20.0.0/16 or 2001:db8::/32" };
  if (bits === 0) return { fault: "a /0 is every address" };
  for (let at = bits; at < bytes.length * 8; at++) {
    if (bit(bytes, at) !== 0) return { fault: `bits after the first ${bits} must be zero` };
  }
  return { bytes, bits, text };
}

/** Whether an address lies inside; never across families. */
export function inside(address: Address, cidr: Cidr): boolean {
  if (address.length !== cidr.bytes.length) return false;
  for (let at = 0; at < cidr.bits; at++) if (bit(address, at) !== bit(cidr.bytes, at)) return false;
  return true;
}

/** Whether a record's value is an address of its type, in the one spelling. */
export function isAddressOf(type: "A" | "AAAA", value: string): boolean {
  return parseAddress(value)?.length === (type === "A" ? 4 : 16);
}
