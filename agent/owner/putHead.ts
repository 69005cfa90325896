import type { History } from "../../policy/asked.ts";
import { type Bucket, BucketFailed } from "../../providers/bucket.ts";
import { within } from "../deadline.ts";
import type { Clock } from "../host/host.ts";
import { BUCKET_HEAD_SECONDS, HEAD_INTENTS_MS, MAX_HEAD_BYTES } from "../limits.ts";
import { digestOf } from "../wire/envelope.ts";
import { type HeadClaims, signHead } from "../wire/head.ts";
import { type FoundHead, type HeadOwner, type Intents, lookAtHead, recent, together } from "./head.ts";

/** What the owner's bucket is to the road: where the log's head goes before anything is changed. A directory has none. */
export type OwnersHead = {
  /**
   * Puts a head that names every intent which is on disk now. Null when it lies there; else why it does not, and then nothing may be
   * changed. What a call that came meanwhile wants is in the same head.
   */
  put(): Promise<string | null>;
  /** This epoch's history together with that of the epochs before, as far as the bucket tells: what they did goes on counting in rates. */
  history(own: History): History;
};

export const NO_BUCKET: OwnersHead = { put: () => Promise.resolve(null), history: (own) => own };

type Before = { readonly intents: Intents; readonly since: number | null; readonly revision: number };

/** What a head is made of, as it is at this moment. */
export type HeadSource = HeadOwner & {
  readonly clock: Clock;
  chain(): readonly string[];
  sign(bytes: Uint8Array): Uint8Array;
  checkpoint(): string;
  /** This epoch's own. */
  history(): History;
  waiting(): readonly string[];
  /** Another agent acts, or this log is another than it was: this agent stops for good. */
  another(because: string): void;
};

/**
 * `log/head` of the owner's bucket. It is put before each change and only over the head that this agent saw last, in one step: so of two
 * agents one is stopped by the bucket, whatever the control plane says, and the next machine knows of every intent.
 */
export function ownersHead(bucket: Bucket, source: HeadSource, first: FoundHead): OwnersHead {
  let known: { readonly mark: string | null } | null = null;
  let before: Before | null = null;
  /** Whether a look of the put under way told of what was not known when its commands were judged. */
  let toldMore = false;
  /** Digests of the head that was put last, and of those that were sent since and not heard of: one of them that lies there is ours. */
  const sent = new Set<string>();
  /** Whether this process has put one: then no other process may have. */
  let put = false;
  let running: Promise<string | null> | null = null;
  let next: Promise<string | null> | null = null;

  function take(found: FoundHead): string | null {
    if (found.found === "another") {
      source.another(found.because);
      return found.because;
    }
    if (found.found === "unclear") return found.because;
    if (found.found === "own" && put && !sent.has(found.digest)) {
      const because = "another process of this very epoch wrote the head in the owner's bucket";
      source.another(because);
      return because;
    }
    known = { mark: found.found === "none" ? null : found.mark };
    if (found.found === "none") return null;
    const { head } = found;
    const intents = found.found === "own" ? head.before : together(head.before, head.intents);
    const told = { intents, since: head.since, revision: head.revision };
    const own = source.history();
    toldMore ||= JSON.stringify(shown(joined(own, told))) !== JSON.stringify(shown(joined(own, before)));
    before = told;
    return null;
  }
  take(first);

  async function putNow(signal: AbortSignal): Promise<string | null> {
    let fault = "";
    toldMore = false;
    // Once more when what lay there was our own, not heard of, or an earlier epoch's.
    for (let attempt = 0; attempt < 2; attempt++) {
      const look = known === null ? take(await lookAtHead(bucket, source, signal)) : null;
      if (look !== null) return look;
      const text = signHead(claims(), source.chain(), source.sign);
      if (text.length > MAX_HEAD_BYTES) return "the head is too long: too many commands in a week";
      const digest = digestOf(text);
      sent.add(digest);
      try {
        known = { mark: await bucket.putHead(new TextEncoder().encode(text), known?.mark ?? null, signal) };
        sent.clear();
        sent.add(digest);
        put = true;
        // What was judged did not count what the bucket tells of an earlier epoch: sent again, it is judged anew.
        return toldMore ? "the owner's bucket told of more than this was judged by" : null;
      } catch (error) {
        if (!(error instanceof BucketFailed)) throw error;
        fault = error.because;
        // Whatever it was: what lies there now is looked at before the next.
        known = null;
        if (error.what !== "there") return fault;
      }
    }
    return fault;
  }

  function claims(): HeadClaims {
    const own = source.history();
    const from = source.clock.now() - HEAD_INTENTS_MS;
    return {
      v: 1,
      cluster: source.cluster,
      epoch: source.epoch,
      time: source.clock.now(),
      size: source.size,
      checkpoint: source.checkpoint(),
      revision: Math.max(own.revision, before?.revision ?? 0),
      before: recent(before?.intents ?? {}, from),
      intents: recent(Object.fromEntries(own.intents), from),
      since: before === null ? own.since : before.since,
      waiting: [...source.waiting()],
    };
  }

  return {
    history: (own) => joined(own, before),
    put() {
      next ??= (running ?? Promise.resolve(null)).then(() => {
        running = within(source.clock, BUCKET_HEAD_SECONDS, putNow).finally(() => {
          running = null;
        });
        next = null;
        return running;
      });
      return next;
    },
  };
}

function joined(own: History, before: Before | null): History {
  if (before === null) return own;
  return {
    intents: new Map(Object.entries(together(before.intents, Object.fromEntries(own.intents)))),
    since: before.since,
    revision: Math.max(own.revision, before.revision),
  };
}

/** In one form, to be compared. */
function shown({ intents, since, revision }: History): readonly unknown[] {
  return [[...intents].filter(([, times]) => times.length > 0).sort(([a], [b]) => (a < b ? -1 : 1)), since, revision];
}
