import { DNS_NAME, type Names } from "../names.ts";

/**
 * DNS names in finitely many parts, such that each pattern of a policy holds a part whole or not at all: one part for each exact name, and one
 * for each `below`: the names below it that are not below a deeper one and not named exactly.
 */
export type NameParts = {
  bitsOf(names: Names): bigint;
  /** The part that a name lies in; -1 when no pattern knows it. */
  partOf(name: string): number;
  /** A name that lies in the part. */
  sample(part: number): string;
  words(bits: bigint): string;
};

type Part = { readonly below: string | null; readonly sample: string; readonly text: string };

function isBelow(name: string, domain: string): boolean {
  return name.endsWith(`.${domain}`);
}

/**
 * Labels to try, nice ones first. Where there is room for one or two characters these are all that there are; where there is more, these
 * are more than two files of the greatest size can name.
 */
function* labels(room: number): Generator<string> {
  const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
  yield* ["new", "other", "x"].filter((label) => label.length <= room);
  if (room >= 1) yield* letters;
  if (room >= 2) for (const a of [...letters, "_"]) for (const b of letters) yield `${a}${b}`;
  if (room >= 3) for (const a of letters) for (const b of letters) for (const c of letters) yield `${a}${b}${c}`;
}

/** A name directly below the domain that lies in this part; null when there is none. */
function sampleBelow(domain: string, belows: readonly string[], exact: ReadonlySet<string>): string | null {
  for (const label of labels(253 - domain.length - 1)) {
    const name = `${label}.${domain}`;
    // A name that is itself a deeper `below` is not below that one: it lies in this part.
    if (
      DNS_NAME.test(name) &&
      !exact.has(name) &&
      !belows.some((other) => isBelow(name, other) && other.length > domain.length)
    )
      return name;
  }
  return null;
}

function partsOf(patterns: readonly Names[]): readonly Part[] {
  const exact = new Set(patterns.flatMap((names) => ("exactly" in names ? names.exactly : [])));
  const belows = [...new Set(patterns.flatMap((names) => ("below" in names ? [names.below] : [])))];
  const parts: Part[] = [...exact].map((name) => ({ below: null, sample: name, text: name }));
  for (const domain of belows) {
    const sample = sampleBelow(domain, belows, exact);
    if (sample !== null) parts.push({ below: domain, sample, text: `below ${domain}` });
  }
  return parts;
}

function covers(outer: Part, inner: Part): boolean {
  if (outer.below === null || outer === inner) return false;
  return isBelow(inner.below ?? inner.sample, outer.below);
}

/** In words, widest first: `any name below a.example other than b.a.example`. */
function wordsFor(parts: readonly Part[], chosen: readonly Part[]): string {
  const widest = chosen.filter((part) => !chosen.some((other) => covers(other, part)));
  return widest
    .map((part) => {
      const left = parts.filter((other) => covers(part, other) && !chosen.includes(other)).map(({ text }) => text);
      const but = left.length === 0 ? "" : ` other than ${left.join(", ")}`;
      return part.below === null ? part.text : `any name ${part.text}${but}`;
    })
    .join(", ");
}

export function nameParts(patterns: readonly Names[]): NameParts {
  const parts = partsOf(patterns);
  const bits = (wanted: (part: Part) => boolean): bigint =>
    parts.reduce((all, part, at) => (wanted(part) ? all | (1n << BigInt(at)) : all), 0n);
  return {
    bitsOf: (names) =>
      "exactly" in names
        ? bits((part) => part.below === null && names.exactly.includes(part.sample))
        : bits((part) => part.below === names.below || isBelow(part.below ?? part.sample, names.below)),
    partOf(name) {
      const exact = parts.findIndex((part) => part.below === null && part.sample === name);
      if (exact >= 0) return exact;
      const above = parts.filter((part) => part.below !== null && isBelow(name, part.below));
      const deepest = above.reduce<Part | null>(
        (a, b) => (a === null || (b.below ?? "").length > (a.below ?? "").length ? b : a),
        null,
      );
      return deepest === null ? -1 : parts.indexOf(deepest);
    },
    sample: (part) => parts[part]?.sample ?? "",
    words: (wanted) =>
      wordsFor(
        parts,
        parts.filter((_, at) => ((wanted >> BigInt(at)) & 1n) === 1n),
      ),
  };
}
