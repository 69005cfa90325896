import { MAX_TRAIL_EVENT_BYTES } from "../../limits.ts";
import { type Splitter, TrailFault } from "./call.ts";

const LINE_END = 0x0a;

/** Cuts a file of one JSON object a line into its events, without holding more than one of them, whatever the file's size. */
export function splitLines(): Splitter {
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  const keep = (bytes: Uint8Array): void => {
    keptBytes += bytes.length;
    if (keptBytes > MAX_TRAIL_EVENT_BYTES) throw new TrailFault(`an event of more than ${MAX_TRAIL_EVENT_BYTES} bytes`);
    // A copy: the caller may use its buffer again.
    if (bytes.length > 0) kept.push(Uint8Array.prototype.slice.call(bytes));
  };
  const hand = (take: (event: Uint8Array) => void): void => {
    const line = Buffer.concat(kept);
    [kept, keptBytes] = [[], 0];
    if (line.toString("latin1").trim() !== "") take(line);
  };
  return {
    push(bytes, take) {
      let from = 0;
      for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, from)) {
        keep(bytes.subarray(from, end));
        hand(take);
        from = end + 1;
      }
      keep(bytes.subarray(from));
    },
    end(take) {
      // A last line without its end is whole if it is JSON: whoever takes it looks.
      hand(take);
      return "events";
    },
  };
}
