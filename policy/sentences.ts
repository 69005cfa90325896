import { acmeAuthority } from "./acme.ts";
import { durationText, rateText, timeText } from "./duration.ts";
import type { Names } from "./names.ts";
import type { Policy, Rule, RuleFor } from "./policy.ts";
import { valuesText } from "./words.ts";

/** The file as English sentences that a reviewer can sign: everything that it permits, nothing that it does not say. */

function list(items: readonly string[], word = "or"): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${word} ${items.at(-1)}`;
}

function namesWords(names: Names): string {
  return "below" in names ? `any name below ${names.below}` : list(names.exactly);
}

function changeWords({ up, down }: RuleFor<"scale">["change"]): string {
  const parts = [
    ...(up > 0 ? [`adding at most ${up}`] : []),
    ...(down > 0 ? [`removing at most ${down}`] : []),
    ...(up === 0 ? ["never adding"] : []),
    ...(down === 0 ? ["never removing"] : []),
  ];
  return `${parts.join(" and ")} machines in one command`;
}

/** What an ACME authority takes beside the certificate itself. */
function provenWords({ authority }: RuleFor<"issue-certificate">): string {
  const acme = acmeAuthority(authority);
  return acme === null
    ? ""
    : `, each name proven by a TXT record at _acme-challenge. before it, in the zone ${acme.zone}`;
}

function signersWords({ signers: { by, need } }: RuleFor<"deploy">): string {
  if (need === by.length) return list(by, "and");
  return `${need === 1 ? "at least one" : `at least ${need}`} of ${list(by, "and")}`;
}

function may(rule: Rule): string {
  switch (rule.allow) {
    case "scale":
      return `set the group ${rule.group} to between ${rule.count.min} and ${rule.count.max} machines, ${changeWords(rule.change)}`;
    case "issue-certificate": {
      const { min, max } = rule.validity;
      const made = rule.key.made === "in-cluster" ? "made in the cluster" : "made by the vendor, who holds it";
      const valid = `valid between ${durationText(min)} and ${durationText(max)}`;
      const what = `a certificate from ${rule.authority} for ${namesWords(rule.names)}`;
      const how = `for a ${list(rule.key.type)} key ${made}, for use as ${list(rule.usages, "and")}, ${valid}`;
      return `issue ${what}, ${how}${provenWords(rule)}`;
    }
    case "update-dns": {
      const { min, max } = rule.ttl;
      const values =
        "within" in rule.values
          ? `to addresses within ${list(rule.values.within.map((cidr) => cidr.text))}`
          : `to one or more of ${list(rule.values.exactly.map((value) => JSON.stringify(value)))}`;
      const what = `${list(rule.changes)} ${list(rule.types)} records in the zone ${rule.zone} for ${namesWords(rule.names)}`;
      return `${what}, ${values}, with a time to live between ${durationText(min)} and ${durationText(max)}`;
    }
    case "deploy": {
      const { group, version, unavailable } = rule;
      const machines = unavailable === 1 ? "one machine" : `${unavailable} machines`;
      return `take the group ${group} to a manifest that ${signersWords(rule)} signed, of a version between ${version.min} and ${version.max}, by replacing its machines with at most ${machines} out of service at once`;
    }
  }
}

function whenWords({ when }: Rule): string {
  switch (when.kind) {
    case "always":
      return "at any time";
    case "weekly":
      return `only ${when.text} (by the clock there)`;
    case "dated":
      return `only from ${timeText(when.from)} to ${timeText(when.to)}`;
  }
}

function approvalWords({ approval }: Rule): string {
  if (approval === "none") return "without asking anybody";
  const people =
    approval.need === approval.by.length ? list(approval.by, "and") : `${approval.need} of ${list(approval.by, "and")}`;
  return `once ${people} approved within ${durationText(approval.within)}`;
}

/** What one rule permits, in a sentence. */
export function ruleSentence(vendor: string, rule: Rule): string {
  return `${rule.id}: ${vendor} may ${may(rule)}; at most ${rateText(rule.rate)}, ${whenWords(rule)}, ${approvalWords(rule)}. Why: ${rule.why}`;
}

function placeWords(place: Policy["place"]): string {
  switch (place.cloud) {
    case "local":
      return "on this machine";
    case "aws":
      return `in the AWS account ${place.account}, region ${place.region}`;
    case "gcp":
      return `in the Google Cloud project ${place.project}, region ${place.region}`;
    case "azure":
      return `in the Azure subscription ${place.subscription}, resource group ${place.resource_group}`;
  }
}

/** One sentence each, in the file's order. */
export function sentences(policy: Policy): readonly string[] {
  const { vendor, cluster } = policy;
  const shared = policy.share.length === 0 ? "nothing else" : `also its ${list(policy.share, "and its")}`;
  const signers = Object.keys(policy.signers);
  const only = policy.rules.length === 0 ? "nothing" : "only what follows";
  return [
    `This is revision ${policy.revision} of the policy of the cluster ${cluster}. ${vendor} may do ${only}, ${placeWords(policy.place)}.`,
    `${vendor} sees the log's entries, ${shared}. Dry runs are ${policy.dry_run}.`,
    ...(signers.length === 0 ? [] : [`Manifests may be signed by ${list(signers)}.`]),
    ...policy.rules.map((rule) => ruleSentence(vendor, rule)),
  ];
}

