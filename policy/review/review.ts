import { ACTIONS, type Action, askedResource } from "../asked.ts";
import { type Policy, rulesFor } from "../policy.ts";
import { commandDifferences } from "./commands.ts";
import { contextDifferences } from "./context.ts";
import type { Difference } from "./difference.ts";
import { groundOf, isSame } from "./ground.ts";
import { type Note, notesOf } from "./notes.ts";
import { rateDifferences } from "./rates.ts";
import { TooManyParts } from "./region.ts";
import { meetingsOf, sharedLeaves } from "./shared.ts";

/** How much work is done before a comparison is given up, and said to be. */
export type Limits = {
  /** Parts that the commands of one action on one resource may fall into. */
  readonly parts: number;
  /** Questions to the PDP for examples of the rates of one resource. */
  readonly effort: number;
};
export const REVIEW_LIMITS: Limits = { parts: 50_000, effort: 40_000 };

export type Review = {
  /** What theirs permits and mine does not. */
  readonly more: readonly Difference[];
  /** What mine permits and theirs does not. */
  readonly less: readonly Difference[];
  /** What differs and permits nothing by itself. */
  readonly notes: readonly Note[];
};

/** The actions and resources that the policy has rules for, in the order of the actions, then of the names. */
function subjects(policy: Policy): readonly { readonly action: Action; readonly resource: string }[] {
  const all = [...policy.index.keys()].map((key) => {
    const at = key.indexOf(" ");
    return { action: key.slice(0, at) as Action, resource: key.slice(at + 1) };
  });
  const rank = ({ action }: { readonly action: Action }): number => ACTIONS.indexOf(action);
  return all.sort((x, y) => rank(x) - rank(y) || (x.resource < y.resource ? -1 : 1));
}

/** The rules of two policies for one action on one resource. */
type Two = { readonly a: Policy; readonly b: Policy; readonly action: Action; readonly resource: string };

/** Said instead of what could not be compared: it may hide a difference, so it is one. */
function uncompared({ a, b, action, resource }: Two, why: string): Difference {
  const ids = (policy: Policy): readonly string[] => rulesFor(policy, action, resource).map(({ id }) => id);
  const rules = ids(a);
  return {
    kind: "uncompared",
    about: { action, resource },
    rule: null,
    together: rules,
    beside: ids(b),
    level: "allowed",
    what: [`do something by ${rules.join(", ")} that was not compared: ${why}`],
    example: null,
    covers: ({ situation: { asked } }) => asked.action === action && askedResource(asked) === resource,
  };
}

function differencesIn(two: Two, limits: Limits): readonly Difference[] {
  try {
    const ground = groundOf(two.a, two.b, two.action, two.resource);
    if (isSame(ground)) return [];
    const budget = { left: limits.parts };
    const commands = commandDifferences(ground, budget);
    const meetings = meetingsOf(ground, sharedLeaves(ground, budget));
    if (meetings === null) return [...commands, uncompared(two, "too many different approvals for one resource")];
    return [...commands, ...rateDifferences(ground, meetings, { left: limits.effort })];
  } catch (error) {
    if (!(error instanceof TooManyParts)) throw error;
    return [uncompared(two, "too many rules for one resource that overlap")];
  }
}

/** Everything that a permits and b does not. */
function beyond(a: Policy, b: Policy, limits: Limits): readonly Difference[] {
  const rules = subjects(a).flatMap(({ action, resource }) => differencesIn({ a, b, action, resource }, limits));
  return [...contextDifferences(a, b), ...rules];
}

/**
 * What `theirs` permits beyond `mine`, and the other way round. Where the two are for different vendors, clusters or clouds, their rules
 * are compared as if each were asked by its own.
 */
export function review(theirs: Policy, mine: Policy, limits: Limits = REVIEW_LIMITS): Review {
  return { more: beyond(theirs, mine, limits), less: beyond(mine, theirs, limits), notes: notesOf(theirs, mine) };
}

/** Whether theirs asks for more than mine: to do more, or to be shown more. */
export function asksForMore({ more, notes }: Review): boolean {
  return more.length > 0 || notes.some((note) => note.more);
}
