/** What one field of a rule may be, as a set that can be met with another and taken apart without loss. */

/** Whole numbers from `min` to `max`, both included. */
export type Range = { readonly kind: "range"; readonly min: number; readonly max: number };
/** Some of finitely many parts, a bit each. */
export type Some = { readonly kind: "some"; readonly bits: bigint };
/** The non-empty sets whose members all lie `within` and of whose members at least one lies in each of `touching`. */
export type Several = { readonly kind: "several"; readonly within: bigint; readonly touching: readonly bigint[] };
export type Extent = Range | Some | Several;

export function range(min: number, max: number): Range {
  return { kind: "range", min, max };
}
export function some(bits: bigint): Some {
  return { kind: "some", bits };
}
export function several(within: bigint): Several {
  return { kind: "several", within, touching: [] };
}

/** Takes out what says nothing: a part that every member touches, and a part that holds another whole one. Null when no set is left. */
function tidy(within: bigint, touching: readonly bigint[]): Several | null {
  if (within === 0n) return null;
  const parts = [...new Set(touching.map((part) => part & within))];
  if (parts.includes(0n)) return null;
  const smallest = parts.filter((part) => !parts.some((other) => other !== part && (other & part) === other));
  return { kind: "several", within, touching: smallest.filter((part) => part !== within) };
}

/** What lies in both; null when nothing does. */
export function meet(a: Extent, b: Extent): Extent | null {
  if (a.kind === "range" && b.kind === "range") {
    const [min, max] = [Math.max(a.min, b.min), Math.min(a.max, b.max)];
    return min <= max ? range(min, max) : null;
  }
  if (a.kind === "some" && b.kind === "some") return (a.bits & b.bits) === 0n ? null : some(a.bits & b.bits);
  if (a.kind === "several" && b.kind === "several") return tidy(a.within & b.within, [...a.touching, ...b.touching]);
  throw new Error("two fields of different kinds");
}

/** The parts of `a` outside of `b`, which do not overlap. `b` is a rule's own extent: nothing that it must touch. */
export function without(a: Extent, b: Extent): readonly Extent[] {
  if (a.kind === "range" && b.kind === "range") {
    const below = range(a.min, Math.min(a.max, b.min - 1));
    const above = range(Math.max(a.min, b.max + 1), a.max);
    return [below, above].filter((part) => part.min <= part.max);
  }
  if (a.kind === "some" && b.kind === "some") {
    const bits = a.bits & ~b.bits;
    return bits === 0n ? [] : [some(bits)];
  }
  if (a.kind === "several" && b.kind === "several" && b.touching.length === 0) {
    // A set is not within b when at least one of its members is outside of it.
    const outside = a.within & ~b.within;
    const left = outside === 0n ? null : tidy(a.within, [...a.touching, outside]);
    return left === null ? [] : [left];
  }
  throw new Error("two fields of different kinds");
}

/** Positions of the bits that are set, lowest first. */
export function bitsIn(bits: bigint): readonly number[] {
  const found: number[] = [];
  for (let rest = bits, at = 0; rest !== 0n; rest >>= 1n, at++) if ((rest & 1n) === 1n) found.push(at);
  return found;
}

/** Members of one set of the extent, as few as a greedy choice finds: each time the member that touches most. */
export function members({ within, touching }: Several): readonly number[] {
  const chosen: number[] = [];
  let open = touching;
  while (open.length > 0) {
    const counted = bitsIn(open.reduce((all, part) => all | part, 0n)).map((at) => ({
      at,
      touched: open.filter((part) => ((part >> BigInt(at)) & 1n) === 1n).length,
    }));
    const best = counted.reduce((a, b) => (b.touched > a.touched ? b : a));
    chosen.push(best.at);
    open = open.filter((part) => ((part >> BigInt(best.at)) & 1n) === 0n);
  }
  return chosen.length > 0 ? chosen : bitsIn(within).slice(0, 1);
}

/** Whether one value lies in the extent: a number, a part, or a set of parts. */
export function holds(extent: Extent, value: number | readonly number[]): boolean {
  if (extent.kind === "range") return typeof value === "number" && extent.min <= value && value <= extent.max;
  const has = (bits: bigint, at: number): boolean => at >= 0 && ((bits >> BigInt(at)) & 1n) === 1n;
  if (extent.kind === "some") return typeof value === "number" && has(extent.bits, value);
  if (typeof value === "number" || value.length === 0) return false;
  return (
    value.every((at) => has(extent.within, at)) && extent.touching.every((part) => value.some((at) => has(part, at)))
  );
}
