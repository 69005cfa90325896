import type { RuleFor } from "../policy.ts";
import { partsOf } from "../version.ts";
import { bitsIn } from "./extents.ts";

type Versions = RuleFor<"deploy">["version"];

/** All versions that some rule takes, in finitely many parts, such that each rule takes a part whole or not at all. */
export type VersionParts = {
  bitsOf(range: Versions): bigint;
  /** -1 when no rule takes the version. */
  partOf(version: string): number;
  sample(bits: bigint): string;
  words(bits: bigint): string;
};

const STEP = 1_000_000n;
/** One number for a version, so that the next version is the next number. */
function numberOf(version: string): bigint {
  return partsOf(version).reduce((all, part) => all * STEP + BigInt(part), 0n);
}
function textOf(number: bigint): string {
  return [number / STEP / STEP, (number / STEP) % STEP, number % STEP].join(".");
}

/** Both ends are included. */
type Run = { readonly first: bigint; readonly last: bigint };

export function versionParts(ranges: readonly Versions[]): VersionParts {
  const runs = ranges.map(({ min, max }): Run => ({ first: numberOf(min), last: numberOf(max) }));
  const cuts = [...new Set(runs.flatMap(({ first, last }) => [first, last + 1n]))].sort((a, b) => (a < b ? -1 : 1));
  const parts = cuts
    .slice(0, -1)
    .map((first, at): Run => ({ first, last: (cuts[at + 1] ?? first + 1n) - 1n }))
    .filter((part) => runs.some(({ first, last }) => first <= part.first && part.last <= last));
  return {
    bitsOf({ min, max }) {
      const [first, last] = [numberOf(min), numberOf(max)];
      return parts.reduce(
        (bits, part, at) => (first <= part.first && part.last <= last ? bits | (1n << BigInt(at)) : bits),
        0n,
      );
    },
    partOf(version) {
      const number = numberOf(version);
      return parts.findIndex(({ first, last }) => first <= number && number <= last);
    },
    sample: (bits) => textOf(parts[bitsIn(bits)[0] ?? -1]?.first ?? 0n),
    words(bits) {
      const said: Run[] = [];
      for (const at of bitsIn(bits)) {
        const part = parts[at];
        if (part === undefined) throw new Error("there is no such part");
        const before = said.at(-1);
        // Neighbours become one run.
        if (before !== undefined && before.last + 1n === part.first)
          said[said.length - 1] = { first: before.first, last: part.last };
        else said.push(part);
      }
      return said
        .map(({ first, last }) => (first === last ? textOf(first) : `${textOf(first)} to ${textOf(last)}`))
        .join(" or ");
    },
  };
}
