import { type Approvals, type History, NOBODY } from "../asked.ts";
import { authorize } from "../authorize.ts";
import { type At, match } from "../match.ts";
import type { Policy } from "../policy.ts";
import { isRefusal, type Refusal } from "../refusal.ts";
import type { Consent } from "./consent.ts";
import { letting, seenBy } from "./deploy.ts";
import type { Situation } from "./space.ts";

/** How much a policy permits: refused, waits for people, allowed. */
export const LEVELS = ["refused", "waits", "allowed"] as const;
export type Level = (typeof LEVELS)[number];

/** One question to the PDP, but for what each policy's own history says. Times in milliseconds since 1970. */
export type Point = {
  readonly at: At;
  readonly situation: Situation;
  readonly now: number;
  readonly consent: Consent;
};
/** Times of intents by rule, oldest first, and from when on the log remembers. */
export type Past = { readonly intents: ReadonlyMap<string, readonly number[]>; readonly since: number | null };
export const NO_PAST: Past = { intents: new Map(), since: null };

export type Answer = {
  readonly level: Level;
  /** The rule that decided, or that came closest; null when none did. */
  readonly rule: string | null;
  /** Why not allowed; null when it is, or waits. */
  readonly refusal: Refusal | null;
};

/** The context in which a policy's own commands are asked. */
export function ownAt(policy: Policy, dryRun = false): At {
  return { vendor: policy.vendor, cluster: policy.cluster, place: policy.place, ownGroups: [], dryRun };
}

/** Whose approvals the policy sees: its own names for the keys. */
export function approvalsFor(policy: Policy, { keys, age }: Consent, now: number): Approvals {
  if (age === null) return NOBODY;
  const by = Object.keys(policy.people).filter((name) => keys.has(policy.people[name] ?? ""));
  return { by: new Set(by), since: now - Math.round(age * 1000) };
}

/** What the PDP itself says: `match`, then `authorize`. */
export function ask(policy: Policy, { at, situation, now, consent }: Point, past: Past): Answer {
  const { asked, found } = situation;
  const matched = match(letting(policy, situation), asked, at);
  if (isRefusal(matched)) return { level: "refused", rule: matched.rule ?? null, refusal: matched };
  const history: History = { ...past, revision: policy.revision };
  const seen = found.action === "deploy" ? seenBy(policy, at, found) : found;
  const decision = authorize(matched, seen, history, now, approvalsFor(policy, consent, now));
  switch (decision.decided) {
    case "allowed":
      return { level: "allowed", rule: decision.rule.id, refusal: null };
    case "wait":
      return { level: "waits", rule: decision.rule.id, refusal: null };
    case "refused":
      return { level: "refused", rule: decision.refusal.rule ?? null, refusal: decision.refusal };
  }
}

export function isMore(a: Level, b: Level): boolean {
  return LEVELS.indexOf(a) > LEVELS.indexOf(b);
}
