import type { DnsChange, DnsType } from "../asked.ts";
import { durationText } from "../duration.ts";
import type { RuleFor } from "../policy.ts";
import { asBits, asSeveral, first, severalWords } from "./certificates.ts";
import { members, range, several, some } from "./extents.ts";
import { type NameParts, nameParts } from "./names.ts";
import type { Region } from "./region.ts";
import { asRange } from "./scale.ts";
import { rangeWords, type Situation, type Space } from "./space.ts";
import { type ValueParts, valueParts } from "./values.ts";

type DnsRule = RuleFor<"update-dns">;

/** Values that one command may have. */
const MOST_VALUES = 32;
const TYPES: readonly DnsType[] = ["A", "AAAA", "CNAME", "TXT"];
const CHANGES: readonly DnsChange[] = ["create", "replace", "delete"];

/** What was there before, so that the change can be asked for: create needs none, the others one. */
function foundFor(change: DnsChange, type: DnsType): Situation["found"] {
  if (change === "create") return { action: "update-dns", record: null };
  const value = { A: "192.0.2.1", AAAA: "2001:db8::1", CNAME: "old.example", TXT: "old" }[type];
  return { action: "update-dns", record: { values: [value], ttl: 60 } };
}

function regionFor(
  rule: DnsRule,
  of: { change: DnsChange; type: DnsType },
  names: NameParts,
  values: ValueParts,
): Region | null {
  if (!rule.changes.includes(of.change) || !rule.types.includes(of.type)) return null;
  const named = names.bitsOf(rule.names);
  if (named === 0n) return null;
  // What is deleted has neither values nor a time to live afterwards.
  if (of.change === "delete") return { names: some(named) };
  const within = values.bitsOf(rule.values);
  return within === 0n ? null : { names: some(named), values: several(within), ttl: range(rule.ttl.min, rule.ttl.max) };
}

function dnsSpace(zone: string, of: { change: DnsChange; type: DnsType }, names: NameParts, values: ValueParts): Space {
  const { change, type } = of;
  return {
    of,
    regionOf: (rule) => regionFor(rule as DnsRule, of, names, values),
    possible: () => true,
    idle: () => false,
    sample(region) {
      const gone = change === "delete";
      const chosen = gone ? [] : members(asSeveral(region["values"]));
      if (chosen.length > MOST_VALUES) return null;
      const name = names.sample(first(asBits(region["names"])));
      const ttl = gone ? 60 : asRange(region["ttl"]).max;
      const args = { zone, name, type, change, values: chosen.map(values.sample), ttl };
      return { asked: { action: "update-dns", args }, found: foundFor(change, type) };
    },
    valuesOf({ asked, found }) {
      if (asked.action !== "update-dns" || found.action !== "update-dns") return null;
      const { args } = asked;
      if (args.zone !== zone || args.type !== type || args.change !== change) return null;
      if ((change === "create") !== (found.record === null)) return null;
      const name = names.partOf(args.name);
      return change === "delete"
        ? { names: name }
        : { names: name, values: args.values.map(values.partOf), ttl: args.ttl };
    },
    words(region) {
      const named = `records in the zone ${zone} for ${names.words(asBits(region["names"]))}`;
      if (change === "delete") return named;
      const ttl = asRange(region["ttl"]);
      const to = severalWords(asSeveral(region["values"]), values.words);
      return `${named}, to ${to}, with a time to live of ${rangeWords(ttl.min, ttl.max, durationText)}`;
    },
  };
}

/** One space for each change and type: what a value is depends on the type, and whether there are any on the change. */
export function dnsSpaces(zone: string, rules: readonly DnsRule[]): readonly Space[] {
  const names = nameParts(rules.map((rule) => rule.names));
  return TYPES.flatMap((type) => {
    const values = valueParts(
      type,
      rules.filter((rule) => rule.types.includes(type)).map((rule) => rule.values),
    );
    return CHANGES.map((change) => dnsSpace(zone, { change, type }, names, values));
  });
}
