import fc from "fast-check";
import { missed, pair, policyOf, reviewOf, type Tally, trace, untrue } from "./review-world.ts";

/** Sequences of commands that are followed for one pair. */
const TRACES = 4;

/** One run over random pairs; the line says what was looked at, the disagreement (null: none) is the smallest that was found. */
export function fuzz(
  pairs: number,
  seed: number,
): { line: string; tally: Tally & { reviewed: number }; disagreement: string | null } {
  const tally = { reviewed: 0, points: 0, differing: 0, differences: 0, examples: 0, without: 0 };
  const property = fc.property(pair, fc.array(trace, { minLength: TRACES, maxLength: TRACES }), (files, traces) => {
    const [theirs, mine] = [policyOf(files[0]), policyOf(files[1])];
    // A change that made a file invalid leaves no pair: another is drawn in its place.
    fc.pre(theirs !== null && mine !== null);
    tally.reviewed += 1;
    const reviewed = reviewOf(theirs, mine);
    const wrong = [
      ...untrue(theirs, mine, reviewed, tally),
      ...traces.flatMap((one) => missed(theirs, mine, reviewed, one, tally)),
    ];
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
  });
  const result = fc.check(property, { numRuns: pairs, seed });
  const disagreements = result.failed ? 1 : 0;
  // What looked at nothing has shown nothing.
  if (!result.failed && pairs >= 100 && (tally.reviewed < pairs / 2 || tally.differing < pairs)) {
    throw new Error(`too little was looked at: ${JSON.stringify(tally)}`);
  }
  const line = [
    `seed ${seed}: ${tally.reviewed} pairs, ${tally.points} points of which ${tally.differing} are judged differently,`,
    `${tally.differences} differences (${tally.examples} with an example, ${tally.without} not shown), ${disagreements} disagreements`,
  ].join(" ");
  return { line, tally, disagreement: result.failed ? (fc.defaultReportMessage(result) ?? "failed") : null };
}
