import { inclusionProofs } from "../audit/consistency.ts";
import type { Log } from "../audit/log.ts";
import { parseCheckpoint } from "../audit/note.ts";
import type { Tree } from "../audit/tree.ts";
import { REQUEST_TIMEOUT_SECONDS } from "../limits.ts";
import type { Post } from "../poll.ts";
import { MAX_RECEIPTS, WitnessAnswer, type WitnessRequest } from "../wire/protocol.ts";
import { frontierAt, grown, leavesOf } from "./frontier.ts";
import { withTheirLine } from "./theirLine.ts";

export type ControlWitness = {
  /** The head that it cosigned last, with every entry's receipt handed in; "" before the first, null when it takes none. */
  head(): string | null;
  cosigned(): { readonly size: number; readonly at: number | null };
  attempt(): Promise<string | null>;
  /** Says what another witness has seen, before this agent stops. Best effort: its own stop must not wait for it. */
  tell(refused: WitnessRequest["refused"]): Promise<void>;
};

/** Of one attempt: a question brings MAX_RECEIPTS receipts. */
const MAX_QUESTIONS = 16;

type Deps = {
  readonly log: Log;
  readonly post: Post;
  readonly stop: AbortSignal;
  /** Keys by which the control plane may cosign: kid to `x`, of the trust statement in force. */
  keys(): ReadonlyMap<string, string>;
  /** The others' lines below this head, as far as they have come. */
  others(head: string): string;
  keep(note: string): void;
};

/**
 * Has the control plane cosign the newest head, and hands in receipts: the inclusion proof of each entry in a head that was cosigned. Which
 * entry is the first without one is asked, not remembered.
 */
export function controlWitness({ log, post, stop, keys, others, keep }: Deps): ControlWitness {
  let done: string | null = "";
  let kept = "";
  let cosigned: { size: number; at: number | null } = { size: 0, at: null };
  /** The tree before the first entry without a receipt; null while that is not known. */
  let proven: Tree | null = null;

  async function attempt(): Promise<string | null> {
    // One head for all of it: the one that the others' lines are below.
    const head = log.checkpoint();
    const size = parseCheckpoint(head)?.size ?? 0;
    const checkpoint = `${head}${others(head)}`;
    for (let questions = 0; questions < MAX_QUESTIONS; questions++) {
      const receipts = proven === null || proven.size >= size ? null : receiptsFrom(proven, size);
      const options = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS, signal: stop };
      const answer = await post("/v1/witness", { checkpoint, receipts, refused: [] }, WitnessAnswer, options);
      if ("unreachable" in answer) return answer.unreachable;
      if ("fault" in answer) {
        // A control plane from before there were witnesses: it is left alone until the next start.
        if (answer.fault === "not-available" || answer.fault === "not-found") done = null;
        return done === null ? null : `${answer.fault}: ${answer.message}`;
      }
      const fault = take(head, answer.ok.cosignature, size);
      if (fault !== null) return fault;
      const wanted = answer.ok.receipts;
      if (wanted >= size) {
        proven = proven !== null && proven.size <= size ? grown(log, proven, size) : null;
        done = head;
        return null;
      }
      if (receipts !== null && wanted < receipts.from + receipts.paths.length) {
        proven = null;
        return "answer: it does not take receipts";
      }
      const next = proven !== null && proven.size <= wanted ? grown(log, proven, wanted) : frontierAt(log, wanted);
      // Entries that were moved away can be proven by nobody here: the control plane shows that they are missing.
      if (next === null || (proven !== null && receipts === null && proven.size < size)) {
        proven = null;
        done = head;
        return null;
      }
      proven = next;
    }
    // The rest is handed in with the next attempt: `done` says that there is one.
    return null;
  }

  /** Null where lines are not at hand. */
  function receiptsFrom(from: Tree, size: number): WitnessRequest["receipts"] {
    const to = Math.min(from.size + MAX_RECEIPTS, size);
    try {
      const paths = inclusionProofs(from, to, size, leavesOf(log, from.size, size));
      return { from: from.size, paths: paths.map((path) => path.map((hash) => hash.toString("base64"))) };
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  }

  function take(head: string, line: string, size: number): string | null {
    // Before a trust statement names its key nothing of it is kept; receipts are handed in all the same.
    if (keys().size === 0) return null;
    for (const [name, x] of keys()) {
      const theirs = withTheirLine(head, line, { name, publicKey: Buffer.from(x, "base64url") });
      if (theirs === null) continue;
      // Many receipts take several questions about one head: it is kept once.
      if (kept !== head) keep(theirs.note);
      kept = head;
      cosigned = { size, at: theirs.at };
      return null;
    }
    return "answer: no cosignature by a key of the trust statement";
  }

  return {
    head: () => done,
    cosigned: () => cosigned,
    attempt,
    async tell(refused) {
      const body = { checkpoint: log.checkpoint(), receipts: null, refused };
      await post("/v1/witness", body, WitnessAnswer, {
        timeoutSeconds: REQUEST_TIMEOUT_SECONDS,
        signal: new AbortController().signal,
      });
    },
  };
}
