import { MAX_TRAIL_DEPTH, MAX_TRAIL_EVENT_BYTES, MAX_TRAIL_GROUPED_BYTES } from "../../limits.ts";
import { type Splitter, TrailFault } from "./call.ts";
import { jsonOf } from "./records.ts";

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];
/** What may stand between two events: white space, and in a list commas and its brackets. */
const BETWEEN = new Set([0x20, 0x09, 0x0a, 0x0d, 0x2c, OPEN_LIST, CLOSE_LIST]);

/** What of an event tells which call it is of, the same for each event of one call; null: it is one of its own. Throws TrailFault. */
type KeyOf = (event: unknown) => string | null;

/**
 * Cuts a file of Azure's into events: a list, as `az` prints it, or one object a line, as a storage account has them. Azure says one call in
 * several events (begun, answered, and how a long one ended), in any order: those of one call are handed on together, as a JSON list.
 */
export function splitAzure(keyOf: KeyOf): Splitter {
  const groups = new Map<string, string[]>();
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  let groupedBytes = 0;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let opened = 0;

  const group = (): void => {
    const text = Buffer.concat(kept).toString("utf8");
    const event = jsonOf(Buffer.concat(kept));
    [kept, keptBytes] = [[], 0];
    groupedBytes += text.length;
    if (groupedBytes > MAX_TRAIL_GROUPED_BYTES)
      throw new TrailFault(`more than ${MAX_TRAIL_GROUPED_BYTES} bytes of events in one file`);
    const key = keyOf(event) ?? `(alone) ${groups.size}`;
    const others = groups.get(key);
    if (others === undefined) groups.set(key, [text]);
    else others.push(text);
  };
  const keep = (bytes: Uint8Array): void => {
    keptBytes += bytes.length;
    if (keptBytes > MAX_TRAIL_EVENT_BYTES) throw new TrailFault(`an event of more than ${MAX_TRAIL_EVENT_BYTES} bytes`);
    // A copy: the caller may use its buffer again.
    kept.push(Uint8Array.prototype.slice.call(bytes));
  };
  /** True when this byte ends an event. */
  const inside = (byte: number): boolean => {
    if (inString) {
      if (escaped) escaped = false;
      else if (byte === BACKSLASH) escaped = true;
      else if (byte === QUOTE) inString = false;
      return false;
    }
    if (byte === QUOTE) inString = true;
    else if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE || byte === CLOSE_LIST) depth -= 1;
    if (depth > MAX_TRAIL_DEPTH) throw new TrailFault(`an event nested over ${MAX_TRAIL_DEPTH} deep`);
    return depth === 0;
  };
  const between = (byte: number): void => {
    if (!BETWEEN.has(byte)) throw new TrailFault("it is no list of events in JSON");
    if (byte === OPEN_LIST) opened += 1;
    if (byte === CLOSE_LIST) opened -= 1;
    if (opened < 0 || opened > 1) throw new TrailFault("it is no list of events in JSON");
  };

  return {
    push(bytes) {
      let from = depth > 0 ? 0 : -1;
      for (let at = 0; at < bytes.length; at++) {
        const byte = bytes[at] as number;
        if (depth === 0 && byte !== OPEN) {
          between(byte);
          continue;
        }
        if (depth === 0) from = at;
        if (!inside(byte)) continue;
        keep(bytes.subarray(from, at + 1));
        group();
        from = -1;
      }
      if (from >= 0) keep(bytes.subarray(from));
    },
    end(take) {
      if (depth > 0 || opened !== 0) throw new TrailFault("it ends in the middle");
      for (const texts of groups.values()) take(new TextEncoder().encode(`[${texts.join(",")}]`));
      groups.clear();
      return "events";
    },
  };
}
