import { bitsIn } from "./extents.ts";
import type { Held } from "./ground.ts";

/**
 * Whether b can have used up some of its rules while a has not used up one of its own, over every sequence of commands that both permit.
 *
 * What is known of such a sequence: each command is counted once by each policy, by the first rule in its list that is not used up.
 * A rule of n times in s seconds counts at most n * ceil(S / s) in any S seconds. Everything here follows from these two by induction
 * over the sequence; docs/POLICY.md says what is exact and what is not.
 */

/** The rules that both would choose from for some command at some time, each in the order in which they are chosen; by their places. */
export type Choice = { readonly a: readonly number[]; readonly b: readonly number[] };

type Rates = readonly { readonly times: number; readonly seconds: number }[];
/** Pairs by `${a} ${b}`. */
type Pairs = ReadonlySet<string>;

function pair(a: number, b: number): string {
  return `${a} ${b}`;
}

/** Takes pairs out until all that are left hold while the others are relied upon. */
function greatest(start: Pairs, keeps: (a: number, b: number, pairs: Pairs) => boolean): Pairs {
  let pairs = start;
  for (;;) {
    const left = new Set(
      [...pairs].filter((text) => {
        const [a = -1, b = -1] = text.split(" ").map(Number);
        return keeps(a, b, pairs);
      }),
    );
    if (left.size === pairs.size) return pairs;
    pairs = left;
  }
}

/** Pairs that stand in one choice: of others nothing is ever asked. */
function allPairs(
  choices: readonly Choice[],
  a: Rates,
  b: Rates,
  wanted: (x: Rates[number], y: Rates[number]) => boolean,
): Pairs {
  const found = new Set<string>();
  for (const choice of choices) {
    for (const i of choice.a) {
      for (const j of choice.b) {
        const [x, y] = [a[i], b[j]];
        if (x !== undefined && y !== undefined && wanted(x, y)) found.add(pair(i, j));
      }
    }
  }
  return found;
}

/** Pairs with the same rate that always count together: in every list they stand at the same place, after pairs that do too. */
function countingTogether(choices: readonly Choice[], a: Rates, b: Rates): Pairs {
  const same = allPairs(choices, a, b, (x, y) => x.times === y.times && x.seconds === y.seconds);
  return greatest(same, (i, j, pairs) =>
    choices.every((choice) => {
      const at = choice.a.indexOf(i);
      return (
        at === choice.b.indexOf(j) &&
        choice.a.slice(0, Math.max(at, 0)).every((x, nth) => pairs.has(pair(x, choice.b[nth] ?? -1)))
      );
    }),
  );
}

/** Pairs that stand first wherever either stands, over windows of the same length: b counts at least as much as a, and is the wider. */
function firstTogether(choices: readonly Choice[], a: Rates, b: Rates): Pairs {
  const wider = allPairs(choices, a, b, (x, y) => x.times <= y.times && x.seconds === y.seconds);
  return greatest(wider, (i, j) =>
    choices.every(
      (choice) => (!choice.a.includes(i) && !choice.b.includes(j)) || (choice.a[0] === i && choice.b[0] === j),
    ),
  );
}

/**
 * Pairs of which b's rule is used up only when a's is. Besides the two kinds above: wherever b counts by its rule, all of a's rules but
 * the one are used up, because b's rules before it are, so that a counts by that one.
 */
function usedUpTogether(choices: readonly Choice[], a: Rates, b: Rates): Pairs {
  const known = new Set([...countingTogether(choices, a, b), ...firstTogether(choices, a, b)]);
  const wider = allPairs(choices, a, b, (x, y) => x.times <= y.times && x.seconds >= y.seconds);
  return greatest(new Set([...known, ...wider]), (i, j, pairs) => {
    if (known.has(pair(i, j))) return true;
    return choices.every((choice) => {
      const at = choice.b.indexOf(j);
      if (at < 0) return true;
      const gone = usedUp(choice, at, pairs);
      // Where all of a's are used up a permits nothing, so that b counts nothing either.
      return choice.a.every((x) => x === i || gone.has(x));
    });
  });
}

