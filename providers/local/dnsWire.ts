import { createHmac, timingSafeEqual } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import type { DnsType } from "../../policy/asked.ts";

/** DNS messages as far as queries and updates of single record sets need them: RFC 1035, 2136 (UPDATE), 8945 (TSIG). Pure. */
export const TYPES: Readonly<Record<DnsType | "SOA", number>> = { A: 1, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28 };
export const CLASS_IN = 1;
export const CLASS_NONE = 254;
export const CLASS_ANY = 255;
export const TYPE_ANY = 255;
const TYPE_TSIG = 250;
const OPCODE_UPDATE = 5;
/** Seconds that the two clocks may be apart (RFC 8945 section 10 recommends it). */
export const TSIG_FUDGE_SECONDS = 300;
const MAX_POINTERS = 32;
const MAX_RECORDS = 512;
const MAX_CHARACTER_STRING = 255;

export const RCODES: readonly string[] = [
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "YXDOMAIN",
  "YXRRSET",
  "NXRRSET",
  "NOTAUTH",
  "NOTZONE",
];

export type DnsRecord = {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Uint8Array;
};
export type TsigKey = {
  readonly name: string;
  readonly algorithm: "hmac-sha256" | "hmac-sha512";
  readonly secret: Uint8Array;
};
/** `id`: 0 to 65535. `name` of the question is the zone for an update (RFC 2136 section 2.3). */
export type Message = {
  readonly id: number;
  readonly update: boolean;
  readonly question: { readonly name: string; readonly type: number };
  readonly prerequisites: readonly DnsRecord[];
  readonly changes: readonly DnsRecord[];
};
export type Signed = { readonly bytes: Uint8Array; readonly mac: Uint8Array };
export type Answer = {
  readonly rcode: string;
  readonly authoritative: boolean;
  readonly answers: readonly DnsRecord[];
};

/** An answer that is not one, or not surely the server's. `code` is short and stable. */
export class BadAnswer extends Error {
  constructor(
    readonly code:
      | "dns-malformed"
      | "dns-other"
      | "dns-truncated"
      | "tsig-missing"
      | "tsig-wrong"
      | "tsig-time"
      | "tsig-error",
  ) {
    super(code);
    this.name = "BadAnswer";
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
function u48(value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(value, 0, 6);
  return bytes;
}

/** A name without trailing dot as labels, never compressed. Throws RangeError for one that has none. */
export function encodeName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, "latin1");
    if (bytes.length < 1 || bytes.length > 63) throw new RangeError("a label has 1 to 63 bytes");
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const encoded = Buffer.concat([...parts, Buffer.from([0])]);
  if (encoded.length > 255) throw new RangeError("a name has at most 255 bytes");
  return encoded;
}

function encodeRecord(record: DnsRecord): Buffer {
  const { name, type, ttl, data } = record;
  return Buffer.concat([encodeName(name), u16(type), u16(record.class), u32(ttl), u16(data.length), data]);
}

/** The message with its TSIG record (RFC 8945 section 4.2). `now`: unix seconds. */
export function encode(message: Message, key: TsigKey, now: number): Signed {
  const { id, update, question, prerequisites, changes } = message;
  const header = (additional: number) =>
    Buffer.concat([
      u16(id),
      u16(update ? OPCODE_UPDATE << 11 : 0),
      u16(1),
      u16(prerequisites.length),
      u16(changes.length),
      u16(additional),
    ]);
  const body = Buffer.concat([
    encodeName(question.name),
    u16(question.type),
    u16(CLASS_IN),
    ...prerequisites.map(encodeRecord),
    ...changes.map(encodeRecord),
  ]);
  const time = { signed: now, fudge: TSIG_FUDGE_SECONDS };
  const mac = hmac(key, [header(0), body, variables(key, time, 0, Buffer.alloc(0))]);
  const data = Buffer.concat([
    encodeName(key.algorithm),
    u48(time.signed),
    u16(time.fudge),
    u16(mac.length),
    mac,
    u16(id),
    u16(0),
    u16(0),
  ]);
  const tsig = encodeRecord({ name: key.name, type: TYPE_TSIG, class: CLASS_ANY, ttl: 0, data });
  return { bytes: Buffer.concat([header(1), body, tsig]), mac };
}

