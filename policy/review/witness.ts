import { asBits } from "./certificates.ts";
import { type Consent, UNASKED } from "./consent.ts";
import { type Example, exampleOf } from "./difference.ts";
import { bitsIn } from "./extents.ts";
import type { Ground, Held } from "./ground.ts";
import { type Answer, ask, isMore, type Level, ownAt, type Past } from "./point.ts";
import type { Meeting, SharedLeaf } from "./shared.ts";
import type { Situation } from "./space.ts";

/**
 * A sequence of commands that both policies permit, after which a permits one more and b does not. It is carried out step by step by the
 * PDP itself, so what is found is true; that none is found shows nothing.
 */

export type Wanted = {
  readonly own: Held;
  readonly level: Level;
  readonly beside: readonly Held[];
  readonly meetings: readonly Meeting[];
};

/** Questions to the PDP that are left. */
export type Effort = { left: number };

/** Questions to the PDP for one attempt. */
const MAX_ASKED = 400;
/** Bursts before the last one. */
const MAX_BURSTS = 60;
/** Intents that one sequence may count. */
const MAX_INTENTS = 1_000_000;

type Step = { readonly situation: Situation; readonly consent: Consent };

/** Both policies with a log each, which counts what both permit. */
class Two {
  readonly #intents = { a: new Map<string, number[]>(), b: new Map<string, number[]>() };
  #asked = 0;
  #counted = 0;
  constructor(
    readonly ground: Ground,
    readonly since: number | null,
  ) {}

