import type { Asked, Found, ManifestFacts } from "../asked.ts";
import { durationText } from "../duration.ts";
import { manifestPlace, placeText } from "../manifest.ts";
import { DNS_NAME, shortDigest } from "../names.ts";
import type { Policy, Rule } from "../policy.ts";

/**
 * A rule's fields one at a time. To know what one field says to a command, the PDP is asked about the same rule with every other field so
 * wide that it permits the command, and about a command and a state that are harmless in all that belongs to other fields.
 */

/** A rule, a command and a state in which nothing but one field can fail. */
export type Isolated = { readonly rule: Rule; readonly asked: Asked; readonly found: Found };

/** Fields in the order of the file. `csr` is the request itself, and `manifest` the manifest: no rule can permit them to be bad. */
export function fieldsOf(rule: Rule): readonly string[] {
  const own = {
    scale: ["count", "change"],
    "issue-certificate": ["names", "key", "csr", "usages", "validity"],
    "update-dns": ["changes", "names", "types", "values", "ttl"],
    deploy: ["signers", "version", "manifest"],
  } as const;
  return [...own[rule.allow], "rate", "when", "approval"];
}

/** What a field looks at besides the command: nothing, what was found, what the log holds, the time, who has said yes. */
export function dependsOn(rule: Rule, field: string): "command" | "found" | "history" | "time" | "people" {
  if (field === "rate") return "history";
  if (field === "when") return "time";
  if (field === "approval") return "people";
  const found = {
    scale: ["change"],
    "issue-certificate": ["names", "key", "csr"],
    "update-dns": ["changes"],
    deploy: ["signers", "version", "manifest"],
  } as const;
  return (found[rule.allow] as readonly string[]).includes(field) ? "found" : "command";
}

const NAME = "name.example";
const MOST = Number.MAX_SAFE_INTEGER;
const WIDE = { times: MOST, per: "minute", seconds: 60 } as const;

function common(rule: Rule, field: string): Pick<Rule, "rate" | "when" | "approval"> {
  return {
    rate: field === "rate" ? rule.rate : WIDE,
    when: field === "when" ? rule.when : { kind: "always" },
    approval: field === "approval" ? rule.approval : "none",
  };
}

type Pair<A extends Asked["action"]> = {
  readonly rule: Extract<Rule, { allow: A }>;
  readonly asked: Extract<Asked, { action: A }>;
  readonly found: Extract<Found, { action: A }> | null;
};

function scale({ rule, asked, found }: Pair<"scale">, field: string): Isolated {
  return {
    rule: {
      ...rule,
      ...common(rule, field),
      count: field === "count" ? rule.count : { min: 0, max: MOST },
      change: field === "change" ? rule.change : { up: MOST, down: MOST },
    },
    asked,
    // What is found is what is asked for, so that nothing is changed.
    found: field === "change" && found !== null ? found : { action: "scale", count: asked.args.count },
  };
}

function goodRequest(keyType: string) {
  const sans = [{ type: "dns", value: NAME }];
  return { signatureValid: true, subject: "", commonName: null, sans, keyType, extensions: [], wantsCa: false };
}

function certificate({ rule, asked, found }: Pair<"issue-certificate">, field: string): Isolated {
  const made = asked.args.csr === undefined ? ("in-cluster" as const) : ("by-vendor" as const);
  const good = goodRequest(rule.key.type[0] ?? "P-256");
  const real = found?.csr ?? good;
  // The names are judged in a request that is good but for them; names that no rule could permit are the request's own fault.
  const names = real.sans.filter(({ type, value }) => type === "dns" && DNS_NAME.test(value));
  const judged = field === "names" && (found === null || names.length === 0) ? "" : field;
  const csr = {
    names: { ...good, sans: names },
    key: { ...good, keyType: real.keyType },
    csr: { ...real, keyType: good.keyType },
  }[judged];
  return {
    rule: {
      ...rule,
      ...common(rule, field),
      names: judged === "names" ? rule.names : { exactly: [NAME, ...real.sans.map(({ value }) => value)] },
      key: field === "key" ? rule.key : { ...rule.key, made },
      usages: field === "usages" ? rule.usages : ["server", "client"],
      validity: field === "validity" ? rule.validity : { min: 0, max: MOST },
    },
    asked:
      field === "usages" || asked.args.usages.length > 0
        ? asked
        : { ...asked, args: { ...asked.args, usages: ["server"] } },
    found: {
      action: "issue-certificate",
      made: field === "key" && found !== null ? found.made : made,
      csr: csr ?? good,
    },
  };
}

