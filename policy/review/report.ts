import type { Policy } from "../policy.ts";
import type { Difference } from "./difference.ts";
import { otherSays, type Shown } from "./example.ts";
import { notesOf } from "./notes.ts";
import { asksForMore, type Review } from "./review.ts";
import { type Named, type Said, said } from "./said.ts";

/** The review as a security reviewer reads it, and as a program does. */

function usedText(used: Shown["used"]["other"]): string {
  return Object.entries(used)
    .map(([rule, times]) => `${rule} ${times}`)
    .join(", ");
}

function exampleLines(
  { send, given, approved, used, logSince }: Shown,
  permits: Named,
  other: Named,
): readonly string[] {
  const people = (names: readonly string[]): string => (names.length === 0 ? "nobody" : names.join(", "));
  const counted = [
    [permits.name, usedText(used.permits)],
    [other.name, usedText(used.other)],
  ].filter(([, text]) => text !== "");
  return [
    `example: ${send}`,
    `given: ${JSON.stringify(given)}`,
    ...(approved === null
      ? []
      : [
          `approved, asked ${approved.waited} before: ${people(approved.permits)} (${permits.name}), ${people(approved.other)} (${other.name})`,
        ]),
    ...(counted.length === 0
      ? []
      : [`used up by then: ${counted.map(([name, text]) => `${text} (${name})`).join("; ")}`]),
    ...(logSince === null ? [] : [`the log begins at ${logSince}`]),
  ];
}

function heading({ about }: Difference): string {
  return about === null ? "the whole file" : `${about.action} ${about.resource}`;
}

function lines({ sentence, other: says, example }: Said, permits: Named, other: Named): readonly string[] {
  return [
    `  - ${sentence}.`,
    ...(says === null ? [] : [`      ${says}`]),
    ...(example === null ? [] : exampleLines(example, permits, other).map((line) => `      ${line}`)),
  ];
}

function sideLines(all: readonly Said[], permits: Named, other: Named): readonly string[] {
  const headings = [...new Set(all.map(({ difference }) => heading(difference)))];
  return headings.flatMap((title) => {
    const here = all.filter(({ difference }) => heading(difference) === title);
    // What comes only of how several rules count the same command is not said at length beside the rest.
    const direct = here.filter(({ indirect }) => !indirect);
    const shown = direct.length === 0 ? here : direct;
    const left = here.length - shown.length;
    return [
      "",
      `  ${title}`,
      ...shown.flatMap((one) => lines(one, permits, other)),
      ...(left === 0
        ? []
        : [`  - Also, where one command counts for several rules, ${left} more in how often (--json).`]),
    ];
  });
}

/** Grouped by action and resource; theirs first. */
export function reviewLines(review: Review, theirs: Named, mine: Named): readonly string[] {
  const all = said(review, theirs, mine);
  const [more, less] = [all.filter(({ side }) => side === "theirs"), all.filter(({ side }) => side === "mine")];
  const named = notesOf(theirs.policy, mine.policy, { theirs: theirs.name, mine: mine.name });
  const notes = named.map(({ text, more: shows }) => `  - ${shows ? "more: " : ""}${text}`);
  const beyond = (some: readonly Said[], permits: Named, other: Named): readonly string[] =>
    some.length === 0
      ? [`${permits.name} permits nothing beyond ${other.name}.`]
      : [`${permits.name} permits beyond ${other.name}:`, ...sideLines(some, permits, other)];
  return [
    ...beyond(more, theirs, mine),
    "",
    ...beyond(less, mine, theirs),
    ...(notes.length === 0 ? [] : ["", "Also different:", ...notes]),
    "",
    asksForMore(review)
      ? `${theirs.name} asks for more than ${mine.name}.`
      : `${theirs.name} asks for no more than ${mine.name}.`,
  ];
}

function jsonOf({ side, difference, sentence, example }: Said, other: Policy): object {
  const { kind, about, rule, beside, level, what } = difference;
  return {
    side,
    kind,
    action: about?.action ?? null,
    resource: about?.resource ?? null,
    rule,
    beside,
    level,
    what,
    sentence,
    shown: example !== null,
    other: otherSays(difference, other),
    example,
  };
}

export function reviewJson(review: Review, theirs: Named, mine: Named): object {
  return {
    asks_for_more: asksForMore(review),
    differences: said(review, theirs, mine).map((one) => jsonOf(one, (one.side === "theirs" ? mine : theirs).policy)),
    notes: review.notes,
  };
}
