import { type Bucket, BucketFailed } from "../../providers/bucket.ts";

type Kept = { readonly bytes: Uint8Array; readonly mark: string };
/** What becomes of a call instead: refused before it, or done and not heard of. */
export type Fault = { readonly of: "get" | "putHead" | "add"; readonly done: boolean; readonly error: BucketFailed };

/** A bucket in memory, for what is tried without a network: objects with marks, writes that depend on them, and faults to come. */
export function memoryBucket(place = "s3://the-owners/prod-eu-1") {
  const objects = new Map<string, Kept>();
  const faults: Fault[] = [];
  let puts = 0;
  const asked: string[] = [];
  const put = (name: string, bytes: Uint8Array): string => {
    puts += 1;
    objects.set(name, { bytes: new Uint8Array(bytes), mark: String(puts) });
    return String(puts);
  };
  const meet = <T>(of: Fault["of"], act: () => T): T => {
    const at = faults.findIndex((fault) => fault.of === of);
    const [fault] = at < 0 ? [] : faults.splice(at, 1);
    if (fault === undefined) return act();
    if (fault.done) act();
    throw fault.error;
  };
  const there = (name: string): BucketFailed =>
    new BucketFailed("there", `${place}/${name} holds other bytes`, "Look.");
  const bucket: Bucket = {
    place,
    async get(name) {
      asked.push(name);
      return meet("get", () => objects.get(name) ?? "absent");
    },
    async add(name, bytes) {
      meet("add", () => {
        const found = objects.get(name);
        if (found !== undefined && Buffer.compare(found.bytes, bytes) !== 0) throw there(name);
        if (found === undefined) put(name, bytes);
      });
    },
    async putHead(bytes, after) {
      return meet("putHead", () => {
        if ((objects.get("log/head")?.mark ?? null) !== after) throw there("log/head");
        return put("log/head", bytes);
      });
    },
  };
  return {
    bucket,
    objects,
    faults,
    asked,
    put: (name: string, text: string) => put(name, new TextEncoder().encode(text)),
    remove: (name: string) => objects.delete(name),
  };
}

export function away(because = "no answer (timeout)"): BucketFailed {
  return new BucketFailed("unreachable", because, "See that it can be reached.");
}

/** A clock that stands until it is set; nothing that waits on it ends by itself. */
export function stillClock() {
  const clock = {
    at: 0,
    now: () => 1_800_000_000_000 + clock.at,
    monotonic: () => clock.at,
    sleep: (_milliseconds: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve())),
  };
  return clock;
}