/** Why no command can ever be permitted by the rule; null when one can. */
function neverPermits(rule: Rule): string | null {
  if (rule.allow === "scale" && rule.change.up === 0 && rule.change.down === 0) {
    return "it neither adds nor removes, so it can change nothing";
  }
  if (rule.allow !== "update-dns" || !("within" in rule.values)) return null;
  const sizes = rule.values.within.map((cidr) => cidr.bytes.length);
  const without = rule.types.filter((type) => !sizes.includes(type === "A" ? 4 : 16));
  if (without.length === 0 || rule.changes.includes("delete")) return null;
  return `no address within ${valuesText(rule.values)} can be in a record of type ${list(without)}`;
}

function ruleWarnings(policy: Policy, rule: Rule): string[] {
  const warnings: string[] = [];
  const tested = policy.tests.some((test) => test.allow === rule.id || test.wait === rule.id);
  if (!tested) warnings.push("no test says allow or wait for it");
  if (rule.allow === "issue-certificate" && rule.key.made === "by-vendor") {
    warnings.push("the vendor holds the private keys of its certificates (made: by-vendor)");
  }
  if ("names" in rule && "below" in rule.names && !rule.names.below.includes(".")) {
    warnings.push(`below ${rule.names.below} is a whole top-level domain`);
  }
  if (rule.allow === "deploy") {
    const { signers, version, approval, group } = rule;
    if (signers.need === 1 && approval === "none") {
      warnings.push(`one release key alone decides what runs in ${group}: need two keys, or an approval`);
    }
    if (version.min === "0.0.0") warnings.push("its versions begin at 0.0.0: every old one can be brought back");
  }
  if (rule.allow === "update-dns" && "within" in rule.values) {
    for (const cidr of rule.values.within) {
      if (cidr.bits < (cidr.bytes.length === 4 ? 8 : 16)) warnings.push(`${cidr.text} is a great many addresses`);
    }
  }
  const never = neverPermits(rule);
  if (never !== null) warnings.push(never);
  return warnings.map((warning) => `${rule.id}: ${warning}`);
}

/** What a reviewer should look at twice. The file loads all the same. */
export function warnings(policy: Policy): readonly string[] {
  const none = policy.rules.length === 0 ? ["there are no rules: everything is refused"] : [];
  return [...none, ...policy.rules.flatMap((rule) => ruleWarnings(policy, rule))];
}
