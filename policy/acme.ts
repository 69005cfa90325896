import { DNS_NAME } from "./names.ts";
import type { Rule, RuleFor } from "./policy.ts";

/** An authority that speaks ACME (RFC 8555), as a rule and a command name it: `acme:NAME/zone/ZONE`. Pure. */
export type AcmeAuthority = {
  /** The config's name of it, under `acme`. */
  readonly name: string;
  /** The zone, as the cloud's DNS names it, in which names are proven. */
  readonly zone: string;
};

const AUTHORITY = /^acme:([A-Za-z0-9][A-Za-z0-9._-]{0,63})\/zone\/(.{1,1024})$/;
/** RFC 8555 section 8.4. */
export const CHALLENGE = "_acme-challenge." as const;

export function isAcme(authority: string): boolean {
  return authority.startsWith("acme:");
}

/** Null for what is none, also for one that only begins like one. */
export function acmeAuthority(authority: string): AcmeAuthority | null {
  const [, name, zone] = AUTHORITY.exec(authority) ?? [];
  return name === undefined || zone === undefined ? null : { name, zone };
}

/** Where a name is proven: its TXT record. Null where that is no name any more (it would be too long). */
export function challengeName(name: string): string | null {
  const challenge = `${CHALLENGE}${name}`;
  return DNS_NAME.test(challenge) ? challenge : null;
}

/**
 * What a rule with an ACME authority lets the agent do in DNS beside it: create, replace and delete the TXT record at `_acme-challenge.` of each
 * name that the rule permits, in the one zone, and nothing else there.
 */
export type ChallengeRecords = {
  readonly rule: string;
  readonly zone: string;
  /** `exactly`: whole record names. `below`: the record of any name below it, which is `label`, that name. */
  readonly records:
    | { readonly exactly: readonly string[] }
    | { readonly label: typeof CHALLENGE; readonly below: string };
};

/** Null for another authority's rule. A name whose record's name would be too long has none. */
export function challengeRecords({ id, authority, names }: RuleFor<"issue-certificate">): ChallengeRecords | null {
  const acme = acmeAuthority(authority);
  if (acme === null) return null;
  const records =
    "below" in names
      ? { label: CHALLENGE, below: names.below }
      : { exactly: names.exactly.map(challengeName).filter((name) => name !== null) };
  return { rule: id, zone: acme.zone, records };
}

/**
 * A rule as what it does in DNS, for what looks at the cloud's side of rules and knows no ACME (doctor): the first of its names, or an example
 * below. Every other rule is itself.
 */
export function inDns(rule: Rule): Rule {
  const acme = rule.allow === "issue-certificate" ? acmeAuthority(rule.authority) : null;
  if (rule.allow !== "issue-certificate" || acme === null) return rule;
  const name = challengeName("below" in rule.names ? `reeve.${rule.names.below}` : (rule.names.exactly[0] ?? ""));
  if (name === null) return rule;
  const { id, why, rate, when, approval } = rule;
  return {
    ...{ id, why, rate, when, approval, allow: "update-dns", zone: acme.zone },
    changes: ["create", "replace", "delete"],
    names: { exactly: [name] },
    types: ["TXT"],
    values: { exactly: ["proof"] },
    ttl: { min: 60, max: 60 },
  };
}
