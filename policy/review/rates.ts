import { type Bounds, boundsOf, type Choice } from "./bounds.ts";
import { isAlive, isGiven } from "./consent.ts";
import { type Difference, idsOf } from "./difference.ts";
import { type Ground, type Held, liesIn } from "./ground.ts";
import type { Level, Point } from "./point.ts";
import type { Meeting } from "./shared.ts";
import { whatOf } from "./what.ts";
import { type Effort, findPast } from "./witness.ts";

/** What a permits more often than b, of the commands that both permit. */

/** One thing to be sure of: that these rules of b are never used up while this rule of a is not. */
type Claim = {
  readonly own: number;
  readonly level: Level;
  readonly beside: readonly number[];
  readonly meetings: Meeting[];
};

/** Lengths of windows, in seconds, that a log may not reach back over; the longest is as if it held nothing at all. */
const WINDOWS = [60, 3600, 86_400] as const;

function claimsOf(meetings: readonly Meeting[]): readonly Claim[] {
  const claims = new Map<string, Claim>();
  const add = (own: number, level: Level, beside: readonly number[], meeting: Meeting): void => {
    // That b has no such rule at all is said by commands.ts.
    if (beside.length === 0) return;
    const key = `${own} ${level} ${[...beside].sort((x, y) => x - y)}`;
    const known = claims.get(key);
    if (known === undefined) claims.set(key, { own, level, beside, meetings: [meeting] });
    else known.meetings.push(meeting);
  };
  for (const meeting of meetings) {
    for (const own of meeting.allowing.a) add(own, "allowed", meeting.allowing.b, meeting);
    for (const own of meeting.waiting.a) {
      if (!meeting.allowing.a.includes(own)) add(own, "waits", meeting.waiting.b, meeting);
    }
  }
  return [...claims.values()];
}

function seconds(held: readonly Held[], rule: number): number {
  return held[rule]?.rule.rate.seconds ?? 0;
}

/** The lists from which both choose; with a window, only the rules that are not longer than it, as when the log begins then. */
function choicesOf(ground: Ground, meetings: readonly Meeting[], windows: readonly number[]): readonly Choice[] {
  const found = new Map<string, Choice>();
  for (const { allowing } of meetings) {
    for (const window of [Number.POSITIVE_INFINITY, ...windows]) {
      const a = allowing.a.filter((rule) => seconds(ground.a.held, rule) <= window);
      const b = allowing.b.filter((rule) => seconds(ground.b.held, rule) <= window);
      if (a.length > 0 && b.length > 0) found.set(`${a} ${b}`, { a, b });
    }
  }
  return [...found.values()];
}

function pick(held: readonly Held[], rules: readonly number[]): readonly Held[] {
  return rules.flatMap((rule) => held[rule] ?? []);
}

function coversClaim(ground: Ground, claim: Claim, point: Point): boolean {
  const counts = claim.level === "allowed" ? isGiven : isAlive;
  const holding = ({ held }: Ground["a"]): readonly number[] =>
    held.flatMap(({ takes, regions }, rule) => {
      const here = ground.spaces.some((space, at) => {
        const region = regions[at];
        return region !== null && region !== undefined && liesIn(ground, space, region, point.situation, point.now);
      });
      return here && counts(takes, point.consent) ? [rule] : [];
    });
  const beside = holding(ground.b);
  return (
    holding(ground.a).includes(claim.own) &&
    beside.length === claim.beside.length &&
    beside.every((rule) => claim.beside.includes(rule))
  );
}

function heldOf({ a }: Ground, rule: number): Held {
  const held = a.held[rule];
  if (held === undefined) throw new Error("a rule out of place");
  return held;
}

/** Whether b has a rule beside it that is as wide: then the two differ only by what else these rules count. */
function isMatched(ground: Ground, { own, beside }: Claim): boolean {
  const rate = ground.a.held[own]?.rule.rate;
  return pick(ground.b.held, beside).some(
    ({ rule }) => rate !== undefined && rule.rate.times >= rate.times && rule.rate.seconds <= rate.seconds,
  );
}

