import type { Asked } from "./asked.ts";
import { durationText, rateText } from "./duration.ts";
import { MAX_FACT_CHARS, MAX_SENTENCE_CHARS } from "./limits.ts";
import { type Names, shortDigest } from "./names.ts";
import type { Rule } from "./policy.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { whenText } from "./when.ts";

/** A part of a decision about one rule: why the rule does not permit it. */
export type Failure = {
  readonly code: Refusal["code"];
  readonly field: string;
  /** Follows `the customer's rule X `, or stands alone when `alone`. */
  readonly because: string;
  readonly hint: string;
  readonly found?: string;
  readonly asked?: string;
  readonly alone?: true;
  /** How much the field allows of what was asked for: of two rules that fail alike, the one that allows more came closer. */
  readonly allows?: number;
};

export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}

/** What follows `Cannot `: the command in words. */
export function cannotOf(asked: Asked): string {
  switch (asked.action) {
    case "scale":
      return cut(`scale ${asked.args.group} to ${asked.args.count}`, MAX_FACT_CHARS);
    case "issue-certificate":
      return cut(`issue a certificate from ${asked.args.authority}`, MAX_FACT_CHARS);
    case "update-dns":
      return cut(`${asked.args.change} ${asked.args.type} ${asked.args.name} in ${asked.args.zone}`, MAX_FACT_CHARS);
    case "deploy":
      return cut(`deploy ${shortDigest(asked.args.manifest)} to ${asked.args.group}`, MAX_FACT_CHARS);
  }
}

function namesText(names: Names): string {
  return "below" in names ? `{ below: ${names.below} }` : `{ exactly: [${names.exactly.join(", ")}] }`;
}

/** A field as the file would say it, by hand of its parsed value: `count: { min: 3, max: 9 }`. "" when the rule has no such field. */
export function limitText(rule: Rule, field: string): string {
  const text = fieldText(rule, field);
  return text === null ? "" : `${field}: ${text}`;
}

function fieldText(rule: Rule, field: string): string | null {
  if (field === "rate") return rateText(rule.rate);
  if (field === "when") return whenText(rule.when);
  if (field === "approval") return approvalText(rule.approval);
  if (rule.allow === "scale") {
    if (field === "count") return `{ min: ${rule.count.min}, max: ${rule.count.max} }`;
    return field === "change" ? `{ up: ${rule.change.up}, down: ${rule.change.down} }` : null;
  }
  if (rule.allow === "deploy") {
    const { signers, version, unavailable } = rule;
    if (field === "signers") return `{ by: [${signers.by.join(", ")}], need: ${signers.need} }`;
    if (field === "version") return `{ min: ${version.min}, max: ${version.max} }`;
    return field === "unavailable" ? String(unavailable) : null;
  }
  if (field === "names") return namesText(rule.names);
  if (rule.allow === "issue-certificate") {
    if (field === "key") return `{ made: ${rule.key.made}, type: [${rule.key.type.join(", ")}] }`;
    if (field === "usages") return `[${rule.usages.join(", ")}]`;
    return field === "validity" ? rangeText(rule.validity) : null;
  }
  if (field === "changes") return `[${rule.changes.join(", ")}]`;
  if (field === "types") return `[${rule.types.join(", ")}]`;
  if (field === "ttl") return rangeText(rule.ttl);
  return field === "values" ? valuesText(rule.values) : null;
}

export function approvalText(approval: Rule["approval"]): string {
  if (approval === "none") return "none";
  return `{ by: [${approval.by.join(", ")}], need: ${approval.need}, within: ${durationText(approval.within)} }`;
}

function rangeText(range: { readonly min: number; readonly max: number }): string {
  return `{ min: ${durationText(range.min)}, max: ${durationText(range.max)} }`;
}

export function valuesText(values: Extract<Rule, { allow: "update-dns" }>["values"]): string {
  return "within" in values
    ? `{ within: [${values.within.map((cidr) => cidr.text).join(", ")}] }`
    : `{ exactly: [${values.exactly.map((value) => JSON.stringify(value)).join(", ")}] }`;
}

/** The rule that came closest: fewest of its fields failed; then whose first failing field allows most; then the first id. `judged` is in the order of ids. */
export function closest<R extends Rule>(
  judged: readonly { readonly rule: R; readonly failures: readonly Failure[] }[],
): { readonly rule: R; readonly failure: Failure } {
  const allows = (failures: readonly Failure[]): number => failures[0]?.allows ?? 0;
  const best = judged.reduce((a, b) => {
    if (b.failures.length !== a.failures.length) return b.failures.length < a.failures.length ? b : a;
    return allows(b.failures) > allows(a.failures) ? b : a;
  });
  const failure = best.failures[0];
  if (failure === undefined) throw new Error("a rule without a failure cannot refuse");
  return { rule: best.rule, failure };
}

/** The refusal for the closest rule's first field that failed, cut to what an entry holds. */
export function refusalFor(asked: Asked, rule: Rule, failure: Failure): Refusal {
  const because = failure.alone === true ? failure.because : `the customer's rule ${rule.id} ${failure.because}`;
  const limit = limitText(rule, failure.field);
  return refuse(
    failure.code,
    cannotOf(asked),
    cut(because, MAX_SENTENCE_CHARS),
    cut(failure.hint, MAX_SENTENCE_CHARS),
    {
      rule: rule.id,
      field: failure.field,
      ...(failure.found === undefined ? {} : { found: cut(failure.found, MAX_FACT_CHARS) }),
      ...(failure.asked === undefined ? {} : { asked: cut(failure.asked, MAX_FACT_CHARS) }),
      ...(limit === "" ? {} : { limit: cut(limit, MAX_FACT_CHARS) }),
    },
  );
}
