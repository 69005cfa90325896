import { rateText } from "../../policy/duration.ts";
import type { Names } from "../../policy/names.ts";
import { loadPolicy } from "../../policy/parse.ts";
import type { Policy, Rule } from "../../policy/policy.ts";
import { ruleSentence, sentences } from "../../policy/sentences.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { MAX_POLICY_BYTES } from "../limits.ts";
import { digestOf } from "../wire/envelope.ts";
import type { Allowed, Range, ShownPolicy, ShownRule } from "./shapes.ts";

/** `current`: the file in force, or null; `older`: files that the log's older digests may be of. A file that is no policy is said, and shows no rule. */
export function readPolicies(disk: Disk, current: string | null, older: readonly string[]): ShownPolicy {
  const said = new Map<string, Readonly<Record<string, string>>>();
  for (const path of older) {
    const read = readOne(disk, path);
    if ("policy" in read) said.set(read.digest, sentencesOf(read.policy));
  }
  const none = { current: null, about: [], rules: [] };
  if (current === null) return { ...none, fault: null, sentences: Object.fromEntries(said) };
  const read = readOne(disk, current);
  if (!("policy" in read)) return { ...none, fault: read.fault, sentences: Object.fromEntries(said) };
  const { policy, digest } = read;
  said.set(digest, sentencesOf(policy));
  const ofRules = new Set(policy.rules.map((rule) => ruleSentence(policy.vendor, rule)));
  return {
    current: digest,
    fault: null,
    about: sentences(policy).filter((sentence) => !ofRules.has(sentence)),
    rules: policy.rules.map((rule) => shownRule(policy.vendor, rule)),
    sentences: Object.fromEntries(said),
  };
}

function readOne(disk: Disk, path: string): { policy: Policy; digest: string } | { fault: string } {
  let bytes: Uint8Array;
  try {
    bytes = disk.read(path, MAX_POLICY_BYTES).bytes;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return { fault: `${path} cannot be read (${error.code})` };
  }
  const loaded = loadPolicy(bytes);
  if ("policy" in loaded) return { policy: loaded.policy, digest: digestOf(bytes) };
  const [first] = loaded.errors;
  return { fault: `${path}:${first?.line ?? 1}: ${first?.message ?? "it is no policy"}` };
}

function sentencesOf(policy: Policy): Readonly<Record<string, string>> {
  return Object.fromEntries(policy.rules.map((rule) => [rule.id, ruleSentence(policy.vendor, rule)]));
}

function shownRule(vendor: string, rule: Rule): ShownRule {
  const { times, seconds } = rule.rate;
  return {
    id: rule.id,
    action: rule.allow,
    sentence: ruleSentence(vendor, rule),
    rate: { times, seconds, text: rateText(rule.rate) },
    ranges: rangesOf(rule),
    lists: listsOf(rule),
  };
}

function rangesOf(rule: Rule): Range[] {
  switch (rule.allow) {
    case "scale":
      return [
        { name: "count", ...rule.count, unit: "machines" },
        // Where a rule never adds or never removes there is nothing to be used.
        ...(rule.change.up === 0 ? [] : [{ name: "up", min: 0, max: rule.change.up, unit: "machines" } as const]),
        ...(rule.change.down === 0 ? [] : [{ name: "down", min: 0, max: rule.change.down, unit: "machines" } as const]),
      ];
    case "issue-certificate":
      return [{ name: "validity", ...rule.validity, unit: "seconds" }];
    case "update-dns":
      return [{ name: "ttl", ...rule.ttl, unit: "seconds" }];
    case "deploy":
      return [];
  }
}

function listsOf(rule: Rule): Allowed[] {
  const exactly = (name: string, values: readonly string[]): Allowed => ({ name, values, exactly: true });
  switch (rule.allow) {
    case "scale":
      return [];
    case "issue-certificate":
      return [namesOf(rule.names), exactly("key", rule.key.type), exactly("usages", rule.usages)];
    case "update-dns": {
      const values: Allowed =
        "within" in rule.values
          ? { name: "values", values: rule.values.within.map((cidr) => cidr.text), exactly: false }
          : exactly("values", rule.values.exactly);
      return [exactly("changes", rule.changes), exactly("types", rule.types), namesOf(rule.names), values];
    }
    case "deploy":
      return [exactly("signers", rule.signers.by)];
  }
}

function namesOf(names: Names): Allowed {
  return "below" in names
    ? { name: "name", values: [names.below], exactly: false }
    : { name: "name", values: names.exactly, exactly: true };
}