/** The plainest first: an example for it says most. */
function plainestFirst(ground: Ground, claims: readonly Claim[]): readonly Claim[] {
  const rank = (claim: Claim): number => (isMatched(ground, claim) ? 1000 : 0) + claim.beside.length;
  return [...claims].sort((x, y) => rank(x) - rank(y));
}

type Failed = { readonly claim: Claim; readonly window: number | null };

/** Claims about one rule that fail alike are one difference, with an example of the first for which one is found. */
function differenceOf(
  ground: Ground,
  meetings: readonly Meeting[],
  failed: readonly Failed[],
  effort: Effort,
): Difference {
  const claims = plainestFirst(
    ground,
    failed.map(({ claim }) => claim),
  );
  const windowOf = (claim: Claim): number | null => failed.find((one) => one.claim === claim)?.window ?? null;
  let shown: Claim | undefined;
  let example: Difference["example"] = null;
  for (const claim of claims) {
    const wanted = { ...claim, own: heldOf(ground, claim.own), beside: pick(ground.b.held, claim.beside) };
    example = findPast(ground, meetings, wanted, windowOf(claim), effort);
    shown = claim;
    if (example !== null || effort.left <= 0) break;
  }
  const told = example === null ? claims[0] : shown;
  if (told === undefined) throw new Error("a difference without a claim");
  const leaves = claims.flatMap((claim) => claim.meetings.map(({ leaf }) => leaf));
  return {
    kind: windowOf(told) === null ? "rate" : "memory",
    about: { action: ground.action, resource: ground.resource },
    rule: heldOf(ground, told.own).rule.id,
    together: idsOf(pick(ground.a.held, fewestOfA(told))),
    beside: idsOf(pick(ground.b.held, told.beside)),
    level: told.level,
    what: atMost(whatOf(ground, [...new Set(leaves)])),
    example,
    covers: (point, since) =>
      claims.some((claim) => (windowOf(claim) === null || since !== null) && coversClaim(ground, claim, point)),
  };
}

/** Many rules that overlap make very many parts; more of them help nobody. */
const MAX_WHAT = 100;
function atMost(what: readonly string[]): readonly string[] {
  if (what.length <= MAX_WHAT) return what;
  return [...what.slice(0, MAX_WHAT), `(and ${what.length - MAX_WHAT} more parts)`];
}

/** The fewest rules of a that permit what the claim is about. */
function fewestOfA({ own, level, meetings }: Claim): readonly number[] {
  const all = meetings.map(({ allowing, waiting }) => (level === "allowed" ? allowing.a : waiting.a));
  return all.reduce((a, b) => (b.length < a.length ? b : a), all[0] ?? [own]);
}

/** How the claim fails: for any log (null), for one that begins so many seconds ago, or not at all. */
function failureOf(ground: Ground, plain: Bounds, short: Bounds, claim: Claim): Failed | null {
  if (!plain.spare(claim.beside, claim.own)) return { claim, window: null };
  const own = seconds(ground.a.held, claim.own);
  const window = WINDOWS.find((one) => {
    const known = claim.beside.filter((rule) => seconds(ground.b.held, rule) <= one);
    return own <= one && (known.length === 0 || !short.spare(known, claim.own));
  });
  return window === undefined ? null : { claim, window };
}

/** `effort`: how long examples are looked for. */
export function rateDifferences(ground: Ground, meetings: readonly Meeting[], effort: Effort): readonly Difference[] {
  const plain = boundsOf(choicesOf(ground, meetings, []), ground.a.held, ground.b.held);
  const short = boundsOf(choicesOf(ground, meetings, WINDOWS), ground.a.held, ground.b.held);
  const groups = new Map<string, Failed[]>();
  for (const claim of claimsOf(meetings)) {
    const failed = failureOf(ground, plain, short, claim);
    if (failed === null) continue;
    const key = `${claim.own} ${claim.level} ${failed.window === null}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [failed]);
    else group.push(failed);
  }
  return [...groups.values()].map((failed) => differenceOf(ground, meetings, failed, effort));
}
