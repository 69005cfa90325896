import { noteKeyOf } from "../../policy/keys.ts";
import type { Policy, Rule } from "../../policy/policy.ts";
import type { Consent } from "../../policy/review/consent.ts";
import { ask, type Level, NO_PAST, ownAt, type Past } from "../../policy/review/point.ts";
import type { Situation } from "../../policy/review/space.ts";
import { VERSION } from "../../policy/version.ts";
import { KEYS } from "../policy/review-world.ts";

/** Right below, at and right above both ends of a range. */
function ends({ min, max }: { readonly min: number; readonly max: number }): number[] {
  return [...new Set([min - 1, min, max, max + 1])].filter((each) => each >= 0);
}

function scales(rule: Extract<Rule, { allow: "scale" }>): Situation[] {
  const { up, down } = rule.change;
  return ends(rule.count).flatMap((count) =>
    [count - up, count - up - 1, count + down, count + down + 1]
      .filter((now) => now >= 0)
      .map(
        (now): Situation => ({
          asked: { action: "scale", args: { group: rule.group, count } },
          found: { action: "scale", count: now },
        }),
      ),
  );
}

/** The names that a rule permits and those beside them. */
function namesAround(names: Extract<Rule, { allow: "update-dns" }>["names"]): string[] {
  const named = "below" in names ? [names.below] : names.exactly;
  return [...new Set(named.flatMap((name) => [name, `x.${name}`, `y.x.${name}`, `z${name}`]))];
}

function certificates(rule: Extract<Rule, { allow: "issue-certificate" }>): Situation[] {
  const names = namesAround(rule.names);
  const one = (
    sans: readonly string[],
    validity: number,
    keyType: string,
    made: "in-cluster" | "by-vendor",
    usages: readonly ("server" | "client")[],
  ): Situation => {
    const csr = made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) };
    return {
      asked: { action: "issue-certificate", args: { authority: rule.authority, usages, validity, ...csr } },
      found: {
        action: "issue-certificate",
        made,
        csr: {
          signatureValid: true,
          subject: "",
          commonName: null,
          sans: sans.map((value) => ({ type: "dns", value })),
          keyType,
          extensions: [],
          wantsCa: false,
        },
      },
    };
  };
  const good = names.find((name) => name.startsWith("x.")) ?? "x";
  const key = rule.key.type[0] ?? "P-256";
  return [
    ...names.map((name) => one([name], rule.validity.max, key, rule.key.made, rule.usages)),
    one(names, rule.validity.max, key, rule.key.made, rule.usages),
    ...ends(rule.validity).map((validity) => one([good], validity, key, rule.key.made, rule.usages)),
    ...["P-256", "Ed25519", "RSA-2048"].map((type) => one([good], rule.validity.max, type, rule.key.made, rule.usages)),
    ...(["in-cluster", "by-vendor"] as const).map((made) => one([good], rule.validity.max, key, made, rule.usages)),
    ...([["server"], ["client"], ["server", "client"]] as const).map((usages) =>
      one([good], rule.validity.max, key, rule.key.made, usages),
    ),
  ];
}

function records(rule: Extract<Rule, { allow: "update-dns" }>): Situation[] {
  const names = namesAround(rule.names);
  const values =
    "within" in rule.values
      ? ["10.0.0.0", "10.0.0.3", "10.0.0.4", "2001:db8::1", "2001:db8::4"]
      : [...rule.values.exactly, "other"];
  const types = ["A", "AAAA", "CNAME", "TXT"] as const;
  const one = (
    name: string,
    type: (typeof types)[number],
    change: "create" | "replace" | "delete",
    value: string,
    ttl: number,
  ): Situation => ({
    asked: {
      action: "update-dns",
      args: { zone: rule.zone, name, type, change, values: change === "delete" ? [] : [value], ttl },
    },
    found: { action: "update-dns", record: change === "create" ? null : { values: [value], ttl } },
  });
  const good = names.find((name) => name.startsWith("x.")) ?? "x";
  const [type = "A", value = "x", { max }] = [rule.types[0], values[0], rule.ttl];
  return [
    ...names.map((name) => one(name, type, rule.changes[0] ?? "create", value, max)),
    ...types.map((each) => one(good, each, rule.changes[0] ?? "create", each === "AAAA" ? "2001:db8::1" : value, max)),
    ...(["create", "replace", "delete"] as const).map((change) => one(good, type, change, value, max)),
    ...values.map((each) => one(good, type, rule.changes[0] ?? "create", each, max)),
    ...ends(rule.ttl).map((ttl) => one(good, type, rule.changes[0] ?? "create", value, ttl)),
  ];
}

/** Within windows, at their edges, and when clocks change. */
/** Signed by each number of the rule's keys, of each version at an end of its range, with each number of machines around the most. */
function deploys({ signers }: Policy, rule: Extract<Rule, { allow: "deploy" }>): Situation[] {
  const keys = rule.signers.by.map((id) => noteKeyOf(signers[id] ?? "") ?? "");
  const [min, max] = [rule.version.min, rule.version.max].map((text) => text.split(".").map(Number));
  const near = [min, max].flatMap((parts) =>
    [-1, 0, 1].map((step) => [parts?.[0], parts?.[1], Math.max(0, (parts?.[2] ?? 0) + step)].join(".")),
  );
  const manifest = `sha256:${"0".repeat(64)}`;
  const one = (signedBy: readonly string[], version: string, unavailable: number): Situation => ({
    asked: { action: "deploy", args: { group: rule.group, manifest } },
    found: {
      action: "deploy",
      manifest: {
        digest: manifest,
        signedBy,
        cluster: "",
        place: { cloud: "", account: "", region: "" },
        policy: null,
        version,
        group: { image: "image", digest: manifest },
      },
      image: null,
      count: 1,
    },
    unavailable,
  });
  return [
    ...keys.map((_, many) => one(keys.slice(0, many), rule.version.min, 1)),
    ...keys.map((_, many) => one(keys.slice(many), rule.version.min, 1)),
    ...near.filter((version) => VERSION.test(version)).map((version) => one(keys, version, 1)),
    ...[-1, 0, 1].map((step) => one(keys, rule.version.max, Math.max(1, rule.unavailable + step))),
  ];
}

const TIMES = ["2026-11-24T11:00:00Z", "2026-11-24T07:00:00Z", "2026-11-24T06:59:59Z", "2026-10-25T01:30:00Z"].map(
  (time) => Date.parse(time),
);
const CONSENTS: readonly Consent[] = [
  { keys: new Set(), age: null },
  { keys: new Set(KEYS), age: 0 },
  { keys: new Set(KEYS.slice(0, 1)), age: 3600 },
];

/** Questions right at and right beyond each bound of each rule of a policy; each is asked of any policy, as this one's own command. */
export function askedAround(policy: Policy): ((of: Policy) => Level)[] {
  const situations = policy.rules.flatMap((rule) => {
    if (rule.allow === "scale") return scales(rule);
    if (rule.allow === "deploy") return deploys(policy, rule);
    return rule.allow === "issue-certificate" ? certificates(rule) : records(rule);
  });
  return situations.flatMap((situation, at) => {
    const now = TIMES[at % TIMES.length] ?? 0;
    const used = new Map(policy.rules.map(({ id }) => [id, [now - 30_000, now - 1000]] as const));
    const pasts: readonly Past[] = [NO_PAST, { intents: used, since: null }];
    return CONSENTS.flatMap((consent) =>
      pasts.map((past) => {
        const point = { at: ownAt(policy, at % 7 === 0), situation, now, consent };
        return (of: Policy): Level => ask(of, point, past).level;
      }),
    );
  });
}
