import { isOpen, type When, whenText } from "../when.ts";
import { bitsIn } from "./extents.ts";
import { changesIn, offsetAt, type Stretch } from "./zones.ts";

/**
 * All instants in finitely many parts, such that each rule's `when` is open over a part whole or not at all. Which windows are open
 * together depends on the clocks of their zones, so the parts are found by walking along the time: each week that is unlike another
 * (other offsets, other dated windows) is looked at from its first to its last second.
 */

/** 2020-01-01T00:00Z. Commands of an earlier time are not compared: no reeve was there to judge them. */
export const COMPARED_FROM = 1_577_836_800_000;
/** How far a stretch of time is followed: all calendars come round in 28 years, and the zones that follow Ramadan are told ahead until 2087. */
const FOLLOWED_YEARS = 68;
/** 2026-01-05T00:00Z, a Monday: examples are of a later time where one is as good. */
const EXAMPLES_FROM = 1_767_571_200_000;

const MINUTE = 60_000;
const WEEK = 7 * 24 * 60 * MINUTE;
/** 1970-01-01 was a Thursday. */
const FIRST_MONDAY = 4 * 24 * 60 * MINUTE;

export type TimeParts = {
  /** How many parts there are. */
  readonly count: number;
  bitsOf(when: When): bigint;
  /** -1 when the instant is like none that was looked at. */
  partOf(at: number): number;
  /** A stretch that lies in the part. */
  sample(part: number): Stretch;
  /** Which windows are open and which are not, over all these parts; "" for any time. */
  words(bits: bigint): string;
};

type Weekly = Extract<When, { kind: "weekly" }>;

/** The first instants from `from` on at which a weekly window opens or closes, one of each in the week; the zone's offset stands still. */
function edges(when: Weekly, from: number): readonly number[] {
  const offset = offsetAt(when.zone, from);
  const inWeek = (((from + offset - FIRST_MONDAY) % WEEK) + WEEK) % WEEK;
  return when.days.flatMap((day) =>
    [when.from, when.to].map((minute) => {
      const wanted = (day * 24 * 60 + minute) * MINUTE;
      return from + ((((wanted - inWeek) % WEEK) + WEEK) % WEEK);
    }),
  );
}

/** Stretches over which no dated window opens or closes and no zone's clock is changed, those with good examples first. */
function stretches(whens: readonly When[], zones: readonly string[]): readonly Stretch[] {
  const dated = whens.flatMap((when) => (when.kind === "dated" ? [when.from, when.to] : []));
  const cuts = [...new Set([COMPARED_FROM, ...dated.filter((at) => at > COMPARED_FROM)])].sort((a, b) => a - b);
  const all = cuts.flatMap((from, at) => {
    const to = Math.min(cuts[at + 1] ?? Number.POSITIVE_INFINITY, from + FOLLOWED_YEARS * 366 * 24 * 60 * MINUTE);
    const inside = [EXAMPLES_FROM, ...zones.flatMap((zone) => changesIn(zone, { from, to }))];
    const points = [...new Set([from, ...inside.filter((point) => from < point && point < to), to])].sort(
      (a, b) => a - b,
    );
    return points.slice(0, -1).map((start, nth) => ({ from: start, to: points[nth + 1] ?? start }));
  });
  return [...all.filter(({ from }) => from >= EXAMPLES_FROM), ...all.filter(({ from }) => from < EXAMPLES_FROM)];
}

/** The pieces of one stretch between which no window opens or closes; of a long one its first week, for the others are like it. */
function pieces(stretch: Stretch, weekly: readonly Weekly[]): readonly Stretch[] {
  const to = weekly.length === 0 ? stretch.to : Math.min(stretch.to, stretch.from + WEEK);
  const inside = weekly.flatMap((when) => edges(when, stretch.from)).filter((at) => at < to);
  const points = [...new Set([stretch.from, ...inside, to])].sort((a, b) => a - b);
  return points.slice(0, -1).map((from, at) => ({ from, to: points[at + 1] ?? from }));
}

// By the windows alone: both ways of a comparison, and several resources, often have the same ones.
const kept = new Map<string, TimeParts>();

/** `every` holds each `when` of the rules that are compared. */
export function timeParts(every: readonly When[]): TimeParts {
  const byText = new Map(every.map((when) => [whenText(when), when]));
  byText.delete("always");
  const key = [...byText.keys()].sort().join("\n");
  const known = kept.get(key) ?? partsOf([...byText.values()]);
  kept.set(key, known);
  return known;
}

function partsOf(whens: readonly When[]): TimeParts {
  const weekly = whens.filter((when) => when.kind === "weekly");
  const zones = [...new Set(weekly.map(({ zone }) => zone))];
  const openAt = (at: number): string => whens.map((when) => (isOpen(when, at) ? "1" : "0")).join("");
  const found = new Map<string, Stretch>();
  const weeks = new Set<string>();
  for (const stretch of stretches(whens, zones)) {
    const dated = whens.map((when) => when.kind === "dated" && isOpen(when, stretch.from)).join();
    const like = `${zones.map((zone) => offsetAt(zone, stretch.from)).join()} ${dated}`;
    if (weeks.has(like)) continue;
    if (stretch.to - stretch.from >= WEEK) weeks.add(like);
    for (const piece of pieces(stretch, weekly)) {
      const key = openAt(piece.from);
      if (!found.has(key)) found.set(key, piece);
    }
  }
  return fromParts(whens, [...found], openAt);
}

function fromParts(
  whens: readonly When[],
  parts: readonly (readonly [string, Stretch])[],
  openAt: (at: number) => string,
): TimeParts {
  const bits = (wanted: (open: string) => boolean): bigint =>
    parts.reduce((all, [open], at) => (wanted(open) ? all | (1n << BigInt(at)) : all), 0n);
  const openIn = (when: When): bigint => {
    const nth = whens.findIndex((other) => whenText(other) === whenText(when));
    return nth < 0 ? bits(() => true) : bits((open) => open[nth] === "1");
  };
  const every = bits(() => true);
  return {
    count: parts.length,
    bitsOf: openIn,
    partOf: (at) => (at < COMPARED_FROM ? -1 : parts.findIndex(([open]) => open === openAt(at))),
    sample(part) {
      const stretch = parts[part]?.[1];
      if (stretch === undefined) throw new Error("there is no such part of the time");
      return stretch;
    },
    words: (wanted) =>
      wordsOf(
        wanted,
        every,
        whens.map((when) => ({ text: whenText(when), open: openIn(when) })),
      ),
  };
}

type Window = { readonly text: string; readonly open: bigint };

/** The fewest windows, open or closed, that together are open just then. */
function wordsOf(wanted: bigint, every: bigint, windows: readonly Window[]): string {
  if (wanted === every) return "";
  const said = windows.flatMap(({ text, open }) => {
    if ((wanted & ~open) === 0n) return [{ text: `inside ${text}`, bits: open }];
    return (wanted & open) === 0n ? [{ text: `outside ${text}`, bits: every & ~open }] : [];
  });
  const together = (some: typeof said): bigint => some.reduce((all, { bits }) => all & bits, every);
  if (together(said) !== wanted) return `in ${bitsIn(wanted).length} of ${bitsIn(every).length} kinds of time`;
  const needed = [...said].reduce((some, one) => {
    const fewer = some.filter((other) => other !== one);
    return together(fewer) === wanted ? fewer : some;
  }, said);
  return needed.map(({ text }) => text).join(", ");
}
