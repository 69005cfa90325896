import type { Entry } from "../../audit/entry.ts";

/** What was used of each rule in a period, from the entries themselves: what a rule could be narrowed to without refusing what was done. */
export const USAGE_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;
const MAX_VALUES = 100;

export type Span = { min: number; max: number };
export type RuleUse = {
  /** When, in milliseconds since 1970, rising. */
  readonly times: number[];
  /** By name of what was asked: count, up, down, validity, ttl. */
  readonly ranges: Map<string, Span>;
  /** By name: changes, types, name, values, usages, key; each with how often. */
  readonly values: Map<string, Map<string, number>>;
  /** Refusals that this rule came closest to, by code. */
  readonly refused: Map<string, number>;
};
export type Usage = { readonly since: number; readonly rules: Map<string, RuleUse> };

export function emptyUsage(now: number): Usage {
  return { since: now - USAGE_DAYS * DAY_MS, rules: new Map() };
}

/** Adds an intent, or a refusal that names a rule; others count nothing. Entries come in the log's order. */
export function addUse(usage: Usage, entry: Entry): void {
  const time = Date.parse(entry.time);
  if (time < usage.since) return;
  if (entry.kind === "refused" && entry.rule !== null) {
    const { refused } = useOf(usage, entry.rule);
    refused.set(entry.code, (refused.get(entry.code) ?? 0) + 1);
  }
  if (entry.kind !== "intent") return;
  const use = useOf(usage, entry.allowed.rule);
  use.times.push(time);
  const { asked, found } = entry;
  for (const name of ["count", "validity", "ttl"]) widen(use, name, asked[name]);
  const [to, at] = [asked["count"], found["count"]];
  if (typeof to === "number" && typeof at === "number") {
    widen(use, "up", Math.max(0, to - at));
    widen(use, "down", Math.max(0, at - to));
  }
  // What a certificate is for stands in its request, which was found and not said.
  const said: Readonly<Record<string, unknown>> =
    entry.action === "issue-certificate"
      ? { ...asked, name: found["names"], key: found["key"] }
      : { ...asked, signers: found["signed_by"] };
  for (const [name, shown] of Object.entries(LISTED)) {
    const value = said[name];
    for (const one of Array.isArray(value) ? value : [value]) if (typeof one === "string") note(use, shown, one);
  }
}
const LISTED = {
  change: "changes",
  type: "types",
  name: "name",
  values: "values",
  usages: "usages",
  key: "key",
  signers: "signers",
} as const;

function useOf(usage: Usage, rule: string): RuleUse {
  const known = usage.rules.get(rule);
  if (known !== undefined) return known;
  const use: RuleUse = { times: [], ranges: new Map(), values: new Map(), refused: new Map() };
  usage.rules.set(rule, use);
  return use;
}

function widen(use: RuleUse, name: string, value: unknown): void {
  if (typeof value !== "number") return;
  const span = use.ranges.get(name);
  if (span === undefined) use.ranges.set(name, { min: value, max: value });
  else use.ranges.set(name, { min: Math.min(span.min, value), max: Math.max(span.max, value) });
}

function note(use: RuleUse, name: string, value: string): void {
  const values = use.values.get(name) ?? new Map<string, number>();
  use.values.set(name, values);
  if (values.has(value) || values.size < MAX_VALUES) values.set(value, (values.get(value) ?? 0) + 1);
}

/** The most that were used within any stretch of so many seconds: what a rate is held against. */
export function busiest(times: readonly number[], seconds: number): number {
  let most = 0;
  let from = 0;
  for (const [at, time] of times.entries()) {
    while ((times[from] ?? time) <= time - seconds * 1000) from += 1;
    most = Math.max(most, at - from + 1);
  }
  return most;
}

/** Intents of each of the last days, the oldest first; the last one ends now. */
export function perDay(times: readonly number[], since: number): number[] {
  const days = new Array<number>(USAGE_DAYS).fill(0);
  for (const time of times) {
    const day = Math.min(USAGE_DAYS - 1, Math.floor((time - since) / DAY_MS));
    days[day] = (days[day] ?? 0) + 1;
  }
  return days;
}
