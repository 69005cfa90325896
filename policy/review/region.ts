import { type Extent, meet, without } from "./extents.ts";

/** A rule's fields as one product of extents; by the field's name, in the order of the file. */
export type Region = { readonly [field: string]: Extent };
/** A part of a region, and which of the rules (a bit each, by their place) hold all of it. No other holds any of it. */
export type Leaf = { readonly region: Region; readonly held: bigint };

/** Too many parts: the comparison is given up, and said to be. */
export class TooManyParts extends Error {}

/** How many parts may still be made. */
export type Budget = { left: number };

/**
 * Takes a region apart along a rule's: what lies inside (null: nothing), and what lies outside, in parts that do not overlap.
 * `possible` says whether a region has any point: fields may depend on one another.
 */
export function split(
  region: Region,
  rule: Region,
  possible: (region: Region) => boolean,
): { readonly inside: Region | null; readonly outside: readonly Region[] } {
  const outside: Region[] = [];
  let inside: Region = region;
  for (const field of Object.keys(region)) {
    const [mine, its] = [inside[field], rule[field]];
    if (mine === undefined || its === undefined) throw new Error(`two regions of different fields: ${field}`);
    const both = meet(mine, its);
    // Not even one field meets: all of it is outside, in one part.
    if (both === null) return { inside: null, outside: [region] };
    for (const part of without(mine, its)) outside.push({ ...inside, [field]: part });
    inside = { ...inside, [field]: both };
  }
  return possible(inside) ? { inside, outside: outside.filter(possible) } : { inside: null, outside: [region] };
}

/** Takes a region apart until each part lies whole inside or whole outside of each rule. Throws TooManyParts over the budget. */
export function partition(
  region: Region,
  rules: readonly (Region | null)[],
  possible: (region: Region) => boolean,
  budget: Budget,
): readonly Leaf[] {
  let leaves: Leaf[] = possible(region) ? [{ region, held: 0n }] : [];
  for (const [at, rule] of rules.entries()) {
    if (rule === null) continue;
    const before = leaves.length;
    leaves = leaves.flatMap((leaf) => {
      const { inside, outside } = split(leaf.region, rule, possible);
      const parts = outside.map((part) => ({ region: part, held: leaf.held }));
      return inside === null ? parts : [{ region: inside, held: leaf.held | (1n << BigInt(at)) }, ...parts];
    });
    budget.left -= leaves.length - before;
    if (budget.left < 0) throw new TooManyParts();
  }
  return leaves;
}
