import { inside, isAddressOf, parseAddress } from "./address.ts";
import type { Asked, CertificateArgs, DnsArgs, ScaleArgs } from "./asked.ts";
import { durationText } from "./duration.ts";
import { MAX_SENTENCE_CHARS } from "./limits.ts";
import { nameAllowed } from "./names.ts";
import { type Policy, type Rule, type RuleFor, rulesFor } from "./policy.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { cannotOf, closest, cut, type Failure, refusalFor } from "./words.ts";

declare const matched: unique symbol;
/** A command that some state would permit, with the rules that would. Only `match` makes one. */
export type Matched = {
  readonly [matched]: true;
  readonly policy: Policy;
  readonly asked: Asked;
  /** Never empty; in the order of their ids; all for the asked action and resource. */
  readonly rules: readonly Rule[];
};

/** Where the command came from and what it runs in. */
export type At = {
  /** The command's `iss`. */
  readonly vendor: string;
  readonly cluster: string;
  /** What the agent's config says of its place, in the policy's form: the cloud, and there the account, region and the like. */
  readonly place: Policy["place"];
  /** The groups that the agent itself runs in: neither scaled nor deployed to, whatever a rule says. */
  readonly ownGroups: readonly string[];
  readonly dryRun: boolean;
};

function scaleFailures(policy: Policy, rule: RuleFor<"scale">, args: ScaleArgs): Failure[] {
  const { min, max } = rule.count;
  const asked = String(args.count);
  const owner = `or ask ${policy.cluster}'s owner to`;
  if (args.count > max) {
    const hint = `Ask for ${max} or fewer, ${owner} raise count.max in ${rule.id}.`;
    return [{ code: "policy.count.above-max", field: "count", because: `allows at most ${max}`, hint, asked }];
  }
  if (args.count < min) {
    const hint = `Ask for ${min} or more, ${owner} lower count.min in ${rule.id}.`;
    return [{ code: "policy.count.below-min", field: "count", because: `allows no fewer than ${min}`, hint, asked }];
  }
  return [];
}

function rangeFailures(
  field: "validity" | "ttl",
  range: { readonly min: number; readonly max: number },
  seconds: number,
  hintTail: string,
): Failure[] {
  const asked = durationText(seconds);
  if (seconds > range.max) {
    const most = durationText(range.max);
    const hint = `Ask for ${most} or less${hintTail}`;
    return [{ code: `policy.${field}.above-max`, field, because: `allows a ${field} of at most ${most}`, hint, asked }];
  }
  if (seconds < range.min) {
    const least = durationText(range.min);
    const hint = `Ask for ${least} or more${hintTail}`;
    return [
      { code: `policy.${field}.below-min`, field, because: `allows a ${field} of no less than ${least}`, hint, asked },
    ];
  }
  return [];
}

function certificateFailures(policy: Policy, rule: RuleFor<"issue-certificate">, args: CertificateArgs): Failure[] {
  const failures: Failure[] = [];
  const owner = `, or ask ${policy.cluster}'s owner to change ${rule.id}.`;
  const made = args.csr === undefined ? "in-cluster" : "by-vendor";
  if (made !== rule.key.made) {
    const because = `allows only keys made ${rule.key.made}`;
    const hint =
      rule.key.made === "in-cluster"
        ? `Name a request in the cluster's CSR folder by csr_sha256${owner}`
        : `Send the request as csr${owner}`;
    failures.push({ code: "policy.key.made", field: "key", because, hint, asked: made });
  }
  const outside = args.usages.filter((usage) => !rule.usages.includes(usage));
  if (outside.length > 0 || args.usages.length === 0) {
    const because = `allows only the usages ${rule.usages.join(", ")}`;
    const hint = `Ask for ${rule.usages.join(" or ")}${owner}`;
    failures.push({ code: "policy.usages", field: "usages", because, hint, asked: args.usages.join(", ") });
  }
  return [...failures, ...rangeFailures("validity", rule.validity, args.validity, owner)];
}

/** Why a value is not permitted; null when it is. */
function valueFault(rule: RuleFor<"update-dns">, type: DnsArgs["type"], value: string): string | null {
  if ("exactly" in rule.values) return rule.values.exactly.includes(value) ? null : "does not list the value";
  if (type !== "A" && type !== "AAAA") return "allows addresses only, not the value";
  const address = isAddressOf(type, value) ? parseAddress(value) : null;
  if (address === null) return `takes ${type} addresses in their one usual spelling, not`;
  return rule.values.within.some((cidr) => inside(address, cidr))
    ? null
    : "allows only addresses within its values, not";
}

function dnsFailures(policy: Policy, rule: RuleFor<"update-dns">, args: DnsArgs): Failure[] {
  const failures: Failure[] = [];
  const owner = `, or ask ${policy.cluster}'s owner to change ${rule.id}.`;
  if (!rule.changes.includes(args.change)) {
    const because = `allows ${rule.changes.join(" and ")}, not ${args.change}`;
    failures.push({
      code: "policy.changes",
      field: "changes",
      because,
      hint: `Ask for another change${owner}`,
      asked: args.change,
    });
  }
  if (!nameAllowed(rule.names, args.name)) {
    const because = "below" in rule.names ? `allows only names below ${rule.names.below}` : "does not list the name";
    failures.push({
      code: "policy.names",
      field: "names",
      because,
      hint: `Ask for another name${owner}`,
      asked: args.name,
    });
  }
  if (!rule.types.includes(args.type)) {
    const because = `allows the types ${rule.types.join(", ")}, not ${args.type}`;
    failures.push({
      code: "policy.types",
      field: "types",
      because,
      hint: `Ask for another type${owner}`,
      asked: args.type,
    });
  }
  for (const value of args.values) {
    const fault = valueFault(rule, args.type, value);
    if (fault === null) continue;
    const because = `${fault} ${JSON.stringify(cut(value, 80))}`;
    failures.push({
      code: "policy.values",
      field: "values",
      because,
      hint: `Ask for another value${owner}`,
      asked: value,
    });
    break;
  }
  // What is deleted has no time to live afterwards.
  return args.change === "delete" ? failures : [...failures, ...rangeFailures("ttl", rule.ttl, args.ttl, owner)];
}

