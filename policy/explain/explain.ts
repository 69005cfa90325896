import { type Approvals, type Asked, askedResource, type Found, type History } from "../asked.ts";
import { authorize } from "../authorize.ts";
import { timeText } from "../duration.ts";
import { type At, match } from "../match.ts";
import { indexed, type Policy, type Rule, ruleResource } from "../policy.ts";
import { isRefusal, type Refusal } from "../refusal.ts";
import { limitText } from "../words.ts";
import { askedText, dependsOn, fieldsOf, isolated } from "./fields.ts";

/** Why a policy decides about a command as it does: the PDP's own decision, and its own words about each field of each rule. */

/** What is known besides the command. */
export type Given = {
  /** What was found; null when it is not known, and then neither is `history`. */
  readonly found: Found | null;
  readonly history: History;
  readonly approvals: Approvals;
  /** Milliseconds since 1970. */
  readonly now: number;
};
export type Verdict = "ok" | "no" | "waits" | "not known";
export type FieldSays = {
  readonly field: string;
  readonly verdict: Verdict;
  readonly asked: string;
  /** As the file has it; "" for what no rule can permit. */
  readonly limit: string;
  /** Why not, in the PDP's words; "" otherwise. */
  readonly because: string;
};
export type RuleSays = {
  readonly rule: string;
  readonly verdict: "allows" | "waits" | "refuses" | "not known";
  readonly fields: readonly FieldSays[];
};
export type Explanation = {
  readonly decision: "allowed" | "waits" | "refused" | "depends";
  /** The rule that permits, would permit or came closest; null when none did. */
  readonly rule: string | null;
  /** The PDP's refusal, where it refused. */
  readonly refusal: Refusal | null;
  /** Every rule for this action: those of the resource field by field, of the others only their ids. */
  readonly rules: readonly RuleSays[];
  readonly otherResources: readonly string[];
};

const NO_HISTORY: History = { intents: new Map(), since: null, revision: 0 };

/** The PDP about one field. Null: it does not stand in the way. */
function judge(policy: Policy, rule: Rule, field: string, asked: Asked, given: Given): Refusal | "waits" | null {
  const alone = isolated(policy, rule, asked, given.found, field);
  const only = indexed({ ...policy, rules: [alone.rule], tests: [] });
  const at = {
    vendor: policy.vendor,
    cluster: policy.cluster,
    place: policy.place,
    ownGroups: [],
    dryRun: false,
  };
  const matched = match(only, alone.asked, at);
  if (isRefusal(matched)) return matched;
  const history = field === "rate" ? given.history : NO_HISTORY;
  const decision = authorize(matched, alone.found, history, given.now, given.approvals);
  if (decision.decided === "refused") return decision.refusal;
  return decision.decided === "wait" ? "waits" : null;
}

function askedWords(rule: Rule, field: string, asked: Asked, { found, history, approvals, now }: Given): string {
  switch (dependsOn(rule, field)) {
    case "time":
      return timeText(now);
    case "history":
      return found === null ? "" : `${history.intents.get(rule.id)?.length ?? 0} used`;
    case "people":
      return [...approvals.by].join(", ");
    default:
      return askedText(asked, found, field);
  }
}

function fieldSays(policy: Policy, rule: Rule, field: string, asked: Asked, given: Given): FieldSays {
  const depends = dependsOn(rule, field);
  const common = { field, asked: askedWords(rule, field, asked, given), limit: limitText(rule, field) };
  const judged = judge(policy, rule, field, asked, given);
  if (judged === "waits") return { ...common, verdict: "waits", because: "" };
  if (judged !== null) return { ...common, verdict: "no", because: judged.because };
  // A field that looks at the state may still say no; one that looks at the command too may have said so already.
  const unknown = given.found === null && (depends === "found" || depends === "history");
  return { ...common, verdict: unknown ? "not known" : "ok", because: "" };
}

function ruleSays(policy: Policy, rule: Rule, asked: Asked, given: Given): RuleSays {
  const fields = fieldsOf(rule).map((field) => fieldSays(policy, rule, field, asked, given));
  const has = (verdict: Verdict): boolean => fields.some((field) => field.verdict === verdict);
  const verdict = has("no") ? "refuses" : has("not known") ? "not known" : has("waits") ? "waits" : "allows";
  return { rule: rule.id, verdict, fields };
}

type Decided = Pick<Explanation, "decision" | "rule" | "refusal">;

/** The rule with the fewest fields that say no; among equals the first. */
function closest(rules: readonly RuleSays[]): string | null {
  const failed = ({ fields }: RuleSays): number => fields.filter(({ verdict }) => verdict === "no").length;
  return rules.reduce<RuleSays | null>((a, b) => (a === null || failed(b) < failed(a) ? b : a), null)?.rule ?? null;
}

function decide(policy: Policy, asked: Asked, at: At, given: Given, rules: readonly RuleSays[]): Decided {
  const matched = match(policy, asked, at);
  if (isRefusal(matched)) return { decision: "refused", rule: matched.rule ?? null, refusal: matched };
  if (given.found === null) {
    // Without a state nothing is allowed yet; where every rule says no already, no state helps.
    const decision = rules.every(({ verdict }) => verdict === "refuses") ? "refused" : "depends";
    return { decision, rule: closest(rules), refusal: null };
  }
  const decided = authorize(matched, given.found, given.history, given.now, given.approvals);
  if (decided.decided === "refused") {
    return { decision: "refused", rule: decided.refusal.rule ?? null, refusal: decided.refusal };
  }
  return { decision: decided.decided === "wait" ? "waits" : "allowed", rule: decided.rule.id, refusal: null };
}

export function explain(policy: Policy, asked: Asked, at: At, given: Given): Explanation {
  const ofAction = [...policy.rules]
    .filter(({ allow }) => allow === asked.action)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const resource = askedResource(asked);
  const rules = ofAction
    .filter((rule) => ruleResource(rule) === resource)
    .map((rule) => ruleSays(policy, rule, asked, given));
  const otherResources = ofAction.filter((rule) => ruleResource(rule) !== resource).map(({ id }) => id);
  return { ...decide(policy, asked, at, given, rules), rules, otherResources };
}
