import { otherPlace } from "../match.ts";
import { indexed, type Policy, ruleResource } from "../policy.ts";
import { exampleIn } from "./commands.ts";
import { UNASKED } from "./consent.ts";
import { type Difference, type Example, exampleOf } from "./difference.ts";
import { type Ground, groundOf } from "./ground.ts";
import { ownAt } from "./point.ts";

/** What a permits only because it is for another vendor, cluster or place, or takes dry runs. */

/** Any command that the policy permits or would let wait, in its own context; null when it permits nothing. */
function anything(policy: Policy): Example | null {
  const nothing = indexed({ ...policy, rules: [], tests: [] });
  for (const rule of policy.rules) {
    // One rule alone is always few enough parts.
    const alone = rule.allow === "deploy" ? indexed({ ...policy, rules: [rule], tests: [] }) : policy;
    const ground: Ground = groundOf(alone, nothing, rule.allow, ruleResource(rule));
    const pieces = ground.a.held.flatMap(({ regions }) =>
      regions.flatMap((region, at) => {
        const space = ground.spaces[at];
        return region === null || space === undefined || !space.possible(region) ? [] : [{ space, region }];
      }),
    );
    const found = exampleIn(ground, pieces, UNASKED);
    if (found !== null) return found;
  }
  return null;
}

export function contextDifferences(a: Policy, b: Policy): readonly Difference[] {
  const sample = anything(a);
  if (sample === null) return [];
  const sides = { a: { policy: a, held: [] }, b: { policy: b, held: [] } };
  const found: Difference[] = [];
  const common = { about: null, rule: null, together: [], beside: [], level: sample.a.level } as const;
  const elsewhere = otherPlace(a.place, b.place);
  const differing = [
    ...(a.vendor === b.vendor ? [] : [`vendor ${a.vendor} instead of ${b.vendor}`]),
    ...(a.cluster === b.cluster ? [] : [`cluster ${a.cluster} instead of ${b.cluster}`]),
    ...(elsewhere === null ? [] : [`${elsewhere.field} ${elsewhere.named} instead of ${elsewhere.here}`]),
  ];
  if (differing.length > 0) {
    const own = ownAt(a);
    found.push({
      ...common,
      kind: "context",
      what: [`all that its rules say, for the ${differing.join(", the ")}`],
      example: exampleOf(sides, sample.point, sample.pasts, { a: own, b: own }),
      covers: ({ at }) => at.vendor === a.vendor && at.cluster === a.cluster && otherPlace(a.place, at.place) === null,
    });
  }
  if (a.dry_run === "allowed" && b.dry_run !== "allowed") {
    const example = exampleOf(sides, sample.point, sample.pasts, { a: ownAt(a, true), b: ownAt(b, true) });
    const what = ["have all that its rules say considered as a dry run"];
    found.push({ ...common, kind: "dry-run", what, example, covers: ({ at }) => at.dryRun });
  }
  return found;
}
