import type { DnsType } from "../../policy/asked.ts";
import { decodeValue, encodeValue } from "../local/dnsWire.ts";

/** DNS names and values as Route 53 writes them, to and from the one spelling that a policy judges. Both throw RangeError. */

/** RFC 1035 section 3.3.14: a TXT is strings of at most 255 bytes. */
const MAX_STRING_BYTES = 255;
const STRING = /"((?:[^"\\]|\\[0-7]{3}|\\["\\])*)"/g;

const ESCAPED_DOT = "056";

/** Without the last dot, lower case, escapes undone: `\052` is the octal code of `*`. An escaped dot stays so: it separates no labels. */
export function plainName(name: string): string {
  const plain = name.replace(/\\([0-7]{3})/g, (whole, code: string) =>
    code === ESCAPED_DOT ? whole : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return plain.toLowerCase().replace(/\.$/, "");
}

/** A value of the command as it is sent. */
export function writeValue(type: DnsType, value: string): string {
  // The same values that any zone takes: what is none of its type is not sent.
  encodeValue(type, value);
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
  return byte >= 0x20 && byte < 0x7f ? char : `\\${byte.toString(8).padStart(3, "0")}`;
}

/** A value as it was read, in the one spelling that the policy and the entries hold. */
export function readValue(type: DnsType, raw: string): string {
  if (type === "TXT") return textOf(raw);
  const value = type === "CNAME" ? plainName(raw) : raw;
  // Its labels cannot be told from their spelling.
  if (type === "CNAME" && value.includes(`\\${ESCAPED_DOT}`)) throw new RangeError("a name with a dot in a label");
  return decodeValue(type, encodeValue(type, value));
}

function textOf(raw: string): string {
  const strings = [...raw.matchAll(STRING)];
  if (strings.length === 0 || raw.replace(STRING, "").trim() !== "") throw new RangeError("not quoted strings");
  const bytes = strings.flatMap(([, inside = ""]) =>
    [...inside.matchAll(/\\([0-7]{3})|\\(.)|([^\\])/gsu)].flatMap(([, code, after, plain]) =>
      code === undefined ? [...Buffer.from(after ?? plain ?? "", "utf8")] : [Number.parseInt(code, 8)],
    ),
  );
  if (bytes.some((byte) => byte > 255)) throw new RangeError("an escape is over a byte");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch (error) {
    if (error instanceof TypeError) throw new RangeError("not UTF-8");
    throw error;
  }
}
