import { consistencyProof } from "../audit/consistency.ts";
import type { Log } from "../audit/log.ts";
import { parseCheckpoint } from "../audit/note.ts";
import { emptyTree, type Tree } from "../audit/tree.ts";
import { cosignerOf, type WitnessConfig } from "./config.ts";
import { frontierAt, grown, leavesOf } from "./frontier.ts";
import { introducer } from "./introduce.ts";
import { meaningOf, submissionText, type WitnessSaid } from "./submission.ts";
import { withTheirLine } from "./theirLine.ts";

/** Asks one witness: `path` below its prefix, a body as text. Never throws on what others do. */
export type AskWitness = (to: WitnessConfig, path: string, body: string) => Promise<WitnessSaid>;
/** What a witness has seen that is not this log: it was set back, or there are two of it. */
export type Contradiction = { readonly code: "rolled-back" | "forked"; readonly words: string };

export type Follower = {
  /** The head that it cosigned last, as it was; "" before the first. */
  head(): string;
  /** How far it has cosigned, and when it said so (seconds); 0 and null before the first. */
  cosigned(): { readonly size: number; readonly at: number | null };
  /** Has the newest head cosigned. Null when it is; else why not, or what ends this agent. */
  attempt(): Promise<null | { readonly failed: string } | Contradiction>;
};

/** Of one attempt: each answer that leads to another question is followed so often. */
const MAX_QUESTIONS = 6;
const MOVED_AWAY = "entries that it has not seen were moved away from this log";

/**
 * One witness of c2sp.org/tlog-witness, followed. What it has is asked, not remembered: that survives any crash, and a witness that was
 * restored. `keep` is given each head with its line below.
 */
export function follower(to: WitnessConfig, log: Log, ask: AskWitness, keep: (note: string) => void): Follower {
  const cosigner = cosignerOf(to);
  const introduce = introducer(log);
  let known: Tree = emptyTree();
  let head = "";
  let cosigned: { size: number; at: number | null } = { size: 0, at: null };

  /** Null when `lines` hold a good cosignature of this head by this witness. */
  function take(lines: string, of: string, size: number): string | null {
    const theirs = withTheirLine(of, lines, cosigner);
    if (theirs === null) return "answer: no cosignature by its key";
    const further = grown(log, known, size) ?? frontierAt(log, size);
    if (further === null) return MOVED_AWAY;
    keep(theirs.note);
    known = further;
    head = of;
    cosigned = { size, at: theirs.at };
    return null;
  }

  async function attempt(): Promise<null | { readonly failed: string } | Contradiction> {
    let introduced = false;
    for (let questions = 0; questions < MAX_QUESTIONS; questions++) {
      // Anew for each question: the log may have grown.
      const newest = log.checkpoint();
      const size = parseCheckpoint(newest)?.size ?? 0;
      const proof = provenFrom(known, size);
      if (proof === null) return { failed: MOVED_AWAY };
      const meaning = meaningOf(await ask(to, "/add-checkpoint", submissionText(known.size, proof, newest)));
      if ("failed" in meaning) return meaning;
      if ("cosigned" in meaning) {
        const fault = take(meaning.cosigned, newest, size);
        return fault === null ? null : { failed: fault };
      }
      if ("inconsistent" in meaning) {
        if (known.size === 0) return { failed: "answer: status 422" };
        return { code: "forked", words: `it has cosigned ${known.size} entries that this log does not go on from` };
      }
      if ("unknown" in meaning) {
        if (introduced) return { failed: `it does not take this log (status ${meaning.unknown})` };
        introduced = true;
        const failed = await shown(meaning.unknown);
        if (failed !== null) return { failed };
        continue;
      }
      if (meaning.knows > log.size)
        return { code: "rolled-back", words: `it has cosigned ${meaning.knows} entries, and here are ${log.size}` };
      const tree = meaning.knows === known.size ? null : frontierAt(log, meaning.knows);
      if (tree === null) return { failed: meaning.knows === known.size ? "answer: status 409" : MOVED_AWAY };
      known = tree;
    }
    return { failed: "it asks on and on" };
  }

  /** Shows the log's keys: who refuses a signature most often missed the newest one only. Null when the witness took them. */
  async function shown(unknown: 403 | 404): Promise<string | null> {
    const each = unknown === 403 ? (["newest", "all"] as const) : (["all"] as const);
    let failed = "";
    for (const which of each) {
      const body = await introduce.body(which);
      if (body === null) return MOVED_AWAY;
      const said = await ask(to, "/add-log", body);
      if ("unreachable" in said) return said.unreachable;
      if (said.status === 200) return null;
      failed = refusedToFollow(said);
    }
    return failed;
  }

  function provenFrom(tree: Tree, size: number): Buffer[] | null {
    if (tree.size === 0) return [];
    try {
      return consistencyProof(tree, size, leavesOf(log, tree.size, size));
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  }

  return { head: () => head, cosigned: () => cosigned, attempt };
}

/** 404 and 405: a witness without `add-log`, which its operator tells of this log. */
function refusedToFollow({ status, text }: { readonly status: number; readonly text: string }): string {
  if (status === 404 || status === 405) return "it does not know this log: its operator must add the log's key";
  return `it does not take this log (${status}: ${text.trim().slice(0, 200)})`;
}