function hmac(key: TsigKey, parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac(key.algorithm === "hmac-sha256" ? "sha256" : "sha512", key.secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** RFC 8945 section 4.3.3. */
function variables(key: TsigKey, time: { signed: number; fudge: number }, error: number, other: Uint8Array): Buffer {
  return Buffer.concat([
    encodeName(key.name.toLowerCase()),
    u16(CLASS_ANY),
    u32(0),
    encodeName(key.algorithm),
    u48(time.signed),
    u16(time.fudge),
    u16(error),
    u16(other.length),
    other,
  ]);
}

type Reader = { readonly bytes: Buffer; at: number };

function take(reader: Reader, length: number): Buffer {
  const taken = reader.bytes.subarray(reader.at, reader.at + length);
  if (taken.length !== length) throw new BadAnswer("dns-malformed");
  reader.at += length;
  return taken;
}

/** A name in lower case without trailing dot; pointers go backwards only (RFC 1035 section 4.1.4). */
function takeName(reader: Reader): string {
  const labels: string[] = [];
  let at = reader.at;
  let end: number | null = null;
  for (let pointers = 0, size = 0; ; ) {
    const length = reader.bytes[at];
    if (length === undefined) throw new BadAnswer("dns-malformed");
    if (length === 0) {
      reader.at = end ?? at + 1;
      return labels.join(".");
    }
    if (length >= 0xc0) {
      const low = reader.bytes[at + 1];
      if (low === undefined || ++pointers > MAX_POINTERS) throw new BadAnswer("dns-malformed");
      const target = ((length & 0x3f) << 8) | low;
      if (target >= at) throw new BadAnswer("dns-malformed");
      end ??= at + 2;
      at = target;
      continue;
    }
    const label = reader.bytes.subarray(at + 1, at + 1 + length);
    size += length + 1;
    // A dot inside a label would read as two labels.
    if (length > 63 || label.length !== length || size > 254 || label.includes(0x2e))
      throw new BadAnswer("dns-malformed");
    labels.push(label.toString("latin1").toLowerCase());
    at += length + 1;
  }
}

function takeRecord(reader: Reader): DnsRecord & { readonly start: number } {
  const start = reader.at;
  const name = takeName(reader);
  const type = take(reader, 2).readUInt16BE();
  const class_ = take(reader, 2).readUInt16BE();
  const ttl = take(reader, 4).readUInt32BE();
  const length = take(reader, 2).readUInt16BE();
  const from = reader.at;
  let data: Buffer = take(reader, length);
  if (type === TYPES.CNAME) {
    const inner = { bytes: reader.bytes, at: from };
    data = encodeName(takeName(inner));
    if (inner.at !== from + length) throw new BadAnswer("dns-malformed");
  }
  return { name, type, class: class_, ttl, data, start };
}

/**
 * Reads an answer to `message` and verifies its TSIG: key name, algorithm, whole MAC over the request's MAC and every byte before the
 * record, time, error (RFC 8945 section 5.3). Throws BadAnswer for anything that is not surely the server's own answer to this request.
 */
export function decode(bytes: Uint8Array, message: Message, request: Signed, key: TsigKey, now: number): Answer {
  const reader: Reader = { bytes: Buffer.from(bytes), at: 0 };
  const header = take(reader, 12);
  const flags = header.readUInt16BE(2);
  const counts = [4, 6, 8, 10].map((offset) => header.readUInt16BE(offset));
  const [questions = 0, answers = 0, authority = 0, additional = 0] = counts;
  if (
    header.readUInt16BE(0) !== message.id ||
    (flags & 0x8000) === 0 ||
    ((flags >> 11) & 15) !== (message.update ? OPCODE_UPDATE : 0)
  )
    throw new BadAnswer("dns-other");
  if ((flags & 0x0200) !== 0) throw new BadAnswer("dns-truncated");
  if (questions > 1 || answers + authority + additional > MAX_RECORDS) throw new BadAnswer("dns-malformed");
  if (additional === 0) throw new BadAnswer("tsig-missing");
  for (let left = questions; left > 0; left--) {
    const same = takeName(reader) === message.question.name && take(reader, 2).readUInt16BE() === message.question.type;
    if (!same || take(reader, 2).readUInt16BE() !== CLASS_IN) throw new BadAnswer("dns-other");
  }
  const records = Array.from({ length: answers + authority + additional }, () => takeRecord(reader));
  if (reader.at !== reader.bytes.length) throw new BadAnswer("dns-malformed");
  const tsig = records.at(-1);
  if (tsig === undefined || tsig.type !== TYPE_TSIG) throw new BadAnswer("tsig-missing");
  if (records.slice(0, -1).some(({ type }) => type === TYPE_TSIG)) throw new BadAnswer("dns-malformed");
  verifyTsig(reader.bytes, tsig, request, message.id, key, now);
  return {
    rcode: RCODES[flags & 15] ?? `RCODE${flags & 15}`,
    authoritative: (flags & 0x0400) !== 0,
    answers: records.slice(0, answers),
  };
}

function verifyTsig(
  bytes: Buffer,
  tsig: DnsRecord & { start: number },
  request: Signed,
  id: number,
  key: TsigKey,
  now: number,
): void {
  const reader: Reader = { bytes: Buffer.from(tsig.data), at: 0 };
  const algorithm = takeName(reader);
  const signed = take(reader, 6).readUIntBE(0, 6);
  const fudge = take(reader, 2).readUInt16BE();
  const mac = take(reader, take(reader, 2).readUInt16BE());
  const original = take(reader, 2).readUInt16BE();
  const error = take(reader, 2).readUInt16BE();
  const other = take(reader, take(reader, 2).readUInt16BE());
  if (reader.at !== reader.bytes.length) throw new BadAnswer("dns-malformed");
  if (
    tsig.name !== key.name.toLowerCase() ||
    algorithm !== key.algorithm ||
    tsig.class !== CLASS_ANY ||
    tsig.ttl !== 0 ||
    original !== id
  )
    throw new BadAnswer("tsig-wrong");
  // An unsigned word that our key is not known: whoever is in between can say so too.
  if (mac.length === 0) throw new BadAnswer("tsig-missing");
  const before = Buffer.from(bytes.subarray(0, tsig.start));
  before.writeUInt16BE(before.readUInt16BE(10) - 1, 10);
  const expected = hmac(key, [
    u16(request.mac.length),
    request.mac,
    before,
    variables(key, { signed, fudge }, error, other),
  ]);
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) throw new BadAnswer("tsig-wrong");
  if (error !== 0) throw new BadAnswer("tsig-error");
  if (Math.abs(now - signed) > Math.min(fudge, TSIG_FUDGE_SECONDS)) throw new BadAnswer("tsig-time");
}

/** A value of a command as record data. Throws RangeError for a value that is none of its type. */
export function encodeValue(type: DnsType, value: string): Buffer {
  switch (type) {
    case "A":
      if (!isIPv4(value)) throw new RangeError("not an IPv4 address");
      return Buffer.from(value.split(".").map(Number));
    case "AAAA":
      return ipv6Bytes(value);
    case "CNAME":
      if (value === "") throw new RangeError("not a name");
      return encodeName(value.toLowerCase());
    case "TXT": {
      const bytes = Buffer.from(value, "utf8");
      const parts: Buffer[] = [];
      for (let at = 0; at === 0 || at < bytes.length; at += MAX_CHARACTER_STRING) {
        const part = bytes.subarray(at, at + MAX_CHARACTER_STRING);
        parts.push(Buffer.from([part.length]), part);
      }
      return Buffer.concat(parts);
    }
  }
}

function ipv6Bytes(value: string): Buffer {
  if (!isIPv6(value) || value.includes("%")) throw new RangeError("not an IPv6 address");
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(value);
  const word = (high: string | undefined, low: string | undefined) => (Number(high) * 256 + Number(low)).toString(16);
  const text = dotted === null ? value : `${dotted[1]}${word(dotted[2], dotted[3])}:${word(dotted[4], dotted[5])}`;
  const [head = "", tail] = text.split("::");
  const words = (part: string) => (part === "" ? [] : part.split(":"));
  const [front, back] = [words(head), words(tail ?? "")];
  const all = tail === undefined ? front : [...front, ...Array(8 - front.length - back.length).fill("0"), ...back];
  return Buffer.concat(all.map((part) => u16(Number.parseInt(part, 16))));
}

/** Record data as a value: dotted IPv4, RFC 5952 IPv6, a name without trailing dot, the strings of a TXT as one. Throws BadAnswer. */
export function decodeValue(type: DnsType, data: Uint8Array): string {
  const reader: Reader = { bytes: Buffer.from(data), at: 0 };
  switch (type) {
    case "A":
      if (data.length !== 4) throw new BadAnswer("dns-malformed");
      return data.join(".");
    case "AAAA":
      if (data.length !== 16) throw new BadAnswer("dns-malformed");
      return ipv6Text(reader.bytes);
    case "CNAME":
      return takeName(reader);
    case "TXT": {
      const parts: Buffer[] = [];
      while (reader.at < reader.bytes.length) parts.push(take(reader, take(reader, 1).readUInt8()));
      return Buffer.concat(parts).toString("utf8");
    }
  }
}

/** RFC 5952 sections 4.1 to 4.3: lower case, no leading zeros, the first longest run of two or more zero words as `::`. */
function ipv6Text(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  let [best, length] = [-1, 1];
  for (let from = 0; from < 8; from++) {
    let run = 0;
    while (words[from + run] === "0") run++;
    if (run > length) [best, length] = [from, run];
  }
  if (best < 0) return words.join(":");
  return `${words.slice(0, best).join(":")}::${words.slice(best + length).join(":")}`;
}
