import type { Policy, Rule } from "../policy.ts";

/**
 * Who has said yes, and how long ago they were asked. People are compared by their keys: the same name with another key is another person,
 * and who holds the key is who says yes. Ages are in seconds since the command began to wait; null: it does not wait, nobody was asked.
 */
export type Consent = { readonly keys: ReadonlySet<string>; readonly age: number | null };
export const UNASKED: Consent = { keys: new Set(), age: null };

/** What a rule's approval takes, by keys: a key counts as often as the rule names people who have it. */
export type Takes = {
  readonly counts: ReadonlyMap<string, number>;
  readonly need: number;
  readonly within: number;
};

/** Null for `approval: none`. */
export function takesOf(policy: Policy, { approval }: Rule): Takes | null {
  if (approval === "none") return null;
  const counts = new Map<string, number>();
  for (const name of approval.by) {
    const key = policy.people[name];
    if (key === undefined) throw new Error("a person was not checked");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return { counts, need: approval.need, within: approval.within };
}

/** Two approvals with the same text here take the same. */
export function takesText(takes: Takes | null): string {
  if (takes === null) return "none";
  const people = [...takes.counts].map(([key, count]) => `${key} ${count}`).sort();
  return `${people.join(",")} need ${takes.need} within ${takes.within}`;
}

export function isAlive(takes: Takes | null, { age }: Consent): boolean {
  return takes === null || age === null || age < takes.within;
}

export function isGiven(takes: Takes | null, consent: Consent): boolean {
  if (takes === null) return true;
  if (consent.age === null || !isAlive(takes, consent)) return false;
  return yes(takes, consent.keys) >= takes.need;
}

function yes(takes: Takes, keys: ReadonlySet<string>): number {
  return [...takes.counts].reduce((sum, [key, count]) => (keys.has(key) ? sum + count : sum), 0);
}

/** Keys that each of `all` counts alike: which of them say yes makes no difference, only how many. */
type Alike = { readonly keys: readonly string[]; readonly counts: readonly number[] };

function alike(all: readonly Takes[]): readonly Alike[] {
  const groups = new Map<string, { keys: string[]; counts: readonly number[] }>();
  for (const key of new Set(all.flatMap(({ counts }) => [...counts.keys()]))) {
    const counts = all.map((takes) => takes.counts.get(key) ?? 0);
    const group = groups.get(counts.join());
    if (group === undefined) groups.set(counts.join(), { keys: [key], counts });
    else group.keys.push(key);
  }
  return [...groups.values()];
}

/** More tries than this: a policy with very many people in very different groups. */
const MAX_TRIES = 50_000;

/**
 * The fewest people by whom all of `given` have enough and none of `denied` has, whatever the time; null when there are none such, and
 * `unknown` when too many groups of people would have to be tried.
 */
export function peopleFor(given: readonly Takes[], denied: readonly Takes[]): ReadonlySet<string> | null | "unknown" {
  const groups = alike([...given, ...denied]);
  const sums = (chosen: readonly number[], nth: number): number =>
    chosen.reduce((sum, many, at) => sum + many * (groups[at]?.counts[nth] ?? 0), 0);
  const most = (from: number, nth: number): number =>
    groups.slice(from).reduce((sum, { keys, counts }) => sum + keys.length * (counts[nth] ?? 0), 0);
  let tries = 0;
  const search = (chosen: readonly number[]): readonly number[] | null => {
    if (++tries > MAX_TRIES) return null;
    const at = chosen.length;
    if (denied.some(({ need }, nth) => sums(chosen, given.length + nth) >= need)) return null;
    if (given.some(({ need }, nth) => sums(chosen, nth) + most(at, nth) < need)) return null;
    const group = groups[at];
    if (group === undefined) return chosen;
    for (let many = 0; many <= group.keys.length; many++) {
      const found = search([...chosen, many]);
      if (found !== null) return found;
    }
    return null;
  };
  const found = search([]);
  if (found !== null) return new Set(found.flatMap((many, at) => groups[at]?.keys.slice(0, many) ?? []));
  return tries > MAX_TRIES ? "unknown" : null;
}

/** Which of some approvals are given and which still count: every combination that can be, each with people and an age for it. */
export type Pattern = {
  readonly consent: Consent;
  readonly given: readonly boolean[];
  readonly alive: readonly boolean[];
};

/** More different approvals than this for one resource are not told apart: null. */
const MAX_APPROVALS = 6;

export function patternsOf(all: readonly (Takes | null)[]): readonly Pattern[] | null {
  const different = new Map(all.flatMap((takes) => (takes === null ? [] : [[takesText(takes), takes] as const])));
  if (different.size > MAX_APPROVALS) return null;
  const of = (consent: Consent): Pattern => ({
    consent,
    given: all.map((takes) => isGiven(takes, consent)),
    alive: all.map((takes) => isAlive(takes, consent)),
  });
  const found = [of(UNASKED)];
  const ends = [...new Set([...different.values()].map(({ within }) => within))].sort((a, b) => a - b);
  for (const age of [0, ...ends]) {
    const alive = [...different.values()].filter(({ within }) => age < within);
    for (let chosen = 0; chosen < 1 << alive.length; chosen++) {
      const given = alive.filter((_, at) => ((chosen >> at) & 1) === 1);
      const keys = peopleFor(
        given,
        alive.filter((takes) => !given.includes(takes)),
      );
      if (keys === "unknown") return null;
      if (keys !== null) found.push(of({ keys, age }));
    }
  }
  return found;
}
