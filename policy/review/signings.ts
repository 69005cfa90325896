import type { RuleFor } from "../policy.ts";
import { bitsIn } from "./extents.ts";
import { TooManyParts } from "./region.ts";

/** What a deploy rule asks of a manifest's signatures, by keys: who holds the key is who signs, whatever a policy calls it. */
export type Asks = {
  readonly rule: RuleFor<"deploy">;
  /** Each key with the policy's id of it. */
  readonly keys: ReadonlyMap<string, string>;
};

/** Who may have signed, in finitely many parts, such that each rule takes a part whole or not at all. */
export type Signings = {
  bitsOf(rule: RuleFor<"deploy">): bigint;
  /** Of the keys that signed; others than those that some rule names make no difference. */
  partOf(keys: readonly string[]): number;
  /** The fewest keys. */
  sample(bits: bigint): readonly string[];
  words(bits: bigint): string;
};

/** More parts than this: very many keys in very different groups. */
const MAX_SIGNINGS = 4096;

/** Keys that every rule counts alike: which of them signed makes no difference, only how many. */
function alike(asks: readonly Asks[]): readonly (readonly string[])[] {
  const groups = new Map<string, string[]>();
  for (const key of new Set(asks.flatMap(({ keys }) => [...keys.keys()]))) {
    const named = asks.map(({ keys }) => keys.has(key)).join();
    groups.set(named, [...(groups.get(named) ?? []), key]);
  }
  return [...groups.values()];
}

/** Every way in which so many of each group can have signed. */
function everyWay(groups: readonly (readonly string[])[]): readonly (readonly number[])[] {
  if (groups.reduce((product, { length }) => product * (length + 1), 1) > MAX_SIGNINGS) throw new TooManyParts();
  return groups.reduce<readonly (readonly number[])[]>(
    (ways, { length }) => ways.flatMap((way) => Array.from({ length: length + 1 }, (_, many) => [...way, many])),
    [[]],
  );
}

/** What the keys are called; where one name stands for two keys, with a part of the key beside it. */
function namesOf(asks: readonly Asks[]): (key: string) => string {
  const ids = new Map<string, string>();
  for (const { keys } of asks) for (const [key, id] of keys) if (!ids.has(key)) ids.set(key, id);
  const twice = (id: string): boolean => [...ids.values()].filter((other) => other === id).length > 1;
  return (key) => {
    const id = ids.get(key) ?? "";
    return twice(id) ? `${id} (key …${key.slice(-8)})` : id;
  };
}

/** Throws TooManyParts. */
export function signings(asks: readonly Asks[]): Signings {
  const groups = alike(asks);
  const ways = everyWay(groups);
  const nameOf = namesOf(asks);
  const signed = (way: readonly number[], { keys }: Asks): number =>
    groups.reduce((sum, [first], at) => (keys.has(first ?? "") ? sum + (way[at] ?? 0) : sum), 0);
  const takenBy = (ask: Asks): bigint =>
    ways.reduce((bits, way, at) => (signed(way, ask) >= ask.rule.signers.need ? bits | (1n << BigInt(at)) : bits), 0n);
  const taken = new Map(asks.map((ask) => [ask.rule, takenBy(ask)]));
  const listed = ({ rule, keys }: Asks): string => {
    const names = [...keys.keys()].map(nameOf);
    return names.length === 1 ? names.join() : `${rule.signers.need} of ${names.join(", ")}`;
  };
  return {
    bitsOf(rule) {
      const bits = taken.get(rule);
      if (bits === undefined) throw new Error("a rule that was not measured");
      return bits;
    },
    partOf(keys) {
      const counts = groups.map((group) => group.filter((key) => keys.includes(key)).length);
      return ways.findIndex((way) => way.every((many, at) => many === counts[at]));
    },
    sample(bits) {
      const sum = (way: readonly number[]): number => way.reduce((all, many) => all + many, 0);
      const chosen = bitsIn(bits).flatMap((at) => [ways[at] ?? []]);
      const fewest = chosen.reduce((a, b) => (sum(b) < sum(a) ? b : a));
      return fewest.flatMap((many, at) => groups[at]?.slice(0, many) ?? []);
    },
    words(bits) {
      // A part is what some rules take and others do not: said by these, each once.
      const all = asks.map((ask) => ({ said: listed(ask), bits: taken.get(ask.rule) ?? 0n }));
      const by = new Set(all.filter((one) => (bits & ~one.bits) === 0n).map(({ said }) => said));
      const not = new Set(all.filter((one) => (bits & one.bits) === 0n).map(({ said }) => said));
      const without = not.size === 0 ? "" : ` and not by ${[...not].join(", nor by ")}`;
      return `signed by ${[...by].join(" and by ")}${without}`;
    },
  };
}