function dns({ rule, asked, found }: Pair<"update-dns">, field: string): Isolated {
  const name = field === "names" ? asked.args.name : NAME;
  const { type, values, change } = asked.args;
  const record = change === "create" ? null : { values: ["192.0.2.1"], ttl: 60 };
  return {
    rule: {
      ...rule,
      ...common(rule, field),
      changes: field === "changes" ? rule.changes : ["create", "replace", "delete"],
      names: field === "names" ? rule.names : { exactly: [NAME] },
      types: field === "types" ? rule.types : [type],
      values: field === "values" ? rule.values : { exactly: [...values] },
      ttl: field === "ttl" ? rule.ttl : { min: 0, max: MOST },
    },
    asked: { ...asked, args: { ...asked.args, name } },
    found: field === "changes" && found !== null ? found : { action: "update-dns", record },
  };
}

/** All that a rule and the policy as a whole say to a manifest, but for one field, is made true of it. */
function deploy({ rule, asked, found }: Pair<"deploy">, field: string, policy: Policy): Isolated {
  const { group, manifest: digest } = asked.args;
  const good: ManifestFacts = {
    digest,
    signedBy: rule.signers.by,
    cluster: policy.cluster,
    place: manifestPlace(policy.place),
    policy: null,
    version: rule.version.min,
    group: { image: group, digest },
  };
  const real = found?.manifest ?? good;
  const { signedBy, version } = real;
  const manifest = {
    signers: { ...good, signedBy },
    version: { ...good, version },
    manifest: { ...real, signedBy: good.signedBy, version: good.version },
  }[field];
  return {
    rule: { ...rule, ...common(rule, field) },
    asked,
    found: { action: "deploy", manifest: manifest ?? good, image: null, count: 1 },
  };
}

/** `found`: null when it is not known, and then only fields that do not depend on it may be asked about. */
export function isolated(policy: Policy, rule: Rule, asked: Asked, found: Found | null, field: string): Isolated {
  if (rule.allow === "scale" && asked.action === "scale") {
    return scale({ rule, asked, found: found?.action === "scale" ? found : null }, field);
  }
  if (rule.allow === "issue-certificate" && asked.action === "issue-certificate") {
    return certificate({ rule, asked, found: found?.action === "issue-certificate" ? found : null }, field);
  }
  if (rule.allow === "update-dns" && asked.action === "update-dns") {
    return dns({ rule, asked, found: found?.action === "update-dns" ? found : null }, field);
  }
  if (rule.allow === "deploy" && asked.action === "deploy") {
    return deploy({ rule, asked, found: found?.action === "deploy" ? found : null }, field, policy);
  }
  throw new Error("rule and command are of different actions");
}

/** What the command or the state says where a field looks. */
export function askedText(asked: Asked, found: Found | null, field: string): string {
  if (asked.action === "scale") {
    const { count } = asked.args;
    if (field === "count") return String(count);
    if (field === "change" && found?.action === "scale") return `from ${found.count} to ${count}`;
  }
  if (asked.action === "issue-certificate") {
    const { usages, validity, csr } = asked.args;
    if (field === "usages") return usages.join(", ");
    if (field === "validity") return durationText(validity);
    if (field === "key") return `${csr === undefined ? "in-cluster" : "by-vendor"}${keyText(found)}`;
    if (field === "names" && found?.action === "issue-certificate") {
      return found.csr.sans.map(({ value }) => value).join(", ");
    }
  }
  if (asked.action === "update-dns") {
    const { name, type, change, values, ttl } = asked.args;
    const record = found?.action !== "update-dns" ? "" : found.record === null ? ", none is there" : ", one is there";
    const said: { readonly [field: string]: string } = {
      changes: `${change}${record}`,
      names: name,
      types: type,
      values: values.join(", "),
      ttl: durationText(ttl),
    };
    return said[field] ?? "";
  }
  return manifestText(found, field);
}

function manifestText(found: Found | null, field: string): string {
  if (found?.action !== "deploy") return "";
  const { signedBy, version, cluster, place, policy, group } = found.manifest;
  if (field === "signers") return signedBy.join(", ") || "nobody's signature";
  if (field === "version") return version;
  if (field !== "manifest") return "";
  const made = policy === null ? "no policy" : `policy ${shortDigest(policy)}`;
  return `of ${cluster} in ${placeText(place)}, for ${made}${group === null ? ", without the group" : ""}`;
}

function keyText(found: Found | null): string {
  return found?.action === "issue-certificate" ? `, ${found.csr.keyType}` : "";
}
