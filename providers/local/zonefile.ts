import type { Disk } from "../../agent/host/host.ts";
import type { DnsArgs, DnsType } from "../../policy/asked.ts";
import { CallFailed } from "../provider.ts";
import type { RecordSet } from "./dns.ts";
import { decodeValue, encodeValue } from "./dnsWire.ts";

/**
 * A master file (RFC 1035 section 5) of the plain kind: one record a line. Lines of other names stay byte for byte as they are; a file
 * that cannot be read in one way only is refused as a whole ("zonefile-unclear"), above all where it touches the asked name.
 */
const MAX_ZONEFILE_BYTES = 4 * 1024 * 1024;
const MAX_TEXT_BYTES = 255;

type Token = { readonly text: string; readonly quoted: boolean };
type Entry = {
  readonly from: number;
  readonly to: number;
  readonly owner: string;
  readonly inherited: boolean;
  readonly rest: readonly Token[];
};
type Line = {
  readonly tokens: readonly Token[];
  readonly indented: boolean;
  readonly open: number;
  readonly close: number;
};
type Read = {
  readonly lines: readonly string[];
  readonly mode: number;
  readonly set: RecordSet | null;
  /** The touched record's lines, one each. */
  readonly own: readonly number[];
  readonly alias: boolean;
  readonly used: boolean;
};

function unclear(line: number, why: string): CallFailed {
  return new CallFailed("zonefile-unclear", `line ${line + 1}: ${why}`, "none");
}

/** Words of one line, without its comment; `\` inside a word keeps the next character as it is. */
function tokensOf(text: string, at: number): Line {
  const tokens: Token[] = [];
  let [open, close] = [0, 0];
  let rest = text;
  while (rest !== "") {
    const word = /^(?:[ \t]+|"((?:[^"\\]|\\.)*)"|((?:[^ \t"();\\]|\\.)+)|;.*)/.exec(rest);
    if (word !== null) {
      if (word[1] !== undefined) tokens.push({ text: word[1], quoted: true });
      else if (word[2] !== undefined) tokens.push({ text: word[2], quoted: false });
      rest = rest.slice(word[0].length);
      continue;
    }
    if (rest.startsWith("(")) open++;
    else if (rest.startsWith(")")) close++;
    else throw unclear(at, "a quote or an escape without end");
    rest = rest.slice(1);
  }
  return { tokens, indented: /^[ \t]/.test(text), open, close };
}

function absolute(name: string, origin: string, at: number): string {
  if (name.includes("\\")) throw unclear(at, "an escape in a name");
  if (name === "@") return origin;
  const lower = name.toLowerCase();
  if (lower.endsWith(".")) return lower.slice(0, -1);
  return origin === "" ? lower : `${lower}.${origin}`;
}

/** A TTL in seconds, also as `1h30m`; null for what is none. */
function ttlOf(word: string): number | null {
  if (!/^(?:\d+|(?:\d+[smhdw])+)$/i.test(word)) return null;
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, "": 1 };
  return [...word.toLowerCase().matchAll(/(\d+)([smhdw]?)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ""] ?? 1),
    0,
  );
}

type Parsed = { readonly entry: Entry; readonly origin: string; readonly defaultTtl: number | null };

/** Every record with its owner and lines. */
function entriesOf(lines: readonly string[], zone: string): Parsed[] {
  const parsed: Parsed[] = [];
  let origin = zone;
  let defaultTtl: number | null = null;
  let owner: string | null = null;
  for (let at = 0; at < lines.length; at++) {
    const from = at;
    const first = tokensOf(lines[at] ?? "", at);
    const tokens = [...first.tokens];
    let depth = first.open - first.close;
    while (depth > 0) {
      at++;
      if (at >= lines.length) throw unclear(from, "a bracket without end");
      const next = tokensOf(lines[at] ?? "", at);
      tokens.push(...next.tokens);
      depth += next.open - next.close;
    }
    if (depth < 0) throw unclear(at, "a bracket without begin");
    const [head] = tokens;
    if (head === undefined) continue;
    if (!first.indented && !head.quoted && head.text.startsWith("$")) {
      const directive = head.text.toUpperCase();
      const value = tokens[1]?.text ?? "";
      if (tokens.length !== 2 || from !== at) throw unclear(from, "a directive has one word, on its line");
      if (directive === "$ORIGIN") origin = absolute(value, origin, from);
      else if (directive === "$TTL") defaultTtl = ttlOf(value);
      else throw unclear(from, `${directive.slice(0, 16)} is not followed`);
      continue;
    }
    if (!first.indented) owner = absolute(head.text, origin, from);
    if (owner === null) throw unclear(from, "a record without a name");
    const rest = first.indented ? tokens : tokens.slice(1);
    parsed.push({ entry: { from, to: at, owner, inherited: first.indented, rest }, origin, defaultTtl });
  }
  return parsed;
}

type Own = { readonly type: string; readonly ttl: number; readonly values: readonly Token[] };

/** TTL and class stand before the type, in either order (RFC 1035 section 5.1). */
function fieldsOf({ entry, defaultTtl }: Parsed): Own {
  let ttl = defaultTtl;
  let at = 0;
  for (; at < 2; at++) {
    const word = entry.rest[at]?.text ?? "";
    const own = ttlOf(word);
    if (own !== null) ttl = own;
    else if (word.toUpperCase() !== "IN") break;
  }
  const type = entry.rest[at]?.text.toUpperCase();
  if (type === undefined || !/^[A-Z][A-Z0-9-]*$/.test(type) || ["CH", "HS", "CS", "ANY"].includes(type))
    throw unclear(entry.from, "no type");
  if (ttl === null) throw unclear(entry.from, "no TTL");
  return { type, ttl, values: entry.rest.slice(at + 1) };
}

