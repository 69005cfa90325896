import { boundsOf, type Choice } from "./bounds.ts";
import { isAlive, isGiven } from "./consent.ts";
import { type Difference, idsOf } from "./difference.ts";
import { type Ground, type Held, liesIn } from "./ground.ts";
import type { Level, Point } from "./point.ts";
import type { Meeting } from "./shared.ts";
import { whatOf } from "./what.ts";
import { findPast } from "./witness.ts";

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

/** The fewest rules of a that permit what the claim is about. */
function togetherIn({ own, level, meetings }: Claim): readonly number[] {
  const all = meetings.map(({ allowing, waiting }) => (level === "allowed" ? allowing.a : waiting.a));
  return all.reduce((a, b) => (b.length < a.length ? b : a), all[0] ?? [own]);
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

function differenceOf(
  ground: Ground,
  meetings: readonly Meeting[],
  claim: Claim,
  window: number | null,
  effort: number,
): Difference {
  const own = ground.a.held[claim.own];
  if (own === undefined) throw new Error("a rule out of place");
  const beside = pick(ground.b.held, claim.beside);
  return {
    kind: window === null ? "rate" : "memory",
    about: { action: ground.action, resource: ground.resource },
    rule: own.rule.id,
    together: idsOf(pick(ground.a.held, togetherIn(claim))),
    beside: idsOf(beside),
    level: claim.level,
    what: whatOf(ground, [...new Set(claim.meetings.map(({ leaf }) => leaf))]),
    example: findPast(ground, meetings, { own, level: claim.level, beside, meetings: claim.meetings }, window, effort),
    covers: (point, since) => (window === null || since !== null) && coversClaim(ground, claim, point),
  };
}

/** `effort`: how long an example is looked for, in questions to the PDP. */
export function rateDifferences(ground: Ground, meetings: readonly Meeting[], effort: number): readonly Difference[] {
  const { a, b } = { a: ground.a.held, b: ground.b.held };
  const plain = boundsOf(choicesOf(ground, meetings, []), a, b);
  const short = boundsOf(choicesOf(ground, meetings, WINDOWS), a, b);
  return claimsOf(meetings).flatMap((claim) => {
    if (!plain.spare(claim.beside, claim.own)) return [differenceOf(ground, meetings, claim, null, effort)];
    const own = seconds(a, claim.own);
    const failing = WINDOWS.find((window) => {
      const known = claim.beside.filter((rule) => seconds(b, rule) <= window);
      return own <= window && (known.length === 0 || !short.spare(known, claim.own));
    });
    return failing === undefined ? [] : [differenceOf(ground, meetings, claim, failing, effort)];
  });
}
