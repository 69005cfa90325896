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

function allPairs(a: Rates, b: Rates, wanted: (x: Rates[number], y: Rates[number]) => boolean): Pairs {
  return new Set(a.flatMap((x, i) => b.flatMap((y, j) => (wanted(x, y) ? [pair(i, j)] : []))));
}

/** Pairs with the same rate that always count together: in every list they stand at the same place, after pairs that do too. */
function countingTogether(choices: readonly Choice[], a: Rates, b: Rates): Pairs {
  const same = allPairs(a, b, (x, y) => x.times === y.times && x.seconds === y.seconds);
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
  const wider = allPairs(a, b, (x, y) => x.times <= y.times && x.seconds === y.seconds);
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
  const wider = allPairs(a, b, (x, y) => x.times <= y.times && x.seconds >= y.seconds);
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

export function boundsOf(choices: readonly Choice[], heldA: readonly Held[], heldB: readonly Held[]): Bounds {
  const [a, b] = [heldA.map(({ rule }) => rule.rate), heldB.map(({ rule }) => rule.rate)];
  const pairs = usedUpTogether(choices, a, b);
  // How many rules of b's list are ever counted by: at first one, then as many as it takes that not all are used up.
  const reach = choices.map(() => 1);

  /** The rules of a that may have counted what these rules of b counted. */
  const feeders = (rules: readonly number[]): ReadonlySet<number> => {
    const found = new Set<number>();
    for (const [nth, choice] of choices.entries()) {
      for (const [at, rule] of choice.b.slice(0, reach[nth] ?? 0).entries()) {
        if (!rules.includes(rule)) continue;
        const gone = usedUp(choice, at, pairs);
        for (const x of choice.a) if (!gone.has(x)) found.add(x);
      }
    }
    return found;
  };
  const enough = (rules: readonly number[], own: number): boolean => {
    const from = feeders(rules);
    return [...new Set(rules.map((rule) => b[rule]?.seconds ?? 0))].some((seconds) => {
      const room = rules.reduce(
        (sum, rule) => sum + ((b[rule]?.seconds ?? 0) <= seconds ? (b[rule]?.times ?? 0) : 0),
        0,
      );
      const most = [...from].reduce(
        (sum, x) => sum + (a[x]?.times ?? 0) * Math.ceil(seconds / (a[x]?.seconds ?? 1)),
        0,
      );
      // a's own rule is not used up: it has counted at least one less than it may.
      return from.has(own) ? room >= most : room > most;
    });
  };
  const spare = (rules: readonly number[], own: number): boolean =>
    rules.some((rule) => pairs.has(pair(own, rule))) || subsets(rules).some((some) => enough(some, own));

  for (let changed = true; changed; ) {
    changed = false;
    for (const [nth, choice] of choices.entries()) {
      const now = reach[nth] ?? 0;
      if (now >= choice.b.length || choice.a.every((own) => spare(choice.b.slice(0, now), own))) continue;
      reach[nth] = now + 1;
      changed = true;
    }
  }
  return { spare };
}
