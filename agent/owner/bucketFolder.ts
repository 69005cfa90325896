import { type Bucket, BucketFailed, type BucketObject, bucketName } from "../../providers/bucket.ts";
import { within } from "../deadline.ts";
import { type Clock, DiskError, type Stat } from "../host/host.ts";
import {
  APPROVAL_ASKED_SECONDS,
  BUCKET_APPROVALS_SECONDS,
  BUCKET_LANES,
  BUCKET_REFRESH_TIMEOUT_SECONDS,
  MAX_APPROVAL_FILE_BYTES,
  MAX_BUCKET_APPROVALS,
  MAX_OWNER_VIEW_SECONDS,
  MAX_POLICY_BYTES,
  MAX_SWITCH_BYTES,
} from "../limits.ts";
import { BucketUnread, type OwnersFolder } from "./folder.ts";

type Wanted = readonly [name: string, max: number];
type Seen = BucketObject | "absent" | BucketFailed;

/** Read at each refresh, in this order: a switch that goes off while the policy is read is seen at the next. */
const ALWAYS = [
  ["policy.yaml", MAX_POLICY_BYTES],
  ["suspended", MAX_SWITCH_BYTES],
  ["on", MAX_SWITCH_BYTES],
] as const;

/**
 * The owner's folder in a bucket. `refresh` reads what is asked for; `disk` answers from what was read last, and from nothing that is
 * older than MAX_OWNER_VIEW_SECONDS: then everything counts as unreadable, so that a bucket that is away refuses all (invariant 5).
 * An approval is read from the refresh after it was first asked for: until then nobody has said yes.
 */
export function bucketFolder(bucket: Bucket, clock: Clock): OwnersFolder {
  const root = `${bucket.place}/owner`;
  let seen: ReadonlyMap<string, Seen> = new Map();
  let readAt = Number.NEGATIVE_INFINITY;
  /** Approvals, and when each was asked for last: they go on being read while somebody asks. */
  const asked = new Map<string, number>();
  let running: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  async function look(name: string, max: number, signal: AbortSignal): Promise<Seen> {
    try {
      return await bucket.get(bucketName(`owner/${name}`, "read"), max, signal);
    } catch (error) {
      if (error instanceof BucketFailed) return error;
      throw error;
    }
  }

  /** What each name holds now. Those that are not reached in time count as unreadable. */
  async function lookAll(names: readonly Wanted[], seconds: number): Promise<ReadonlyMap<string, Seen>> {
    const found = new Map<string, Seen>();
    const rest = names.values();
    await within(clock, seconds, async (signal) => {
      const lane = async (): Promise<void> => {
        for (const [name, max] of rest) found.set(name, await look(name, max, signal));
      };
      await Promise.all(Array.from({ length: BUCKET_LANES }, lane));
    });
    return found;
  }

  async function readAll(): Promise<void> {
    // Before the first answer: what is read is at least as new as this.
    const began = clock.monotonic();
    for (const [name, at] of asked) if (at < began - APPROVAL_ASKED_SECONDS * 1000) asked.delete(name);
    const wanted = [...asked.keys()].map((name): Wanted => [name, MAX_APPROVAL_FILE_BYTES]);
    // Apart and first: however many wait, there is time for the policy and the switch, and these are the newest.
    const approvals = await lookAll(wanted, BUCKET_APPROVALS_SECONDS);
    const always = new Map<string, Seen>();
    for (const one of ALWAYS)
      for (const [name, found] of await lookAll([one], BUCKET_REFRESH_TIMEOUT_SECONDS)) always.set(name, found);
    seen = new Map([...approvals, ...always]);
    readAt = began;
  }

  function find(path: string): Seen {
    const name = path.slice(root.length + 1);
    const age = (clock.monotonic() - readAt) / 1000;
    if (name.startsWith("approvals/") && (asked.has(name) || asked.size < MAX_BUCKET_APPROVALS))
      asked.set(name, clock.monotonic());
    if (age > MAX_OWNER_VIEW_SECONDS)
      throw new BucketUnread(path, staleness(path, readAt, age), `See that ${bucket.place} can be reached and read.`);
    const found = seen.get(name) ?? "absent";
    // Without the right to list, this is also how a missing one is answered; and where nothing can be read, nobody has said yes.
    return name.startsWith("approvals/") && found instanceof BucketFailed ? "absent" : found;
  }

  return {
    at: { directory: root, uid: 0 },
    async refresh(seconds = 0) {
      if (seconds > 0 && clock.monotonic() - readAt < seconds * 1000) return;
      // One at a time. Who comes while one runs wants what is newer than its begin: all of them share the next.
      next ??= (running ?? Promise.resolve()).then(() => {
        running = readAll().finally(() => {
          running = null;
        });
        next = null;
        return running;
      });
      await next;
    },
    disk: {
      read(path, max) {
        const found = find(path);
        if (found === "absent") throw new DiskError("ENOENT", path, "there is no such object");
        if (found instanceof BucketFailed) throw new BucketUnread(path, `${path}: ${found.because}`, found.hint);
        if (found.bytes.length > max) throw new DiskError("EFBIG", path, `over ${max} bytes`);
        return { bytes: found.bytes, stat: statOf("file", found.bytes.length, found.mark) };
      },
      stat: () => statOf("directory", 0, ""),
    },
  };
}

function staleness(path: string, readAt: number, age: number): string {
  return readAt === Number.NEGATIVE_INFINITY
    ? `${path} was not read yet`
    : `${path} was read last ${Math.round(age)} s ago, and the bucket does not answer`;
}

/** Who may write an object is the bucket's to say, so nothing here is judged by owner and mode. */
function statOf(kind: Stat["kind"], size: number, mark: string): Stat {
  return { kind, uid: 0, gid: 0, mode: kind === "file" ? 0o400 : 0o500, links: 1, size, inode: numberOf(mark) };
}

/** Another mark, another number: it tells one turning-on from the next. */
function numberOf(mark: string): number {
  let hash = 0n;
  for (const byte of new TextEncoder().encode(mark)) hash = (hash * 1_099_511_628_211n + BigInt(byte) + 1n) % 2n ** 52n;
  return Number(hash) + 1;
}
