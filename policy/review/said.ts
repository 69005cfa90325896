import { rateText } from "../duration.ts";
import type { Policy, Rule } from "../policy.ts";
import { approvalText } from "../words.ts";
import type { Difference } from "./difference.ts";
import { otherSays, type Shown, shownExample } from "./example.ts";
import type { Review } from "./review.ts";

/** Differences in sentences. */

/** A policy with what it is called in sentences. */
export type Named = { readonly policy: Policy; readonly name: string };
export type Side = "theirs" | "mine";

/** One difference, said. */
export type Said = {
  readonly side: Side;
  readonly difference: Difference;
  /** What the one permits. */
  readonly sentence: string;
  /** What the other says to it; null where no example shows it. */
  readonly other: string | null;
  readonly example: Shown | null;
  /** The other has a rule that is as wide, so that the two differ only by what else counts for these rules. */
  readonly indirect: boolean;
};

function ruleOf(policy: Policy, id: string | null): Rule | null {
  return policy.rules.find((rule) => rule.id === id) ?? null;
}

function asksText(rule: Rule): string {
  return rule.approval === "none" ? "without asking anybody" : `once approved, ${approvalText(rule.approval)}`;
}

function each(policy: Policy, ids: readonly string[], text: (rule: Rule) => string): string {
  const said = ids.flatMap((id) => {
    const rule = ruleOf(policy, id);
    return rule === null ? [] : [`${text(rule)} (rule ${id})`];
  });
  return said.join(" and ");
}

/** How often is a matter of the rules; for which of their commands is said for the first few. */
const SAID_PARTS = 3;
function fewer(what: readonly string[]): string {
  const left = what.length - SAID_PARTS;
  return `${what.slice(0, SAID_PARTS).join("; or ")}${left > 0 ? ` (and ${left} more, see --json)` : ""}`;
}

function rateOf({ rate }: Rule): string {
  return rateText(rate);
}

function sentenceOf(
  { kind, rule: id, together, beside, what, example }: Difference,
  permits: Named,
  other: Named,
): string {
  const rule = ruleOf(permits.policy, id);
  const all = what.join("; or ");
  const may = `${permits.name} would also let ${permits.policy.vendor} ${all}`;
  if (rule === null) return may;
  switch (kind) {
    case "consent":
      return `${permits.name} would let ${permits.policy.vendor} ${all} ${asksText(rule)} (rule ${id}); ${other.name} only ${each(other.policy, beside, asksText)}`;
    case "longer":
      return `${permits.name} takes approvals for longer, ${approvalTextOf(rule)} (rule ${id}), to ${all}; ${other.name} ${each(other.policy, beside, approvalTextOf)}`;
    case "rate":
    case "memory": {
      const how = kind === "rate" ? "more often" : "sooner when the log does not reach back, as on a new machine,";
      const shown = example === null ? `perhaps ${how} (that it cannot was not shown)` : how;
      const rates = `${each(permits.policy, together, rateOf)}; ${other.name} ${each(other.policy, beside, rateOf)}`;
      return `${permits.name} would let ${permits.policy.vendor} ${shown} ${fewer(what)}: ${rates}`;
    }
    default:
      return `${may}, ${asksText(rule)} (rule ${id})`;
  }
}

function approvalTextOf({ approval }: Rule): string {
  return approvalText(approval);
}

function otherText(difference: Difference, other: Named): string | null {
  const says = otherSays(difference, other.policy);
  if (says === null) return null;
  if (says.level === "waits") return `${other.name} waits: ${says.because}`;
  const limit = says.limit === null ? "" : `, ${says.limit}`;
  return `${other.name} refuses: ${says.because}${limit}`;
}

/** Rates of the same rules are one sentence, with the first example that there is. */
function rulesOf({ kind, about, together, beside, example }: Difference): string {
  return JSON.stringify([kind, about, together, beside, example === null]);
}

function joined(differences: readonly Difference[]): readonly Difference[] {
  const found: Difference[] = [];
  for (const difference of differences) {
    const { kind } = difference;
    const same = found.findIndex(
      (known) => (kind === "rate" || kind === "memory") && rulesOf(known) === rulesOf(difference),
    );
    const known = found[same];
    if (known === undefined) found.push(difference);
    else found[same] = { ...known, what: [...new Set([...known.what, ...difference.what])] };
  }
  return found;
}

function isIndirect({ kind, rule: id, beside }: Difference, permits: Named, other: Named): boolean {
  const rate = ruleOf(permits.policy, id)?.rate;
  if (rate === undefined || (kind !== "rate" && kind !== "memory")) return false;
  return beside.some((one) => {
    const its = ruleOf(other.policy, one)?.rate;
    return its !== undefined && its.times >= rate.times && its.seconds <= rate.seconds;
  });
}

function saidOf(side: Side, differences: readonly Difference[], permits: Named, other: Named): readonly Said[] {
  return joined(differences).map((difference) => ({
    side,
    difference,
    sentence: sentenceOf(difference, permits, other),
    other: otherText(difference, other),
    example: difference.example === null ? null : shownExample(difference.example, permits.policy, other.policy),
    indirect: isIndirect(difference, permits, other),
  }));
}

export function said(review: Review, theirs: Named, mine: Named): readonly Said[] {
  return [...saidOf("theirs", review.more, theirs, mine), ...saidOf("mine", review.less, mine, theirs)];
}
