import type { Chance } from "./random.ts";

/**
 * The owner's policy as this world knows it, and a judge of its own: a few lines that share nothing with policy/, so that both must be wrong
 * alike for a fault to pass.
 */
export type Rate = { readonly times: number; readonly per: "hour" | "day" };
type Common = { readonly id: string; readonly rate: Rate; readonly need: number };
export type ScaleRule = Common & {
  readonly allow: "scale";
  readonly group: string;
  readonly min: number;
  readonly max: number;
  readonly up: number;
  readonly down: number;
};
export type DnsRule = Common & {
  readonly allow: "update-dns";
  readonly changes: readonly ("create" | "replace" | "delete")[];
};
export type WorldRule = ScaleRule | DnsRule;
export type WorldPolicy = { readonly revision: number; readonly rules: readonly WorldRule[] };

export const GROUPS = ["brokers", "workers"] as const;
export const ZONE = "example.com";
export const NAMES = ["b0.brokers.example.com", "b1.brokers.example.com", "other.example.com"] as const;
export const PEOPLE = ["alice", "bob"] as const;
export const APPROVAL_WITHIN_SECONDS = 2 * 3600;

/** What a command asks for. */
export type Wanted =
  | { readonly action: "scale"; readonly group: string; readonly count: number }
  | {
      readonly action: "update-dns";
      readonly name: string;
      readonly change: "create" | "replace" | "delete";
      readonly values: readonly string[];
    };
/** What the cloud showed when the command was judged. */
export type FoundState = { readonly count: number } | { readonly record: readonly string[] | null };

export function drawPolicy(draw: Chance, revision: number): WorldPolicy {
  const rate = (): Rate => ({ times: draw.int(1, 4), per: draw.pick(["hour", "day"]) });
  const max = draw.int(3, 8);
  const rules: WorldRule[] = [
    { id: "grow", allow: "scale", group: "brokers", min: 0, max, up: draw.int(1, 3), down: 0, rate: rate(), need: 0 },
    { id: "shrink", allow: "scale", group: "brokers", min: 1, max, up: 0, down: 2, rate: rate(), need: draw.int(1, 2) },
    {
      id: "work",
      allow: "scale",
      group: "workers",
      min: 0,
      max: 4,
      up: 4,
      down: 4,
      rate: { times: 20, per: "hour" },
      need: 0,
    },
    { id: "dns", allow: "update-dns", changes: ["create", "replace"], rate: { times: 6, per: "hour" }, need: 0 },
  ];
  return { revision, rules: rules.filter(() => !draw.odds(0.1)) };
}

export function policyText(policy: WorldPolicy, people: Readonly<Record<string, string>>): string {
  const rules = policy.rules.map((rule) => {
    const head = `  - id: ${rule.id}\n    why: A world's rule.\n    allow: ${rule.allow}\n`;
    const what =
      rule.allow === "scale"
        ? `    group: ${rule.group}\n    count: { min: ${rule.min}, max: ${rule.max} }\n    change: { up: ${rule.up}, down: ${rule.down} }\n`
        : `    zone: ${ZONE}\n    changes: [${rule.changes.join(", ")}]\n    names: { below: brokers.example.com }\n    types: [A]\n    values: { within: [10.20.0.0/16] }\n    ttl: { min: 30s, max: 1h }\n`;
    const approval = rule.need === 0 ? "none" : `{ by: [${PEOPLE.join(", ")}], need: ${rule.need}, within: 2h }`;
    return `${head}${what}    rate: ${rule.rate.times} per ${rule.rate.per}\n    when: always\n    approval: ${approval}\n`;
  });
  return `version: 1\nrevision: ${policy.revision}\ncluster: prod-eu-1\nvendor: vendor.example\nplace: { cloud: local }\npeople: ${JSON.stringify(people)}\nsigners: {}\nshare: []\ndry_run: allowed\nrules:${rules.length === 0 ? " []" : `\n${rules.join("")}`}\ntests: []\n`;
}

/** Whether this one rule permits the change, its rate and approvals aside; with why not. */
export function faultOf(rule: WorldRule, wanted: Wanted, found: FoundState): string | null {
  if (rule.allow === "scale") {
    if (wanted.action !== "scale" || wanted.group !== rule.group) return "another resource";
    if (!("count" in found)) return "nothing was found";
    if (wanted.count < rule.min || wanted.count > rule.max)
      return `count ${wanted.count} of ${rule.min} to ${rule.max}`;
    const by = wanted.count - found.count;
    return by > rule.up || -by > rule.down ? `changes by ${by}` : null;
  }
  if (wanted.action !== "update-dns") return "another action";
  if (!rule.changes.includes(wanted.change)) return `change ${wanted.change}`;
  if (!wanted.name.endsWith(".brokers.example.com")) return `name ${wanted.name}`;
  return wanted.values.every((value) => value.startsWith("10.20.")) ? null : "a value outside";
}

/** More than so many in any window? `times`: milliseconds, rising. The first moment at which it was so, or null. */
export function rateFault(times: readonly number[], rate: Rate): number | null {
  const window = (rate.per === "hour" ? 3600 : 86_400) * 1000;
  for (const [at, time] of times.entries()) {
    const first = times[at - rate.times];
    if (first !== undefined && time - first < window) return time;
  }
  return null;
}
