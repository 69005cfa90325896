import type { Found } from "../policy/asked.ts";
import { durationText } from "../policy/duration.ts";
import type { Planned } from "./plan.ts";
import { table } from "./terminal.ts";

/** 1 when any would refuse, 8 when of some it is not known yet (who waits is asked first), 0 when all would allow. */
export function exitOfPlan(planned: readonly Planned[]): 0 | 1 | 8 {
  if (planned.some(({ answer }) => answer === "refuse")) return 1;
  return planned.every(({ answer }) => answer === "allow") ? 0 : 8;
}

export type Sum = Readonly<
  Record<"clusters" | "allow" | "wait" | "refuse" | "depends" | "not_shared" | "away", number>
> & {
  /** Refusals by code and field. */
  readonly refused_by: Readonly<Record<string, number>>;
  /** Waits by whom. */
  readonly waits_for: Readonly<Record<string, number>>;
};

export function sumOf(planned: readonly Planned[]): Sum {
  const many = (answer: Planned["answer"]): number => planned.filter((one) => one.answer === answer).length;
  return {
    clusters: planned.length,
    allow: many("allow"),
    wait: many("wait"),
    refuse: many("refuse"),
    depends: many("depends"),
    not_shared: many("not-shared"),
    away: many("away"),
    refused_by: counted(planned.map((one) => (one.answer === "refuse" ? refusedBy(one) : null))),
    waits_for: counted(planned.map((one) => (one.approval === null ? null : peopleOf(one.approval)))),
  };
}

function counted(words: readonly (string | null)[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) if (word !== null) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, many], [b, others]) => others - many || (a < b ? -1 : 1)));
}

function refusedBy({ code, field }: Planned): string {
  return field === null ? `${code}` : `${code} (${field})`;
}

function peopleOf({ by, need }: NonNullable<Planned["approval"]>): string {
  return need === by.length ? by.join(" and ") : `${need} of ${by.join(", ")}`;
}

/** A line for each cluster, and the sum. */
export function planText(planned: readonly Planned[]): string {
  const rows = planned.map((one) => [one.cluster, WORDS[one.answer], whyOf(one), judgedBy(one)]);
  return table([["cluster", "would", "why", "judged by"], ...rows], ["", ...sumLines(sumOf(planned))]);
}

const WORDS: Readonly<Record<Planned["answer"], string>> = {
  allow: "allow",
  wait: "wait",
  refuse: "refuse",
  depends: "depends",
  "not-shared": "not known",
  away: "not known",
};

function whyOf(one: Planned): string {
  const open = one.open_commands;
  const after = open === 0 ? "" : `; comes after ${open === 1 ? "an open command" : `${open} open commands`} there`;
  switch (one.answer) {
    case "allow":
      return `rule ${one.rule}${after}`;
    case "wait":
      return `rule ${one.rule}, for ${one.approval === null ? "people" : peopleOf(one.approval)}${after}`;
    case "refuse":
      return `${one.code}: ${one.because}`;
    case "depends":
      return `by rule ${one.rule} it depends on what the agent finds${after}`;
    case "not-shared":
      return "its policy is not shared";
    case "away":
      return one.once_back === null ? one.state : `${one.state}; when it is back: ${one.once_back}`;
  }
}

function judgedBy({ judged_by: by }: Planned): string {
  if (by === null) return "-";
  const policy = `policy revision ${by.revision}`;
  if (!by.needed) return policy;
  if (by.found === null) return `${policy}, its state not known`;
  return `${policy}, ${foundText(by.found)} ${by.entry === null ? "as given" : `as of entry ${by.entry}`}`;
}

function foundText(found: Found): string {
  switch (found.action) {
    case "scale":
      return `count ${found.count}`;
    case "issue-certificate":
      return "the request";
    case "deploy":
      return `the manifest, version ${found.manifest.version}`;
    case "update-dns":
      if (found.record === null) return "no such record";
      return found.record.values.length === 0
        ? "a record"
        : `record ${found.record.values.join(", ")} ttl ${durationText(found.record.ttl)}`;
  }
}

function sumLines(sum: Sum): string[] {
  const list = (counts: Readonly<Record<string, number>>, by: string): string =>
    Object.entries(counts)
      .map(([word, many]) => `${many} ${by} ${word}`)
      .join(", ");
  const lines: [number, string][] = [
    [sum.allow, "would allow"],
    [sum.wait, `would wait: ${list(sum.waits_for, "for")}`],
    [sum.refuse, `would refuse: ${list(sum.refused_by, "by")}`],
    [sum.depends, "depend on a state that is not known here; give it by --found…, or ask by `send --dry-run`"],
    [sum.not_shared, "have not shared a policy; ask by `send --dry-run`"],
    [sum.away, "are not heard from, or never started"],
  ];
  const said = lines.filter(([many]) => many > 0).map(([many, words]) => `${String(many).padStart(5)} ${words}`);
  return [`of ${sum.clusters} clusters`, ...said];
}
