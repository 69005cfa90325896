import { type Framing, fieldOf, framingOf, type Head, headOf, Malformed } from "./answerHead.ts";

/** Of status line and fields, interim answers included. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Interim answers (1xx) that are passed over. */
const MAX_INTERIM = 8;
/** A chunk's length with what may stand behind it. */
const MAX_CHUNK_LINE_BYTES = 256;
const MAX_TRAILER_BYTES = 8 * 1024;
/** Room for a body, at first. */
const FIRST_BODY_BYTES = 4096;
const BEGIN = "HTTP/1.";

/** Names in lower case; the values of a repeated field are joined with ", ". */
export type WireAnswer = {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** Its body is longer than is read. */
export class TooLong extends Error {}

/** Takes bytes as they come; `push` returns the answer once it is whole. Throws Malformed and TooLong, and takes none after that. */
export type AnswerReader = { push(bytes: Uint8Array): WireAnswer | null };

/** Reads the one answer to a request of this method, whose body has at most `maxBytes`. */
export function answerReader(method: string, maxBytes: number): AnswerReader {
  const input = inputOf();
  const body = bodyOf(input, maxBytes);
  let lines: string[] = [];
  let headBytes = 0;
  let interim = 0;
  let head: Head | null = null;
  let framing: Framing = { kind: "none" };

  /** Null while more bytes are needed. */
  const readHead = (): Head | null => {
    for (;;) {
      if (lines.length === 0 && !input.mayBegin(BEGIN)) throw new Malformed("it is not HTTP/1");
      const line = input.line(MAX_HEAD_BYTES - headBytes);
      if (line === null) return null;
      headBytes += line.length + 2;
      if (line !== "") {
        lines.push(line);
        continue;
      }
      const found = headOf(lines);
      lines = [];
      if (found.status >= 200) return found;
      // RFC 9110 section 15.2: unasked ones too. A switch of protocols was not asked for, and what came after it would be no answer.
      if (found.status === 101) throw new Malformed("it switches protocols");
      interim++;
      if (interim > MAX_INTERIM) throw new Malformed("too many interim answers");
    }
  };

  return {
    push(bytes) {
      input.add(bytes);
      if (head === null) {
        head = readHead();
        if (head === null) return null;
        framing = framingOf(head, method);
        if (framing.kind === "length") body.expect(framing.left);
      }
      if (framing.kind === "length" && !body.readPart()) return null;
      if (framing.kind === "chunked" && !body.readChunks()) return null;
      if (input.rest() > 0) throw new Malformed("there are bytes after the answer");
      const { status, reason, headers } = head;
      return { status, reason, headers, body: body.whole() };
    },
  };
}

type Input = ReturnType<typeof inputOf>;

/** The bytes that came and were not read yet. */
function inputOf() {
  let buffer: Buffer = Buffer.alloc(0);
  const take = (count: number): Buffer => {
    const taken = buffer.subarray(0, count);
    buffer = buffer.subarray(count);
    return taken;
  };
  return {
    add: (bytes: Uint8Array): void => {
      buffer = buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([buffer, bytes]);
    },
    rest: (): number => buffer.length,
    take,
    /** Whether what is there is the text's begin, or the text and more. */
    mayBegin: (text: string): boolean => text.startsWith(buffer.toString("latin1", 0, text.length)),
    /** The next line without its CR LF, at most `max` bytes with it; null while its end is not there. A lone LF ends none. */
    line(max: number): string | null {
      const end = buffer.indexOf(0x0a);
      if ((end < 0 ? buffer.length : end) >= max) throw new Malformed("an endless line");
      if (end < 0) return null;
      const line = take(end + 1).toString("latin1");
      if (!line.endsWith("\r\n")) throw new Malformed("a line that does not end with CR LF");
      return line.slice(0, -2);
    },
  };
}

function bodyOf(input: Input, maxBytes: number) {
  let held = Buffer.alloc(0);
  let size = 0;
  /** Of the part that is being read. */
  let left = 0;
  let within: "length" | "part" | "end" | "trailer" = "length";
  let trailerBytes = 0;

  /** In one buffer that grows: parts may be of a single byte each. */
  const keep = (part: Buffer): void => {
    if (size + part.length > held.length) {
      const grown = Buffer.alloc(Math.min(Math.max(held.length * 2, size + part.length, FIRST_BODY_BYTES), maxBytes));
      held.copy(grown, 0, 0, size);
      held = grown;
    }
    part.copy(held, size);
    size += part.length;
  };
  const expect = (length: number): void => {
    if (size + length > maxBytes) throw new TooLong(`over ${maxBytes} bytes`);
    left = length;
  };
  /** True once all that was expected is there. */
  const readPart = (): boolean => {
    const part = input.take(left);
    if (part.length > 0) keep(part);
    left -= part.length;
    return left === 0;
  };
  const readLength = (): boolean => {
    const line = input.line(MAX_CHUNK_LINE_BYTES);
    if (line === null) return false;
    const [, digits] = /^([0-9a-fA-F]{1,8})(?:[\t ]*;[\t\x20-\x7e]*)?$/.exec(line) ?? [];
    if (digits === undefined) throw new Malformed("a chunk without a length");
    expect(Number.parseInt(digits, 16));
    within = left === 0 ? "trailer" : "part";
    return true;
  };
  const readEnd = (): boolean => {
    if (input.rest() < 2) return false;
    if (input.take(2).toString("latin1") !== "\r\n") throw new Malformed("a chunk of another length than it says");
    within = "length";
    return true;
  };
  /** Null while more bytes are needed. Its fields are read for their form alone: a trailer says nothing that is used. */
  const readTrailer = (): "end" | "field" | null => {
    const line = input.line(MAX_TRAILER_BYTES - trailerBytes);
    if (line === null) return null;
    trailerBytes += line.length + 2;
    if (line !== "") fieldOf(line);
    return line === "" ? "end" : "field";
  };

  return {
    expect,
    readPart,
    /** True once the last chunk and the trailer are there. */
    readChunks(): boolean {
      for (;;) {
        if (within === "length" && !readLength()) return false;
        if (within === "part") {
          if (!readPart()) return false;
          within = "end";
        }
        if (within === "end" && !readEnd()) return false;
        if (within !== "trailer") continue;
        const read = readTrailer();
        if (read !== "field") return read === "end";
      }
    },
    whole: (): Uint8Array => new Uint8Array(held.subarray(0, size)),
  };
}