  pasts(): Example["pasts"] {
    return { a: { intents: this.#intents.a, since: this.since }, b: { intents: this.#intents.b, since: this.since } };
  }
  get asked(): number {
    return this.#asked;
  }
  get exhausted(): boolean {
    return this.#asked >= MAX_ASKED || this.#counted >= MAX_INTENTS;
  }
  answers({ situation, consent }: Step, now: number): { readonly a: Answer; readonly b: Answer } {
    this.#asked += 1;
    const { a, b } = this.pasts();
    const question = (side: Ground["a"], past: Past): Answer =>
      ask(side.policy, { at: ownAt(side.policy), situation, now, consent }, past);
    return { a: question(this.ground.a, a), b: question(this.ground.b, b) };
  }
  /** How often a rule may be counted by before it is used up. */
  #left(side: "a" | "b", rule: string, now: number): number {
    const held = this.ground[side].held.find((one) => one.rule.id === rule);
    if (held === undefined) throw new Error("a rule that is not compared");
    const start = now - held.rule.rate.seconds * 1000;
    return held.rule.rate.times - (this.#intents[side].get(rule) ?? []).filter((time) => time > start).length;
  }
  #count(side: "a" | "b", rule: string, now: number, times: number): void {
    const known = this.#intents[side].get(rule) ?? [];
    for (let nth = 0; nth < times; nth++) known.push(now);
    this.#intents[side].set(rule, known);
  }
  /** The same command again and again, as long as both allow it. Until a rule is used up, the same two rules decide. */
  carryOut(step: Step, now: number): void {
    while (!this.exhausted) {
      const { a, b } = this.answers(step, now);
      if (a.level !== "allowed" || b.level !== "allowed" || a.rule === null || b.rule === null) return;
      const times = Math.min(this.#left("a", a.rule, now), this.#left("b", b.rule, now), MAX_INTENTS);
      this.#count("a", a.rule, now, times);
      this.#count("b", b.rule, now, times);
      this.#counted += times;
    }
  }
}

function everybody({ a, b }: Ground): Consent {
  const keys = [...a.held, ...b.held].flatMap(({ takes }) => [...(takes?.counts.keys() ?? [])]);
  return { keys: new Set(keys), age: 0 };
}

/**
 * Times before the last at which everything is carried out that may be: right before, where another window may have been open; half a window
 * before; as far apart as a's windows are long.
 */
function burstsBefore(last: number, apart: number, longest: number): readonly (readonly number[])[] {
  const many = Math.min(MAX_BURSTS, Math.ceil(longest / apart) - 1);
  const steady = Array.from({ length: Math.max(0, many) }, (_, nth) => last - (many - nth) * apart * 1000);
  return [[], [last - 1000], [last - apart * 500], ...(steady.length === 0 ? [] : [steady])];
}

type Plan = { readonly bursts: readonly number[]; readonly before: readonly Step[]; readonly atLast: readonly Step[] };
type Last = { readonly target: Step; readonly level: Level; readonly now: number; readonly since: number | null };

/** Tries one plan: its bursts, then the last one, after each step of which the wanted command is asked. */
function attempt(two: Two, plan: Plan, last: Last): Example | null {
  const { target, now } = last;
  const start = last.since ?? Number.NEGATIVE_INFINITY;
  for (const burst of plan.bursts.filter((at) => at >= start))
    for (const step of plan.before) two.carryOut(step, burst);
  const differs = (): boolean => {
    const { a, b } = two.answers(target, now);
    // Where a only waits it must be b's rates that refuse, not its people.
    return isMore(a.level, b.level) && (last.level === "allowed" || b.level === "refused");
  };
  const found = (): Example => exampleOf(two.ground, { ...target, now }, two.pasts());
  if (differs()) return found();
  for (const step of plan.atLast) {
    two.carryOut(step, now);
    if (differs()) return found();
  }
  return null;
}

/** Instants at which the part's windows are open: right after they open, and right before they close. */
function instantsIn(ground: Ground, leaf: SharedLeaf): readonly number[] {
  const parts = bitsIn(asBits(leaf.region["when"])).slice(0, 3);
  const found = parts.flatMap((part) => {
    const { from, to } = ground.times.sample(part);
    return ground.times.count === 1 ? [from] : [from, Math.max(from, to - 1000)];
  });
  return [...new Set(found)];
}

function plansFor(
  target: Step,
  more: readonly Step[],
  own: readonly Step[],
  bursts: readonly number[],
): readonly Plan[] {
  const befores = bursts.length === 0 ? [[]] : [[target], [...more, ...own]];
  const lasts = [[target], [...more, target], [...own, ...more]];
  return befores.flatMap((before) => lasts.map((atLast) => ({ bursts, before, atLast })));
}

/** Everything that is tried for one part of the commands, the simplest first. */
function* tries(
  ground: Ground,
  others: readonly SharedLeaf[],
  wanted: Wanted,
  { leaf, consent }: Meeting,
  window: number | null,
): Generator<readonly [Plan, Last]> {
  const situation = leaf.space.sample(leaf.region);
  if (situation === null) return;
  const all = everybody(ground);
  const steps = (one: Situation, consents: readonly Consent[]): readonly Step[] =>
    consents.map((each) => ({ situation: one, consent: each }));
  const more = others.flatMap((other) => {
    const its = other === leaf ? null : other.space.sample(other.region);
    return its === null ? [] : steps(its, [all, UNASKED]);
  });
  const target = { situation, consent };
  const own = steps(situation, [consent, all, UNASKED]);
  const longest = Math.max(...wanted.beside.map(({ rule }) => rule.rate.seconds));
  const windows = others.flatMap(({ a }) => a.map((rule) => ground.a.held[rule]?.rule.rate.seconds ?? 60));
  for (const now of instantsIn(ground, leaf)) {
    const last = { target, level: wanted.level, now, since: window === null ? null : now - window * 1000 };
    for (const apart of new Set([wanted.own.rule.rate.seconds, ...windows])) {
      for (const bursts of burstsBefore(now, apart, longest)) {
        for (const plan of plansFor(target, more, own, bursts)) yield [plan, last];
      }
    }
  }
}

/**
 * `window`: the log begins so many seconds before the last command, or holds all that ever was (null). With no `effort` left the
 * search is given up.
 */
export function findPast(
  ground: Ground,
  meetings: readonly Meeting[],
  wanted: Wanted,
  window: number | null,
  effort: Effort,
): Example | null {
  const besides = wanted.beside.map((held) => ground.b.held.indexOf(held));
  // Other commands that b counts by the same rules.
  const others = [...new Set(meetings.map(({ leaf }) => leaf))].filter(({ b }) =>
    b.some((rule) => besides.includes(rule)),
  );
  for (const meeting of wanted.meetings.slice(0, 4)) {
    for (const [plan, last] of tries(ground, others.slice(0, 40), wanted, meeting, window)) {
      const two = new Two(ground, last.since);
      const found = attempt(two, plan, last);
      effort.left -= two.asked;
      if (found !== null) return found;
      if (effort.left <= 0) return null;
    }
  }
  return null;
}
