/** DNS names and values as Route 53 writes, orders and refuses them. */
import { isIPv4, isIPv6 } from "node:net";

/** A name's labels as bytes: `\052` is the octal code of `*`. */
function unescaped(name: string): string {
  return name.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)));
}

/** As answers hold it: lower case, a dot at the end, every character but a-z, 0-9, `-`, `_` and `.` as its octal code. */
export function namedIn(name: string): string {
  const lower = unescaped(name).toLowerCase();
  const escaped = lower.replace(/[^a-z0-9._-]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);
  return escaped.endsWith(".") ? escaped : `${escaped}.`;
}

/** As the condition key `ChangeResourceRecordSetsNormalizedRecordNames` holds it: the same without the last dot. */
export function normalName(name: string): string {
  return namedIn(name).slice(0, -1);
}

/** ASCII order of names with their labels reversed, the dots included: `com.example.www.` */
export function compareNames(a: string, b: string): number {
  const reversed = (name: string) => `${unescaped(name).replace(/\.$/, "").split(".").reverse().join(".")}.`;
  const [x, y] = [reversed(a), reversed(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

export function within(name: string, zone: string): boolean {
  const [inner, outer] = [namedIn(name), namedIn(zone)];
  return inner === outer || inner.endsWith(`.${outer}`);
}

/** Why Route 53 does not take a value of this type; null when it does. */
export function refusedValue(type: string, value: string): string | null {
  const fatal = (what: string) => `Invalid Resource Record: 'FATAL problem: ${what} encountered with '${value}''`;
  if (type === "A" && !isIPv4(value)) return fatal("ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)");
  if (type === "AAAA" && !isIPv6(value))
    return fatal("AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)");
  if (type !== "TXT") return null;
  const strings = [...value.matchAll(/"((?:[^"\\]|\\.)*)"\s*/g)];
  if (strings.length === 0 || strings.map(([whole]) => whole).join("") !== value)
    return fatal("InvalidCharacterString (Value should be enclosed in quotation marks)");
  if (strings.some(([, text = ""]) => text.replace(/\\\d{3}|\\./g, "x").length > 255))
    return fatal("CharacterStringTooLong (Value is too long)");
  return null;
}