function judge(policy: Policy, asked: Asked): { resource: string; judged: { rule: Rule; failures: Failure[] }[] } {
  switch (asked.action) {
    case "scale": {
      const rules = rulesFor(policy, "scale", asked.args.group);
      const judged = rules.map((rule) => ({ rule, failures: scaleFailures(policy, rule, asked.args) }));
      return { resource: `group ${asked.args.group}`, judged };
    }
    case "issue-certificate": {
      const rules = rulesFor(policy, "issue-certificate", asked.args.authority);
      const judged = rules.map((rule) => ({ rule, failures: certificateFailures(policy, rule, asked.args) }));
      return { resource: `authority ${asked.args.authority}`, judged };
    }
    case "update-dns": {
      const rules = rulesFor(policy, "update-dns", asked.args.zone);
      const judged = rules.map((rule) => ({ rule, failures: dnsFailures(policy, rule, asked.args) }));
      return { resource: `zone ${asked.args.zone}`, judged };
    }
    case "deploy": {
      // All that a deploy rule says is about the manifest, which is not read before this.
      const judged = rulesFor(policy, "deploy", asked.args.group).map((rule) => ({ rule, failures: [] }));
      return { resource: `group ${asked.args.group}`, judged };
    }
  }
}

/** The first field of the policy's place that is not the agent's own; null when all are. */
export function otherPlace(
  named: Policy["place"],
  here: Policy["place"],
): { readonly field: string; readonly named: string; readonly here: string } | null {
  const own: Readonly<Record<string, string>> = here;
  for (const [field, value] of Object.entries(named))
    if (own[field] !== value) return { field, named: value, here: own[field] ?? "none" };
  return null;
}

/** Why a policy is another vendor's, cluster's or place's, and so permits and shares nothing here; null: it is for here. `cannot`: as in refuse(). Pure. */
export function forElsewhere(
  policy: Policy,
  cannot: string,
  at: Pick<At, "vendor" | "cluster" | "place">,
): Refusal | null {
  if (at.vendor !== policy.vendor) {
    const because = `the customer's policy is for the vendor ${policy.vendor}, the command is from ${cut(at.vendor, 100)}`;
    return refuse("match.vendor", cannot, because, `Only ${policy.cluster}'s owner can name another vendor.`);
  }
  if (at.cluster !== policy.cluster) {
    const because = `the customer's policy is for the cluster ${policy.cluster}, this is ${cut(at.cluster, 100)}`;
    return refuse("match.cluster", cannot, because, "Put this cluster's policy into the owner's folder.");
  }
  const elsewhere = otherPlace(policy.place, at.place);
  if (elsewhere !== null) {
    const because = `the customer's policy is for the ${elsewhere.field} ${elsewhere.named}, this agent works in ${cut(elsewhere.here, 40)}`;
    return refuse("match.place", cannot, because, "Correct place in the policy, or the config.");
  }
  return null;
}

function wrongPlace(policy: Policy, asked: Asked, at: At): Refusal | null {
  const cannot = cannotOf(asked);
  const refused = forElsewhere(policy, cannot, at);
  if (refused !== null) return refused;
  if (at.dryRun && policy.dry_run !== "allowed") {
    const hint = `Ask ${policy.cluster}'s owner to set dry_run: allowed.`;
    return refuse("match.dry-run", cannot, "the customer's policy refuses dry runs", hint, {
      limit: "dry_run: refused",
    });
  }
  if ((asked.action === "scale" || asked.action === "deploy") && at.ownGroups.includes(asked.args.group)) {
    const because = `the agent itself runs in ${cut(asked.args.group, 100)}`;
    return refuse("match.own-group", cannot, because, "No rule can permit this: the owner changes this group.");
  }
  return null;
}

/** The rules that would permit the command in some state; a refusal of what no rule permits in any. Pure. */
export function match(policy: Policy, asked: Asked, at: At): Matched | Refusal {
  const refused = wrongPlace(policy, asked, at);
  if (refused !== null) return refused;
  const { resource, judged } = judge(policy, asked);
  if (judged.length === 0) {
    const because = cut(
      `no rule of the customer's policy allows ${asked.action} for the ${resource}`,
      MAX_SENTENCE_CHARS,
    );
    const hint = `Check the name; only ${policy.cluster}'s owner can add a rule.`;
    return refuse("match.no-rule", cannotOf(asked), because, hint);
  }
  const rules = judged.filter(({ failures }) => failures.length === 0).map(({ rule }) => rule);
  // The only place where the type is made: at least one rule has no failure.
  if (rules.length > 0) return { policy, asked, rules } as unknown as Matched;
  const { rule, failure } = closest(judged);
  return refusalFor(asked, rule, failure);
}
