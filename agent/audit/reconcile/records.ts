import { MAX_TRAIL_DEPTH, MAX_TRAIL_DIGEST_BYTES, MAX_TRAIL_EVENT_BYTES } from "../../limits.ts";
import { type Splitter, TrailFault } from "./call.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [OPEN, CLOSE] = [0x7b, 0x7d];
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d];
const HEAD = /^[ \t\r\n]*\{[ \t\r\n]*"Records"[ \t\r\n]*:[ \t\r\n]*\[$/;
/** Of what stands before the first event. */
const MAX_HEAD_BYTES = 1024;

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Cuts `{"Records": [ … ]}` into its events without holding more than one of them, whatever the file's size. What is between them is held
 * to JSON here; each event is parsed by who takes it. A file of another form is kept, up to MAX_TRAIL_DIGEST_BYTES, and judged at its end.
 */
export function splitRecords(isDigest: (document: unknown) => boolean): Splitter {
  let state: "head" | "other" | "first" | "event" | "after" | "next" | "tail" | "end" = "head";
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  let depth = 0;
  let inString = false;
  let escaped = false;

  const keep = (bytes: Uint8Array, most: number, what: string): void => {
    keptBytes += bytes.length;
    if (keptBytes > most) throw new TrailFault(`${what} of more than ${most} bytes`);
    // A copy: the caller may use its buffer again.
    if (bytes.length > 0) kept.push(Uint8Array.prototype.slice.call(bytes));
  };
  const whole = (): Buffer => {
    const bytes = Buffer.concat(kept);
    kept = [];
    keptBytes = 0;
    return bytes;
  };

  /** Up to the `[`, or to where it shows that this is no list of events. Returns how far it came. */
  const head = (bytes: Uint8Array): number => {
    const list = bytes.indexOf(OPEN_LIST);
    const end = list < 0 ? bytes.length : list + 1;
    const before = Buffer.concat([...kept, bytes.subarray(0, end)]);
    if (before.length > 0 && !isSpace(before[0] as number) && before[0] !== OPEN)
      throw new TrailFault("it is no JSON object");
    const begins = list >= 0 && HEAD.test(before.toString("latin1"));
    if (begins) {
      whole();
      state = "first";
      return end;
    }
    if (list >= 0 || before.length > MAX_HEAD_BYTES) {
      state = "other";
      return 0;
    }
    keep(bytes, MAX_TRAIL_DIGEST_BYTES, "a beginning");
    return bytes.length;
  };

  /** From an event's first byte, or from where the last piece ended, to after its closing brace. Returns how far it came. */
  const event = (bytes: Uint8Array, from: number, take: (event: Uint8Array) => void): number => {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN || byte === OPEN_LIST) {
        depth += 1;
        if (depth > MAX_TRAIL_DEPTH) throw new TrailFault(`an event nested over ${MAX_TRAIL_DEPTH} deep`);
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        depth -= 1;
        if (depth > 0) continue;
        keep(bytes.subarray(from, at + 1), MAX_TRAIL_EVENT_BYTES, "an event");
        state = "after";
        take(whole());
        return at + 1;
      }
    }
    keep(bytes.subarray(from), MAX_TRAIL_EVENT_BYTES, "an event");
    return bytes.length;
  };

  /** One byte between events. */
  const between = (byte: number): void => {
    if (byte === OPEN && (state === "first" || state === "next")) state = "event";
    else if (byte === COMMA && state === "after") state = "next";
    else if (byte === CLOSE_LIST && (state === "first" || state === "after")) state = "tail";
    else if (byte === CLOSE && state === "tail") state = "end";
    else throw new TrailFault("it is no list of events in JSON");
  };

  return {
    push(bytes, take) {
      let at = 0;
      while (at < bytes.length) {
        if (state === "head") at += head(bytes.subarray(at));
        else if (state === "other") {
          keep(bytes.subarray(at), MAX_TRAIL_DIGEST_BYTES, "no list of events, and a document");
          return;
        } else if (state === "event") at = event(bytes, at, take);
        else if (isSpace(bytes[at] as number)) at += 1;
        else {
          between(bytes[at] as number);
          // The brace itself is the event's first byte.
          if ((state as string) !== "event") at += 1;
        }
      }
    },
    end() {
      if (state === "end") return "events";
      if (state !== "other" && state !== "head") throw new TrailFault("it ends in the middle");
      if (isDigest(parsed(whole()))) return "digest";
      throw new TrailFault("it holds no list of events");
    },
  };
}

function parsed(bytes: Uint8Array): unknown {
  const text = utf8(bytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new TrailFault("it is no JSON");
  }
}

/** JSON of one event. Throws TrailFault on what is neither UTF-8 nor JSON. */
export function jsonOf(event: Uint8Array): unknown {
  return parsed(event);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new TrailFault("it is not UTF-8");
  }
}
