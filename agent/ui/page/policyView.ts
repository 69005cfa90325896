import type { Allowed, Range, ShownPolicy, ShownRule } from "../shapes.ts";
import { type Child, facts, h } from "./dom.ts";
import { daysPlot, spanPlot } from "./plot.ts";
import { busiest, perDay, type RuleUse, USAGE_DAYS, type Usage } from "./usage.ts";
import { plain } from "./words.ts";

/** Each rule with what was used of it: where both differ, it can be narrowed. What is not counted says so. */
export function policyView(main: HTMLElement, policy: ShownPolicy, usage: Usage | "counting" | "not counted"): void {
  const counted = typeof usage === "string" ? null : usage;
  const rules = policy.rules.map((rule) => ruleView(rule, counted));
  main.setAttribute("aria-busy", String(usage === "counting"));
  main.replaceChildren(
    h("h2", {}, "Policy"),
    ...(policy.fault === null
      ? []
      : [h("p", { class: "fault" }, h("strong", {}, "The policy cannot be shown: "), plain(policy.fault))]),
    policy.current === null && policy.fault === null
      ? h("p", {}, "No policy is at hand: name its file with --policy, or the config with --config.")
      : "",
    ...policy.about.map((sentence) => h("p", {}, plain(sentence))),
    h(
      "p",
      { role: "status" },
      typeof usage === "string"
        ? COUNTING[usage]
        : `Used in the last ${USAGE_DAYS} days, counted from the log's own lines.`,
    ),
    ...rules,
    ...goneView(policy, counted),
  );
}

const COUNTING = {
  counting: "Counting what was used, while the log is checked…",
  "not counted": "What was used could not be counted: the log could not be read.",
} as const;

function ruleView(rule: ShownRule, usage: Usage | null): HTMLElement {
  const use = usage?.rules.get(rule.id) ?? null;
  return h(
    "section",
    { class: "rule-card", "aria-label": `Rule ${rule.id}`, "data-rule": rule.id },
    h("h3", {}, plain(rule.id)),
    h("p", {}, plain(rule.sentence)),
    usage === null ? null : usedView(rule, use, usage.since),
  );
}

function usedView(rule: ShownRule, use: RuleUse | null, since: number): HTMLElement {
  const times = use?.times ?? [];
  const most = busiest(times, rule.rate.seconds);
  const words = `${most} of ${rule.rate.times} at the most in any ${rule.rate.text.replace(/^\d+ per /, "")}`;
  const terms: (readonly [string, Child])[] = [
    [
      "Commands",
      h(
        "div",
        {},
        `${times.length} in ${USAGE_DAYS} days`,
        daysPlot(perDay(times, since), `Commands a day in the last ${USAGE_DAYS} days: ${times.length} in all`),
      ),
    ],
    [
      "Rate",
      h(
        "div",
        {},
        words,
        spanPlot({ min: 0, max: rule.rate.times }, times.length === 0 ? null : { min: 0, max: most }, words),
      ),
    ],
    ...rule.ranges.map((range) => [range.name, rangeView(range, use)] as const),
    ...rule.lists.map((allowed) => [allowed.name, listView(allowed, use)] as const),
    ["Refused", refusedWords(use)],
  ];
  return h("div", { class: "used" }, facts(terms), hintView(rule, use, most));
}

function rangeView(range: Range, use: RuleUse | null): HTMLElement {
  const used = use?.ranges.get(range.name) ?? null;
  const text = (value: number): string => (range.unit === "seconds" ? durationWords(value) : String(value));
  const words =
    used === null
      ? "none used"
      : used.min === used.max
        ? `used ${text(used.min)}`
        : `used ${text(used.min)} to ${text(used.max)}`;
  const allowed = range.min === range.max ? text(range.max) : `${text(range.min)} to ${text(range.max)}`;
  const label = `${words}, allowed ${allowed}`;
  return h("div", {}, label, spanPlot(range, used, `${range.name}: ${label}`));
}

function listView(allowed: Allowed, use: RuleUse | null): HTMLElement {
  const used = use?.values.get(allowed.name) ?? new Map<string, number>();
  const shown = [...used]
    .sort(([, one], [, other]) => other - one)
    .map(([value, count]) => h("li", {}, `${plain(value)} (${count})`));
  const unused = allowed.exactly ? allowed.values.filter((value) => !used.has(value)) : [];
  return h(
    "div",
    {},
    `allowed ${allowed.exactly ? "" : "below or within "}${allowed.values.map(plain).join(", ")}`,
    shown.length === 0 ? h("p", {}, "none used") : h("ul", {}, ...shown),
    unused.length === 0 || shown.length === 0 ? null : h("p", {}, `never used: ${unused.map(plain).join(", ")}`),
  );
}

function refusedWords(use: RuleUse | null): string {
  const codes = [...(use?.refused ?? [])].map(([code, count]) => `${count} × ${plain(code)}`);
  return codes.length === 0 ? "none came closest to this rule" : codes.join(", ");
}

/** What could be taken from the rule so that all that was done would still be permitted. */
function hintView(rule: ShownRule, use: RuleUse | null, most: number): HTMLElement {
  if (use === null || use.times.length === 0)
    return h(
      "p",
      { class: "hint" },
      "Nothing was used of it: it can be taken out, if nothing will be asked for by it.",
    );
  const narrower = rule.ranges.flatMap(({ name, min, max, unit }) => {
    const used = use.ranges.get(name);
    if (used === undefined) return [];
    const text = (value: number): string => (unit === "seconds" ? durationWords(value) : String(value));
    return [
      ...(used.max < max ? [`${name}.max ${text(max)} could be ${text(used.max)}`] : []),
      ...(used.min > min && name !== "up" && name !== "down"
        ? [`${name}.min ${text(min)} could be ${text(used.min)}`]
        : []),
    ];
  });
  if (most < rule.rate.times)
    narrower.push(`rate ${rule.rate.text} could be ${rule.rate.text.replace(/^\d+/, String(most))}`);
  return h("p", { class: "hint" }, narrower.length === 0 ? "All of it was used." : `Not used: ${narrower.join("; ")}.`);
}

/** Rules that were used and are not in the policy any more. */
function goneView(policy: ShownPolicy, usage: Usage | null): HTMLElement[] {
  const known = new Set(policy.rules.map(({ id }) => id));
  const gone = [...(usage?.rules ?? [])].filter(([id, { times }]) => !known.has(id) && times.length > 0);
  if (gone.length === 0) return [];
  return [
    h("h3", {}, "Used, and not in this policy"),
    h("ul", {}, ...gone.map(([id, { times }]) => h("li", {}, `${plain(id)}: ${times.length} commands`))),
  ];
}

function durationWords(seconds: number): string {
  for (const [unit, size] of UNITS) if (seconds > 0 && seconds % size === 0) return `${seconds / size}${unit}`;
  return `${seconds}s`;
}
const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
] as const;
