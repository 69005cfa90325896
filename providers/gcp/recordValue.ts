import type { DnsType } from "../../policy/asked.ts";
import { decodeValue, encodeValue } from "../local/dnsWire.ts";

/** DNS values as Cloud DNS writes them, in a zone file's form (RFC 1035 section 5.1), to and from the one spelling of a policy. Both throw RangeError. */

/** RFC 1035 section 3.3.14: a TXT is strings of at most 255 bytes. */
const MAX_STRING_BYTES = 255;
const STRING = /"((?:[^"\\]|\\[0-9]{3}|\\[^0-9])*)"|([^\s"\\]+)/g;

/** A value of the command as it is sent. */
export function writeValue(type: DnsType, value: string): string {
  // The same values that any zone takes: what is none of its type is not sent.
  encodeValue(type, value);
  if (type === "CNAME") return `${value}.`;
  if (type !== "TXT") return value;
  const bytes = Buffer.from(value, "utf8");
  const strings: string[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += MAX_STRING_BYTES)
    strings.push(`"${[...bytes.subarray(at, at + MAX_STRING_BYTES)].map(escaped).join("")}"`);
  return strings.join(" ");
}

function escaped(byte: number): string {
  const char = String.fromCharCode(byte);
  if (char === '"' || char === "\\") return `\\${char}`;
  return byte >= 0x20 && byte < 0x7f ? char : `\\${byte.toString().padStart(3, "0")}`;
}

/** A value as it was read, in the one spelling that the policy and the entries hold. */
export function readValue(type: DnsType, raw: string): string {
  if (type === "TXT") return textOf(raw);
  // Its labels cannot be told from their spelling.
  if (type === "CNAME" && raw.includes("\\")) throw new RangeError("a name with an escape");
  const value = type === "CNAME" ? raw.toLowerCase().replace(/\.$/, "") : raw;
  return decodeValue(type, encodeValue(type, value));
}

function textOf(raw: string): string {
  const strings = [...raw.matchAll(STRING)];
  if (strings.length === 0 || raw.replace(STRING, "").trim() !== "") throw new RangeError("not character strings");
  const bytes = strings.flatMap(([, quoted, plain = ""]) =>
    quoted === undefined ? [...Buffer.from(plain, "utf8")] : unescaped(quoted),
  );
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch (error) {
    if (error instanceof TypeError) throw new RangeError("not UTF-8");
    throw error;
  }
}

function unescaped(inside: string): number[] {
  return [...inside.matchAll(/\\([0-9]{3})|\\(.)|([^\\])/gsu)].flatMap(([, code, after, plain]) => {
    if (code === undefined) return [...Buffer.from(after ?? plain ?? "", "utf8")];
    if (Number(code) > 255) throw new RangeError("an escape is over a byte");
    return [Number(code)];
  });
}
