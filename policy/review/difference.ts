import type { Action } from "../asked.ts";
import type { At } from "../match.ts";
import type { Ground, Held } from "./ground.ts";
import { type Answer, ask, isMore, type Level, NO_PAST, ownAt, type Past, type Point } from "./point.ts";
import type { Region } from "./region.ts";
import type { Space } from "./space.ts";

/**
 * Why one policy, `a`, permits more than the other, `b`.
 * - `command`: b has no rule for it.
 * - `consent`: b's rules for it ask other or more people.
 * - `longer`: a takes approvals for longer.
 * - `rate`: more often. `memory`: sooner again when the log does not reach back.
 * - `context`: for another vendor, cluster or cloud. `dry-run`: also as a dry run.
 * - `uncompared`: so many parts that it was not compared.
 */
export type Kind = "command" | "consent" | "longer" | "rate" | "memory" | "context" | "dry-run" | "uncompared";

export type Example = {
  readonly point: Point;
  /** What each policy's log holds of what both had permitted before. */
  readonly pasts: { readonly a: Past; readonly b: Past };
  /** What the PDP says. */
  readonly a: Answer;
  readonly b: Answer;
};

export type Difference = {
  readonly kind: Kind;
  /** Null for what is not about one resource. */
  readonly about: { readonly action: Action; readonly resource: string } | null;
  /** The rule of a that permits it; null when it is not one rule's. */
  readonly rule: string | null;
  /** All rules of a that permit the same, where they count together: rates. */
  readonly together: readonly string[];
  /** The rules of b that hold the same commands. */
  readonly beside: readonly string[];
  /** What a permits at the most: a level above b's. */
  readonly level: Level;
  /** Sentences that follow `may `. */
  readonly what: readonly string[];
  /** Null when no example was found: then the difference may be none. */
  readonly example: Example | null;
  /** Whether this difference says of a point that a may permit more there. `since`: from when on the log remembers. */
  covers(point: Point, since: number | null): boolean;
};

/** A part of what one rule of a holds, where b holds less or nothing. */
export type Piece = { readonly space: Space; readonly region: Region };

/** Asks both policies. An example that the PDP does not bear out is our own mistake. */
export function exampleOf(
  ground: Pick<Ground, "a" | "b">,
  point: Omit<Point, "at">,
  pasts: Example["pasts"] = { a: NO_PAST, b: NO_PAST },
  at: { readonly a: At; readonly b: At } = { a: ownAt(ground.a.policy), b: ownAt(ground.b.policy) },
): Example {
  const a = ask(ground.a.policy, { ...point, at: at.a }, pasts.a);
  const b = ask(ground.b.policy, { ...point, at: at.b }, pasts.b);
  if (!isMore(a.level, b.level)) throw new Error(`an example is none: ${a.level} and ${b.level}`);
  return { point: { ...point, at: at.a }, pasts, a, b };
}

export function idsOf(held: readonly Held[]): readonly string[] {
  return held.map(({ rule }) => rule.id);
}
