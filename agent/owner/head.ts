import { type Bucket, BucketFailed, type BucketObject, bucketName } from "../../providers/bucket.ts";
import { MAX_HEAD_BYTES } from "../limits.ts";
import { digestOf } from "../wire/envelope.ts";
import { type HeadClaims, openHead } from "../wire/head.ts";

/** Times of intents by rule, in milliseconds. */
export type Intents = { readonly [rule: string]: readonly number[] };

/** Who asks, and what its own log can say of a head: `rootAt`: the root of its first entries, null where their segment was moved away. */
export type HeadOwner = {
  readonly agentId: string;
  readonly cluster: string;
  readonly epoch: number;
  roots(): readonly Uint8Array[];
  readonly size: number;
  rootAt(size: number): string | null;
};

/**
 * What lies at `log/head`. `none`: nothing that this agent may read; `older`: of an epoch before, or of a log that was never ours to follow;
 * `own`: this epoch's, and this log holds all that it says. `another` agent acts, or this log is not the one that it was: nothing is changed any more.
 * `unclear`: it cannot be read now, or it is none.
 */
export type FoundHead =
  | { readonly found: "none" }
  | { readonly found: "older" | "own"; readonly mark: string; readonly digest: string; readonly head: HeadClaims }
  | { readonly found: "another"; readonly because: string }
  /** `away`: the bucket did not answer, or not so; else what lies there is no head. */
  | { readonly found: "unclear"; readonly away: boolean; readonly because: string; readonly hint: string };

export async function lookAtHead(bucket: Bucket, owner: HeadOwner, signal: AbortSignal): Promise<FoundHead> {
  try {
    const object = await bucket.get(bucketName("log/head", "read"), MAX_HEAD_BYTES, signal);
    if (object === "absent") return { found: "none" };
    return judged(object, bucket.place, owner);
  } catch (error) {
    if (!(error instanceof BucketFailed)) throw error;
    // So is a missing one answered, without the right to list. One that is there all the same lets no other be put in its place.
    if (error.what === "denied") return { found: "none" };
    return { found: "unclear", away: true, because: error.because, hint: error.hint };
  }
}

function judged({ bytes, mark }: BucketObject, place: string, owner: HeadOwner): FoundHead {
  const text = new TextDecoder().decode(bytes);
  const opened = openHead(text, { agentId: owner.agentId, cluster: owner.cluster, roots: owner.roots() });
  if ("bad" in opened)
    return {
      found: "unclear",
      away: false,
      because: `${place}/log/head is no head of this cluster: ${opened.bad}`,
      hint: `Look at who else writes there. When it may go, delete ${place}/log/head.`,
    };
  const { head } = opened;
  if (head.epoch < owner.epoch) return { found: "older", mark, digest: digestOf(text), head };
  if (head.epoch > owner.epoch)
    return { found: "another", because: `the owner's bucket has the head of epoch ${head.epoch}: another agent acts` };
  if (head.size > owner.size)
    return {
      found: "another",
      because: `the owner's bucket has seen ${head.size} entries of this log, which now has ${owner.size}`,
    };
  const covered = Number(head.checkpoint.split("\n")[1]);
  if (!Number.isSafeInteger(covered) || covered < 0)
    return {
      found: "unclear",
      away: false,
      because: `${place}/log/head has no checkpoint`,
      hint: "Look at who else writes there.",
    };
  const root = owner.rootAt(covered);
  if (root !== null && root !== head.checkpoint.split("\n")[2])
    return { found: "another", because: "the owner's bucket has another head of this log than this log itself" };
  return { found: "own", mark, digest: digestOf(text), head };
}

/** Both, each rule's times in order. */
export function together(a: Intents, b: Intents): Intents {
  const rules = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(
    rules.map((rule) => [rule, [...(a[rule] ?? []), ...(b[rule] ?? [])].sort((x, y) => x - y)]),
  );
}

/** Without the times before `from`, milliseconds. */
export function recent(intents: Intents, from: number): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(intents).flatMap(([rule, times]) => {
      const kept = times.filter((time) => time >= from);
      return kept.length === 0 ? [] : [[rule, kept] as const];
    }),
  );
}
