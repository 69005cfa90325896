/** The head of an HTTP/1.1 answer, line by line: RFC 9112, and where that leaves a choice, the stricter one. Pure. */

/** What came is no answer of HTTP/1.1 that can be taken. */
export class Malformed extends Error {}

/** Names in lower case; the values of a repeated field are joined with ", ". */
export type Head = {
  /** The digit after `HTTP/1.` */
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
};
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; left: number }
  | { readonly kind: "chunked" };

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Fields that say how long the answer is: one of them twice, saying two things, is how two readers of it disagree. */
const ONCE = new Set(["content-length", "transfer-encoding"]);

/** `lines`: the status line and the fields, without their ends. */
export function headOf(lines: readonly string[]): Head {
  const [first = "", ...rest] = lines;
  const [, version, status, reason = ""] = STATUS_LINE.exec(first) ?? [];
  if (version === undefined) throw new Malformed("its first line is no status line");
  const headers = new Map<string, string>();
  for (const { name, value } of rest.map(fieldOf)) {
    const before = headers.get(name);
    if (before !== undefined && ONCE.has(name) && before !== value) throw new Malformed(`${name} says two things`);
    headers.set(name, before === undefined || ONCE.has(name) ? value : `${before}, ${value}`);
  }
  return { version, status: Number(status), reason, headers: Object.fromEntries(headers) };
}

/** RFC 9112 section 5: no space before the colon, no value that goes on in the next line, no control characters. */
export function fieldOf(line: string): { readonly name: string; readonly value: string } {
  const colon = line.indexOf(":");
  const [name, value] = [line.slice(0, Math.max(colon, 0)), line.slice(colon + 1)];
  if (!NAME.test(name) || !VALUE.test(value)) throw new Malformed("a line of its head is no field");
  return { name: name.toLowerCase(), value: value.replace(/^[\t ]+|[\t ]+$/g, "") };
}

/**
 * How the body ends (RFC 9112 section 6.3). One that only the connection's end would end is not taken: the runtime does not tell an
 * end that the server's TLS spoke from one that somebody on the way made.
 */
export function framingOf({ status, headers, version }: Head, method: string): Framing {
  const coding = headers["transfer-encoding"];
  const length = headers["content-length"];
  const compressed = headers["content-encoding"];
  if (coding !== undefined && length !== undefined) throw new Malformed("it says its length in two ways");
  if (coding !== undefined && (version === "0" || coding.toLowerCase() !== "chunked"))
    throw new Malformed("its transfer coding is another than chunked");
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new Malformed("its length is no number");
  if (compressed !== undefined && compressed.toLowerCase() !== "identity")
    throw new Malformed("it is compressed, unasked");
  if (method === "HEAD" || status === 204 || status === 304) return { kind: "none" };
  if (coding !== undefined) return { kind: "chunked" };
  if (length === undefined) throw new Malformed("it does not say how long it is");
  return { kind: "length", left: Number(length) };
}