function textOf(token: Token, at: number): Buffer {
  const parts = [...token.text.matchAll(/\\(\d{3})|\\(.)|([^\\]+)/g)].map(([, code, kept, plain]) => {
    if (code === undefined) return Buffer.from(kept ?? plain ?? "", "utf8");
    if (Number(code) > 255) throw unclear(at, "an escape over 255");
    return Buffer.from([Number(code)]);
  });
  return Buffer.concat(parts);
}

function dataOf(type: DnsType, own: Own, { entry, origin }: Parsed): Uint8Array {
  const [first, ...more] = own.values;
  if (first === undefined || (type !== "TXT" && more.length > 0)) throw unclear(entry.from, "not one value");
  try {
    if (type === "CNAME") return encodeValue(type, absolute(first.text, origin, entry.from));
    if (type !== "TXT") return encodeValue(type, first.text);
  } catch (error) {
    if (error instanceof RangeError) throw unclear(entry.from, error.message);
    throw error;
  }
  const parts = own.values.map((token) => textOf(token, entry.from));
  if (parts.some(({ length }) => length > MAX_TEXT_BYTES)) throw unclear(entry.from, "a text over 255 bytes");
  return Buffer.concat(parts.flatMap((part) => [Buffer.from([part.length]), part]));
}

function read(disk: Disk, path: string, args: DnsArgs): Read {
  const { bytes, stat } = disk.read(path, MAX_ZONEFILE_BYTES);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  if (text.includes("\r") || text.includes("\0")) throw unclear(0, "a carriage return or a NUL in the file");
  const lines = text.split("\n");
  const parsed = entriesOf(lines, args.zone);
  const named = parsed
    .map((one, index) => ({ one, next: parsed[index + 1] }))
    .filter(({ one }) => one.entry.owner === args.name);
  const found = named.map(({ one, next }) => ({ one, next, own: fieldsOf(one) }));
  const own = found.filter((candidate) => candidate.own.type === args.type);
  const ttls = new Set(own.map((candidate) => candidate.own.ttl));
  const data = own.map(({ one, next, own: fields }) => {
    const { entry } = one;
    if (entry.from !== entry.to) throw unclear(entry.from, "the record is more than one line");
    // Without its own name it would take another's when lines move, or lend its own to the next.
    if (entry.inherited || next?.entry.inherited === true)
      throw unclear(entry.from, "records share one name without repeating it");
    return dataOf(args.type, fields, one);
  });
  const [ttl] = ttls;
  if (ttls.size > 1)
    throw unclear(own[0]?.one.entry.from ?? 0, "one record set with several TTLs (RFC 2181 section 5.2)");
  return {
    lines,
    mode: stat.mode & 0o777,
    set: ttl === undefined ? null : { data, ttl },
    own: own.map(({ one }) => one.entry.from),
    alias: found.some((candidate) => candidate.own.type === "CNAME"),
    used: found.length > 0,
  };
}

/** The record set as the file holds it. Throws CallFailed "zonefile-unclear" and DiskError. */
export function readZone(disk: Disk, path: string, args: DnsArgs): RecordSet | null {
  try {
    return read(disk, path, args).set;
  } catch (error) {
    throw notText(error);
  }
}

/**
 * The file's bytes with the wanted record set, where the old one began or at the end; every other line as it is. `check` is given the set
 * as it is now, and throws when it is not the one that was judged. Nothing is awaited between the reading and the caller's writing.
 */
export function editZone(
  disk: Disk,
  path: string,
  args: DnsArgs,
  wanted: RecordSet | null,
  check: (now: RecordSet | null) => void,
): { readonly bytes: Uint8Array; readonly mode: number } {
  let now: Read;
  try {
    now = read(disk, path, args);
  } catch (error) {
    throw notText(error);
  }
  check(now.set);
  const conflict = now.set === null && wanted !== null && (args.type === "CNAME" ? now.used : now.alias);
  if (conflict) throw new CallFailed("concurrent", "an alias is alone with its name (RFC 1034 section 3.6.2)", "none");
  const added =
    wanted?.data.map((data) => `${args.name}. ${wanted.ttl} IN ${args.type} ${shownData(args.type, data)}`) ?? [];
  const [first] = now.own;
  const lines = now.lines.flatMap((line, at) => {
    if (at === first) return added;
    return now.own.includes(at) ? [] : [line];
  });
  if (first === undefined) {
    // A last line without its end gets one.
    if (lines.at(-1) === "") lines.pop();
    lines.push(...added, "");
  }
  return { bytes: new TextEncoder().encode(lines.join("\n")), mode: now.mode };
}

function notText(error: unknown): unknown {
  return error instanceof TypeError ? new CallFailed("zonefile-unclear", "the file is not UTF-8", "none") : error;
}

function shownData(type: DnsType, data: Uint8Array): string {
  if (type === "CNAME") return `${decodeValue(type, data)}.`;
  if (type !== "TXT") return decodeValue(type, data);
  const parts: string[] = [];
  for (let at = 0; at < data.length; at += 1 + (data[at] ?? 0)) {
    const bytes = [...data.subarray(at + 1, at + 1 + (data[at] ?? 0))];
    const plain = (byte: number) => byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    parts.push(
      `"${bytes.map((byte) => (plain(byte) ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`)).join("")}"`,
    );
  }
  return parts.join(" ");
}
