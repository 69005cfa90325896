import { type Approvals, NOBODY, resourceOf } from "../policy/asked.ts";
import type { Asks } from "../policy/authorize.ts";
import type { Policy, Rule } from "../policy/policy.ts";
import { type Refusal, refuse } from "../policy/refusal.ts";
import { ruleSentence } from "../policy/sentences.ts";
import { cut } from "../policy/words.ts";
import type { Facts } from "./action.ts";
import type { EntryBody } from "./audit/entry.ts";
import type { WaitingEntry } from "./audit/memory.ts";
import { MAX_WAITING_COMMANDS } from "./limits.ts";
import { approvers, readApprovals } from "./owner/approvals.ts";
import { asking } from "./record.ts";
import type { Road } from "./road.ts";
import type { Verified } from "./verify.ts";
import { approvableOf, newApprovals, waitsSince } from "./waiting.ts";

/** Of a waiting entry: the rule in words, in UTF-16 code units. */
const MAX_SAYS_CHARS = 2000;

export type Consent = {
  readonly approvals: Approvals;
  /** Entries for signatures that are not on record yet; they go before the intent. */
  readonly fresh: readonly Extract<EntryBody, { kind: "approval" }>[];
  /** Where the signature of one who approved is, or will be, on record. */
  entryOf(person: string): number;
};

/** Who of those whom the matched rules ask has approved, by the owner's folder and the policy's people as they are at this moment. */
export function consentNow(road: Road, policy: Policy, rules: readonly Rule[], waited: WaitingEntry | null): Consent {
  const waiting = waited === null ? undefined : road.log.memory.waiting.get(waited.command);
  if (waiting === undefined)
    return {
      approvals: NOBODY,
      fresh: [],
      entryOf(person) {
        throw new Error(`${person} approved what did not wait`);
      },
    };
  const what = approvableOf(waiting.entry);
  const asked = rules.flatMap(({ approval }) => (approval === "none" ? [] : approval.by));
  const judged = readApprovals(road.owner, policy, what, asked);
  const fresh = newApprovals(what, waiting.signatures, judged);
  const size = road.log.size;
  return {
    approvals: { by: approvers(judged), since: waitsSince(waiting.entry) },
    fresh,
    entryOf(person) {
      const theirs = judged.filter((one) => one.person === person && one.code === null).map(({ digest }) => digest);
      const at = fresh.findIndex(({ digest }) => theirs.includes(digest));
      if (at >= 0) return size + at;
      const known = theirs.map((digest) => waiting.signatures.get(digest)?.entry).find((entry) => entry !== undefined);
      if (known === undefined) throw new Error("an approval counts and is not on record");
      return known;
    },
  };
}

/** A command that needs people is held whole, in the log: it survives any crash. `now`: milliseconds. */
export function waitingBody(
  command: Verified,
  found: Facts,
  by: { readonly policy: Policy; readonly digest: string },
  rule: Rule,
  approval: Asks,
  now: number,
): EntryBody {
  return {
    ...asking(command),
    kind: "waiting",
    allowed: { policy: by.digest, rule: rule.id },
    approval: asksBody(approval),
    found,
    resource: resourceOf(command.asked),
    sentence: cut(ruleSentence(by.policy.vendor, rule), MAX_SAYS_CHARS),
    signed: command.signed.text,
    until: Math.min(command.claims.exp, Math.floor(now / 1000) + approval.within),
  };
}

export function asksBody({ by, need, within }: Asks): { by: string[]; need: number; within: number } {
  return { by: [...by], need, within };
}

/** Null while one more may wait. */
export function tooMany(cannot: string, rule: Rule, road: Pick<Road, "log">): Refusal | null {
  const { size } = road.log.memory.waiting;
  if (size < MAX_WAITING_COMMANDS) return null;
  const hint = "Have those approved or taken back (`reeve status` lists them), then send it again.";
  const more = { rule: rule.id, field: "approval" };
  return refuse("policy.approval.too-many", cannot, `${size} commands wait for approval already`, hint, more);
}
