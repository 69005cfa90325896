import { z } from "zod";
import { type Bucket, type BucketObject, bucketName } from "../../providers/bucket.ts";
import { segmentName } from "../audit/folder.ts";
import type { Disk } from "../host/host.ts";
import { MAX_HEAD_BYTES, MAX_SEGMENT_BYTES } from "../limits.ts";
import { splitJws } from "../wire/jws.ts";

const NEWLINE = 10;
/** Of `log/head`, only which epoch's log is the newest: what is fetched is verified by itself. */
const Named = z.object({
  epoch: z
    .number()
    .int()
    .min(1)
    .max(2 ** 31),
});

/** The epoch that the newest head in the bucket names; null when there is none that can be read. */
export async function newestEpoch(bucket: Bucket, signal: AbortSignal): Promise<number | null> {
  const found = await bucket.get(bucketName("log/head", "read"), MAX_HEAD_BYTES, signal);
  const parts = found === "absent" ? null : splitJws(new TextDecoder().decode(found.bytes));
  if (parts === null) return null;
  try {
    return Named.safeParse(JSON.parse(new TextDecoder().decode(parts.payload))).data?.epoch ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Copies an epoch's closed segments and their heads out of the bucket into a folder, in order and without listing: a segment's lines say where
 * the next one begins. `absent`: asked of what may not be there; without the right to list that is how a missing one is answered.
 * Returns how many segments came. Throws BucketFailed and DiskError.
 */
export async function fetchLog(
  bucket: Bucket,
  epoch: number,
  to: { readonly disk: Disk; readonly folder: string },
  absent: (asked: Promise<BucketObject | "absent">) => Promise<BucketObject | "absent">,
  signal: AbortSignal,
): Promise<number> {
  const get = (name: string) =>
    absent(bucket.get(bucketName(`log/${epoch}/${name}`, "read"), MAX_SEGMENT_BYTES, signal));
  let segments = 0;
  for (let first = 0; ; segments++) {
    const segment = await get(segmentName(first));
    if (segment === "absent") return segments;
    to.disk.replace(`${to.folder}/${segmentName(first)}`, segment.bytes, 0o600);
    const lines = segment.bytes.reduce((count, byte) => (byte === NEWLINE ? count + 1 : count), 0);
    if (lines === 0) return segments + 1;
    first += lines;
    for (const name of headNames(first)) {
      const head = await get(name);
      if (head !== "absent") to.disk.replace(`${to.folder}/${name}`, head.bytes, 0o600);
    }
  }
}

/** The heads of all entries below an index, as they lie beside its segments: signed, and cosigned. */
export function headNames(below: number): readonly [signed: string, cosigned: string] {
  const digits = String(below).padStart(20, "0");
  return [`${digits}.checkpoint`, `${digits}.cosigned`];
}