/** The rules of a that are used up when b counts by the rule at this place of its list. */
function usedUp(choice: Choice, at: number, pairs: Pairs): ReadonlySet<number> {
  const before = choice.b.slice(0, at);
  return new Set(choice.a.filter((x) => before.some((y) => pairs.has(pair(x, y)))));
}

/** Sets of b's rules that are tried: all of a few, else each alone and all together. */
function subsets(rules: readonly number[]): readonly (readonly number[])[] {
  if (rules.length > 6) return [...rules.map((one) => [one]), rules];
  return Array.from({ length: (1 << rules.length) - 1 }, (_, chosen) =>
    rules.filter((_rule, at) => (((chosen + 1) >> at) & 1) === 1),
  );
}

export type Bounds = {
  /** True when not all of these rules of b can be used up while this rule of a is not. False says nothing. */
  spare(b: readonly number[], a: number): boolean;
};

/** For each choice and each place of b's list: the rules of a, a bit each, that may have counted what b counts by the rule there. */
function countedBy(choices: readonly Choice[], pairs: Pairs): readonly (readonly bigint[])[] {
  return choices.map((choice) =>
    choice.b.map((_, at) => {
      const gone = usedUp(choice, at, pairs);
      return choice.a.reduce((bits, rule) => (gone.has(rule) ? bits : bits | (1n << BigInt(rule))), 0n);
    }),
  );
}

/** Whether these rules of b have room for all that the rules of a (`from`) can have counted within some window, but for one of `own`. */
function hasRoom(rules: readonly number[], from: bigint, own: number, a: Rates, b: Rates): boolean {
  const feeders = bitsIn(from);
  return [...new Set(rules.map((rule) => b[rule]?.seconds ?? 0))].some((seconds) => {
    const within = rules.filter((rule) => (b[rule]?.seconds ?? 0) <= seconds);
    const room = within.reduce((sum, rule) => sum + (b[rule]?.times ?? 0), 0);
    const most = feeders.reduce((sum, x) => sum + (a[x]?.times ?? 0) * Math.ceil(seconds / (a[x]?.seconds ?? 1)), 0);
    // a's own rule is not used up: it has counted at least one less than it may.
    return feeders.includes(own) ? room >= most : room > most;
  });
}

export function boundsOf(choices: readonly Choice[], heldA: readonly Held[], heldB: readonly Held[]): Bounds {
  const [a, b] = [heldA.map(({ rule }) => rule.rate), heldB.map(({ rule }) => rule.rate)];
  const pairs = usedUpTogether(choices, a, b);
  const counted = countedBy(choices, pairs);
  // How many rules of b's list are ever counted by: at first one, then as many as it takes that not all are used up.
  const reach = choices.map(() => 1);
  const feeders = b.map(() => 0n);
  const feed = (nth: number, at: number): void => {
    const rule = choices[nth]?.b[at];
    if (rule !== undefined) feeders[rule] = (feeders[rule] ?? 0n) | (counted[nth]?.[at] ?? 0n);
  };
  for (const nth of choices.keys()) feed(nth, 0);
  const enough = (rules: readonly number[], own: number): boolean => {
    const from = rules.reduce((bits, rule) => bits | (feeders[rule] ?? 0n), 0n);
    return hasRoom(rules, from, own, a, b);
  };
  const spare = (rules: readonly number[], own: number): boolean =>
    rules.some((rule) => pairs.has(pair(own, rule))) || subsets(rules).some((some) => enough(some, own));

  for (let changed = true; changed; ) {
    changed = false;
    for (const [nth, choice] of choices.entries()) {
      const now = reach[nth] ?? 0;
      if (now >= choice.b.length || choice.a.every((own) => spare(choice.b.slice(0, now), own))) continue;
      reach[nth] = now + 1;
      feed(nth, now);
      changed = true;
    }
  }
  return { spare };
}
