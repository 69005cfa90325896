/** An answer of HTTP/1.1 as it is read: RFC 9112, and where that leaves a choice, the stricter one. Pure. */

/** Of a status line and its fields together, interim answers included. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Interim answers (1xx) that are passed over. */
export const MAX_INTERIM = 8;
const BEGIN = "HTTP/1.";
const MAX_CHUNK_LINE_BYTES = 256;
const MAX_TRAILER_BYTES = 8 * 1024;

/** Header names are in lower case; a repeated field's values are joined with ", ". */
export type WireAnswer = {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** What came is no answer of HTTP/1.1 that can be taken. */
export class Malformed extends Error {}
/** Its body is longer than is read. */
export class TooLong extends Error {}

type Head = Omit<WireAnswer, "body">;
type Body = { readonly kind: "none" } | { readonly kind: "length"; left: number } | { readonly kind: "chunked" };

/** Takes bytes as they come. `push` returns the answer once it is whole. Both throw Malformed and TooLong, and are not called after that. */
export type AnswerReader = { push(bytes: Uint8Array): WireAnswer | null };

export function answerReader(method: string, maxBytes: number): AnswerReader {
  let buffer: Buffer = Buffer.alloc(0);
  let headBytes = 0;
  let interim = 0;
  let head: Head | null = null;
  let framing: Body = { kind: "none" };
  let inTrailer = false;
  let chunkLeft = 0;
  const parts: Buffer[] = [];
  let size = 0;

  const take = (count: number): Buffer => {
    const taken = buffer.subarray(0, count);
    buffer = buffer.subarray(count);
    return taken;
  };
  const keep = (count: number): void => {
    const part = take(count);
    size += part.length;
    if (size > maxBytes) throw new TooLong(`over ${maxBytes} bytes`);
    parts.push(part);
  };
  const whole = (of: Head): WireAnswer => {
    if (buffer.length > 0) throw new Malformed("there are bytes after the answer");
    return { ...of, body: new Uint8Array(Buffer.concat(parts)) };
  };

  /** False while more bytes are needed. */
  const readHead = (): boolean => {
    for (;;) {
      const end = buffer.indexOf("\r\n\r\n");
      if (headBytes + (end < 0 ? buffer.length : end + 4) > MAX_HEAD_BYTES) throw new Malformed("an endless head");
      if (end < 0) {
        // Whoever speaks something else may never end a line.
        if (!BEGIN.startsWith(buffer.subarray(0, BEGIN.length).toString("latin1")))
          throw new Malformed("it is not HTTP/1");
        return false;
      }
      headBytes += end + 4;
      const found = headOf(take(end + 4).toString("latin1"));
      if (found.status === 101) throw new Malformed("it switches protocols");
      if (found.status >= 200) {
        head = found;
        framing = bodyOf(found, method);
        if (framing.kind === "length" && framing.left > maxBytes) throw new TooLong(`over ${maxBytes} bytes`);
        return true;
      }
      interim++;
      if (interim > MAX_INTERIM) throw new Malformed("too many interim answers");
    }
  };

  /** A whole line without its end; null while more bytes are needed. */
  const readLine = (max: number): string | null => {
    const end = buffer.indexOf("\r\n");
    if ((end < 0 ? buffer.length : end) > max) throw new Malformed("an endless line");
    return end < 0 ? null : take(end + 2).toString("latin1", 0, end);
  };

  /** True once the last chunk and the trailer came. */
  const readChunks = (): boolean => {
    for (;;) {
      if (inTrailer) return readTrailer();
      if (chunkLeft > 2) {
        const count = Math.min(chunkLeft - 2, buffer.length);
        keep(count);
        chunkLeft -= count;
      }
      if (chunkLeft === 2) {
        if (buffer.length < 2) return false;
        if (take(2).toString("latin1") !== "\r\n") throw new Malformed("a chunk of another length than it says");
        chunkLeft = 0;
      }
      if (chunkLeft > 0) return false;
      const line = readLine(MAX_CHUNK_LINE_BYTES);
      if (line === null) return false;
      const [, digits] = /^([0-9a-fA-F]{1,8})(?:;[\t\x20-\x7e]*)?$/.exec(line) ?? [];
      if (digits === undefined) throw new Malformed("a chunk without a length");
      const length = Number.parseInt(digits, 16);
      if (size + length > maxBytes) throw new TooLong(`over ${maxBytes} bytes`);
      inTrailer = length === 0;
      chunkLeft = length + 2;
    }
  };

  let trailerBytes = 0;
  const readTrailer = (): boolean => {
    for (;;) {
      const line = readLine(MAX_TRAILER_BYTES - trailerBytes);
      if (line === null) return false;
      if (line === "") return true;
      trailerBytes += line.length + 2;
      // Read for their form alone: a trailer says nothing that is used.
      fieldOf(line);
    }
  };

  return {
    push(bytes) {
      buffer = buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([buffer, bytes]);
      if (head === null && !readHead()) return null;
      if (head === null) throw new Error("a head was read and is not there");
      if (framing.kind === "none") return whole(head);
      if (framing.kind === "chunked") return readChunks() ? whole(head) : null;
      const count = Math.min(framing.left, buffer.length);
      keep(count);
      framing.left -= count;
      return framing.left === 0 ? whole(head) : null;
    },
  };
}

/** `text` ends with an empty line. */
function headOf(text: string): Head & { readonly version: string } {
  const [first = "", ...lines] = text.slice(0, -4).split("\r\n");
  const [, version, status, reason = ""] =
    /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/.exec(first) ?? [];
  if (version === undefined) throw new Malformed("its first line is no status line");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const { name, value } = fieldOf(line);
    const before = headers.get(name);
    const once = name === "content-length" || name === "transfer-encoding";
    if (before !== undefined && once && before !== value) throw new Malformed(`${name} says two things`);
    headers.set(name, before === undefined || once ? value : `${before}, ${value}`);
  }
  return { version, status: Number(status), reason, headers: Object.fromEntries(headers) };
}

/** RFC 9112 section 5: no space before the colon, no line that goes on in the next, no control characters. */
function fieldOf(line: string): { readonly name: string; readonly value: string } {
  const [, name, value] =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[\t ]*$/.exec(
      line,
    ) ?? [];
  if (name === undefined || value === undefined) throw new Malformed("a line of its head is no field");
  return { name: name.toLowerCase(), value };
}

/** RFC 9112 section 6.3. A body that only the connection's end would end cannot be told from one that was cut short: it is not taken. */
function bodyOf({ status, headers, version }: Head & { readonly version: string }, method: string): Body {
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
  return Number(length) === 0 ? { kind: "none" } : { kind: "length", left: Number(length) };
}
