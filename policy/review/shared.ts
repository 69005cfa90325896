import { type Consent, type Pattern, patternsOf } from "./consent.ts";
import { bitsIn } from "./extents.ts";
import type { Ground, Held } from "./ground.ts";
import { type Budget, partition, type Region } from "./region.ts";
import type { Space } from "./space.ts";

/** A part of the commands that rules of both hold, and by their places the rules that hold all of it; no other holds any of it. */
export type SharedLeaf = {
  readonly space: Space;
  readonly region: Region;
  readonly a: readonly number[];
  readonly b: readonly number[];
};

/** All commands that both policies have rules for, in parts that do not overlap. */
export function sharedLeaves(ground: Ground, budget: Budget): readonly SharedLeaf[] {
  const split = ground.a.held.length;
  const all = ground.spaces.flatMap((space, at) => {
    const regions = [...ground.a.held, ...ground.b.held].map(({ regions: all }) => all[at] ?? null);
    return ground.a.held.flatMap((held, nth) => {
      const region = held.regions[at];
      if (region === null || region === undefined) return [];
      return partition(region, regions, space.possible, budget).flatMap((leaf): SharedLeaf[] => {
        const rules = bitsIn(leaf.held);
        const b = rules.filter((rule) => rule >= split).map((rule) => rule - split);
        // Each part once: with the first of the rules of a that hold it.
        if (rules[0] !== nth || b.length === 0) return [];
        return [{ space, region: leaf.region, a: rules.filter((rule) => rule < split), b }];
      });
    });
  });
  const idle = ({ space, region }: SharedLeaf): boolean => space.idle(region);
  return [...all.filter((leaf) => !idle(leaf)), ...all.filter(idle)];
}

/** A part together with one combination of who has said yes, and in which order each policy chooses among its rules then. */
export type Meeting = {
  readonly leaf: SharedLeaf;
  readonly consent: Consent;
  /** The rules by which the command is allowed, and those by which it at least waits. */
  readonly allowing: { readonly a: readonly number[]; readonly b: readonly number[] };
  readonly waiting: { readonly a: readonly number[]; readonly b: readonly number[] };
};

/** In the order in which `authorize` chooses: rules without approval first, then by their ids. */
function inOrder(rules: readonly number[], held: readonly Held[]): readonly number[] {
  const free = (rule: number): boolean => held[rule]?.takes === null;
  return [...rules.filter(free), ...rules.filter((rule) => !free(rule))];
}

function meeting(ground: Ground, leaf: SharedLeaf, pattern: Pattern): Meeting {
  const { a, b } = { a: ground.a.held, b: ground.b.held };
  const kept = (rules: readonly number[], yes: readonly boolean[], from: number): readonly number[] =>
    rules.filter((_, at) => yes[from + at] === true);
  return {
    leaf,
    consent: pattern.consent,
    allowing: {
      a: inOrder(kept(leaf.a, pattern.given, 0), a),
      b: inOrder(kept(leaf.b, pattern.given, leaf.a.length), b),
    },
    waiting: { a: kept(leaf.a, pattern.alive, 0), b: kept(leaf.b, pattern.alive, leaf.a.length) },
  };
}

/** Null when there are too many different approvals to be told apart. */
export function meetingsOf(ground: Ground, leaves: readonly SharedLeaf[]): readonly Meeting[] | null {
  const found: Meeting[] = [];
  for (const leaf of leaves) {
    const takes = [
      ...leaf.a.map((rule) => ground.a.held[rule]?.takes ?? null),
      ...leaf.b.map((rule) => ground.b.held[rule]?.takes ?? null),
    ];
    const patterns = patternsOf(takes);
    if (patterns === null) return null;
    found.push(...patterns.map((pattern) => meeting(ground, leaf, pattern)));
  }
  return found;
}
