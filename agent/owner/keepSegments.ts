import { z } from "zod";
import { type Bucket, BucketFailed, type BucketName, bucketName } from "../../providers/bucket.ts";
import { CHECKPOINTS, COSIGNED, readCheckpoints, segmentName, segmentsIn } from "../audit/folder.ts";
import { parseCheckpoint } from "../audit/note.ts";
import { within } from "../deadline.ts";
import { DiskError, type Host } from "../host/host.ts";
import {
  BUCKET_LAST_SECONDS,
  BUCKET_LOOK_SECONDS,
  BUCKET_UPLOAD_SECONDS,
  HEAD_EVERY_SECONDS,
  MAX_SEGMENT_BYTES,
} from "../limits.ts";
import type { Logger } from "../logger.ts";
import { canonical } from "../wire/canonical.ts";
import { headNames } from "./fetchLog.ts";
import type { OwnersHead } from "./putHead.ts";

/** How far the bucket has this log: entries below `next` lie there, in whole segments. Kept so that nothing is sent twice after a restart. */
const Kept = z.strictObject({
  v: z.literal(1),
  place: z.string(),
  epoch: z.number().int(),
  next: z.number().int().min(0),
});
const MAX_KEPT_BYTES = 4096;

export type Keeper = {
  /** Entries below this index lie in the bucket. Null where there is no bucket: nothing has to. */
  next(): number | null;
  run(stop: AbortSignal): Promise<void>;
  /**
   * For a process that ends: the machine may go with it. `cut` closes the segment that is open; it is added within BUCKET_LAST_SECONDS, or by
   * the next start on this disk.
   */
  last(cut: () => void): Promise<void>;
};

export const NO_KEEPER: Keeper = { next: () => null, run: () => Promise.resolve(), last: () => Promise.resolve() };

/**
 * Adds each closed segment to the owner's bucket, read back and compared, and after it the newest heads of what lies there. `another`: under the
 * name of one of our segments, or of a head, lies what this log never held. Everything else that goes wrong is said once and tried again.
 */
export function segmentKeeper(
  bucket: Bucket,
  of: {
    readonly host: Host;
    readonly folder: string;
    readonly file: string;
    readonly epoch: number;
    readonly say: Logger;
    /** The head in the bucket is brought up to date when the log grew, whether anything is changed or not. */
    readonly head: OwnersHead;
    readonly size: () => number;
    another(because: string): void;
  },
): Keeper {
  const { host, folder, epoch, say } = of;
  const { disk } = host;
  let next = readKept();
  let said = "";
  let headOf = { size: -1, at: Number.NEGATIVE_INFINITY };

  /** Of another bucket, another epoch, or none: everything is sent, which changes nothing that is there. */
  function readKept(): number {
    try {
      const kept = Kept.safeParse(JSON.parse(new TextDecoder().decode(disk.read(of.file, MAX_KEPT_BYTES).bytes)));
      const same = kept.success && kept.data.place === bucket.place && kept.data.epoch === epoch;
      return same ? kept.data.next : 0;
    } catch (error) {
      if (error instanceof SyntaxError || (error instanceof DiskError && error.code === "ENOENT")) return 0;
      throw error;
    }
  }

  async function keep(first: number, after: number, signal: AbortSignal): Promise<void> {
    const { bytes } = disk.read(`${folder}/${segmentName(first)}`, MAX_SEGMENT_BYTES);
    await bucket.add(bucketName(`log/${epoch}/${segmentName(first)}`, "add"), bytes, signal);
    await keepHeads(after, signal);
    next = after;
    // If we stop before this line, the segment is sent again, found to be there, and good.
    const text = `${canonical({ v: 1, place: bucket.place, epoch, next })}\n`;
    disk.replace(of.file, new TextEncoder().encode(text), 0o600);
    say("info", "a segment of the log lies in the owner's bucket", { segment: segmentName(first) });
  }

  /** The newest heads of what lies there now, signed and cosigned: of entries that do not lie there yet `log/head` tells. */
  async function keepHeads(below: number, signal: AbortSignal): Promise<void> {
    const [signed, cosigned] = headNames(below);
    for (const [file, name] of [
      [CHECKPOINTS, signed],
      [COSIGNED, cosigned],
    ] as const) {
      const { notes } = readCheckpoints(disk, folder, file);
      const note = notes.filter((one) => (parseCheckpoint(one)?.size ?? Number.POSITIVE_INFINITY) <= below).at(-1);
      if (note !== undefined) await keepHead(note, bucketName(`log/${epoch}/${name}`, "add"), signal);
    }
  }

  async function keepHead(note: string, name: BucketName, signal: AbortSignal): Promise<void> {
    try {
      await bucket.add(name, new TextEncoder().encode(note), signal);
    } catch (error) {
      if (!(error instanceof BucketFailed && error.what === "there")) throw error;
      // One that was signed or cosigned at another time is good as well. Of the same size it is of the same entries, else another wrote it.
      const [ours, found] = [parseCheckpoint(note), await bucket.get(name, MAX_SEGMENT_BYTES, signal)];
      const theirs = found === "absent" ? null : parseCheckpoint(new TextDecoder().decode(found.bytes));
      if (ours === null || theirs === null || theirs.origin !== ours.origin) throw error;
      if (theirs.size === ours.size && !theirs.root.equals(ours.root)) throw error;
    }
  }

  async function look(stop: AbortSignal): Promise<void> {
    const segments = segmentsIn(disk, folder);
    for (const [at, first] of segments.entries()) {
      const after = segments[at + 1];
      if (after === undefined || stop.aborted) return;
      if (after > next) await within(host.clock, BUCKET_UPLOAD_SECONDS, (signal) => keep(first, after, signal), stop);
    }
  }

  async function bringHead(): Promise<void> {
    const [size, now] = [of.size(), host.clock.monotonic()];
    if (size === headOf.size || now - headOf.at < HEAD_EVERY_SECONDS * 1000) return;
    headOf = { size: (await of.head.put()) === null ? size : -1, at: now };
  }

  return {
    next: () => next,
    async last(cut) {
      try {
        cut();
        await within(host.clock, BUCKET_LAST_SECONDS, look);
      } catch (error) {
        if (!(error instanceof BucketFailed)) throw error;
        say("warn", `the last entries are not in the owner's bucket: ${error.because}`, { hint: error.hint });
      }
    },
    async run(stop) {
      while (!stop.aborted) {
        try {
          await look(stop);
          await bringHead();
          said = "";
        } catch (error) {
          if (!(error instanceof BucketFailed)) throw error;
          if (error.what === "there") return of.another(`in the owner's bucket, ${error.because}`);
          if (error.because !== said && !stop.aborted)
            say("warn", `the log cannot be added to the owner's bucket: ${error.because}`, { hint: error.hint });
          said = error.because;
        }
        await host.clock.sleep(BUCKET_LOOK_SECONDS * 1000, stop);
      }
    },
  };
}
