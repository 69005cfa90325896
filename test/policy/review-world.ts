/** Random pairs of policies that are close to each other, and random sequences of commands to hold a review of them to the PDP. */
import fc from "fast-check";
import type { At } from "../../policy/match.ts";
import { indexed, type Policy, PolicyFile } from "../../policy/policy.ts";
import type { Consent } from "../../policy/review/consent.ts";
import { ask, isMore, NO_PAST, ownAt, type Past, type Point } from "../../policy/review/point.ts";
import { type Review, review } from "../../policy/review/review.ts";
import type { Situation } from "../../policy/review/space.ts";
import { changeDeploy, cutDeploy, deployFields, deploySituation, SIGNERS } from "./deploy-world.ts";

/** Nobody has the private keys any more. */
export const KEYS = [
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFc3E9WZPlf0awRBGzpXP3Tdr+xPXSikNYKB6s4yZS70",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEkiKbZs8HikC3ste2XG9BnG0d3BvUrlMFs2U0mIhPwb",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKz+YTAYj/h3n3C4GC8vXYOcGI8GHsPucsjQl1NFx+mQ",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHIqH9vcsvTtI9f4aj7n2fkPstgdV7yWsYWDfDT+B6Kc",
];

// biome-ignore lint/suspicious/noExplicitAny: a file before it is parsed, taken apart by the mutations
type Json = any;

const some = <T>(...items: T[]) => fc.uniqueArray(fc.constantFrom(...items), { minLength: 1 });
const range = (low: number, high: number) =>
  fc
    .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
    .map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }));
const seconds = (low: number, high: number) =>
  range(low, high).map(({ min, max }) => ({ min: `${min}s`, max: `${max}s` }));

const RATES = [
  "1 per minute",
  "2 per minute",
  "3 per minute",
  "1 per hour",
  "2 per hour",
  "4 per hour",
  "2 per day",
  "3 per day",
  "60 per hour",
  "24 per day",
];
const WHENS = [
  "always",
  "Mon-Fri 08:00-17:00 Europe/Berlin",
  "Mon-Wed 08:00-17:00 Europe/Berlin",
  "Thu-Fri 08:00-17:00 Europe/Berlin",
  "Mon-Fri 08:00-12:00 Europe/Berlin",
  "Mon-Fri 12:00-17:00 Europe/Berlin",
  "Mon-Fri 03:00-11:00 America/New_York",
  "Mon-Fri 02:00-11:00 America/New_York",
  "Mon-Fri 07:00-16:00 UTC",
  "Mon-Fri 06:00-15:00 UTC",
  "Sun 02:00-03:00 Europe/Berlin",
  "2026-11-01T00:00Z to 2026-11-25T00:00Z",
  "2026-11-10T00:00Z to 2026-12-01T00:00Z",
];
const APPROVALS = [
  { by: ["alice"], need: 1, within: "1h" },
  { by: ["alice"], need: 1, within: "2h" },
  { by: ["alice", "bob"], need: 1, within: "1h" },
  { by: ["alice", "bob"], need: 2, within: "1h" },
  { by: ["bob"], need: 1, within: "2h" },
  { by: ["alice", "bob", "carol"], need: 2, within: "2h" },
  { by: ["bob", "carol"], need: 1, within: "30m" },
];
const common = {
  why: fc.constant("x"),
  rate: fc.oneof({ weight: 2, arbitrary: fc.constantFrom("1 per minute", "2 per hour") }, fc.constantFrom(...RATES)),
  when: fc.oneof({ weight: 2, arbitrary: fc.constant("always") }, fc.constantFrom(...WHENS)),
  approval: fc.oneof({ weight: 3, arbitrary: fc.constant("none") }, fc.constantFrom(...APPROVALS)),
};
const NAMES = [
  { below: "example" },
  { below: "a.example" },
  { below: "x.a.example" },
  { exactly: ["a.example"] },
  { exactly: ["x.a.example"] },
  { exactly: ["x.a.example", "y.a.example"] },
  { exactly: ["x.a.example", "b.example"] },
];
const CIDRS = [
  "10.0.0.0/30",
  "10.0.0.0/31",
  "10.0.0.2/31",
  "10.0.0.0/8",
  "10.0.0.4/30",
  "2001:db8::/126",
  "2001:db8::/127",
  "2001:db8::2/127",
];
const scaleRule = fc.record({
  allow: fc.constant("scale"),
  group: fc.constantFrom("g", "g", "g", "h"),
  count: range(0, 6),
  change: fc.record({ up: fc.integer({ min: 0, max: 3 }), down: fc.integer({ min: 0, max: 3 }) }),
  ...common,
});
const certificateRule = fc.record({
  allow: fc.constant("issue-certificate"),
  authority: fc.constant("ca"),
  names: fc.constantFrom(...NAMES),
  key: fc.record({ made: fc.constantFrom("in-cluster", "in-cluster", "by-vendor"), type: some("P-256", "Ed25519") }),
  usages: some("server", "client"),
  validity: seconds(0, 4),
  ...common,
});
const dnsBase = {
  allow: fc.constant("update-dns"),
  zone: fc.constant("z"),
  changes: some("create", "replace", "delete"),
  names: fc.constantFrom(...NAMES),
  ttl: seconds(0, 3),
  ...common,
};
const dnsRule = fc.oneof(
  fc.record({ ...dnsBase, types: some("A", "AAAA"), values: some(...CIDRS).map((within) => ({ within })) }),
  fc.record({
    ...dnsBase,
    types: some("CNAME", "TXT"),
    values: some("a.example", "b.example", "c.example").map((exactly) => ({ exactly })),
  }),
);
const deployRule = fc.record({ ...deployFields, ...common });
const rules: fc.Arbitrary<readonly object[]> = fc.oneof(
  fc.array(deployRule, { minLength: 1, maxLength: 3 }),
  fc.array(scaleRule, { minLength: 1, maxLength: 3 }),
  fc.array(certificateRule, { minLength: 1, maxLength: 3 }),
  fc.array(dnsRule, { minLength: 1, maxLength: 3 }),
  fc.array(fc.oneof(scaleRule, certificateRule, dnsRule, deployRule), { minLength: 1, maxLength: 4 }),
);
const file = fc.record({ rules, dry_run: fc.constantFrom("allowed", "refused") }).map(({ rules: all, dry_run }) => ({
  version: 1,
  revision: 2,
  cluster: "c",
  vendor: "vendor.example",
  place: { cloud: "local" },
  people: { alice: KEYS[0], bob: KEYS[1], carol: KEYS[2] },
  signers: { s1: SIGNERS[0], s2: SIGNERS[1], s3: SIGNERS[2] },
  share: [],
  dry_run,
  rules: all.map((rule, at) => ({ id: `r${at}`, ...rule })),
  tests: [],
}));

type Mutation = { readonly kind: number; readonly which: number; readonly by: number };
const mutation: fc.Arbitrary<Mutation> = fc.record({ kind: fc.nat(28), which: fc.nat(5), by: fc.nat(1000) });

function halves(cidr: string): readonly string[] {
  const split: Readonly<Record<string, readonly string[]>> = {
    "10.0.0.0/30": ["10.0.0.0/31", "10.0.0.2/31"],
    "2001:db8::/126": ["2001:db8::/127", "2001:db8::2/127"],
    "10.0.0.0/8": ["10.0.0.0/9", "10.128.0.0/9"],
  };
  return split[cidr] ?? [cidr];
}

function shift(text: string, by: number): string {
  return `${Math.max(0, Number.parseInt(text, 10) + by)}s`;
}

function bounds(rule: Json, by: number): void {
  if (rule.allow === "deploy") {
    changeDeploy(rule, by);
    return;
  }
  const step = by % 2 === 0 ? 1 : -1;
  const field = rule.allow === "scale" ? "count" : rule.allow === "update-dns" ? "ttl" : "validity";
  const end = by % 4 < 2 ? "min" : "max";
  const value = rule[field][end];
  rule[field][end] = typeof value === "number" ? Math.max(0, value + step) : shift(value, step);
}

/** Cuts a rule in two that together hold what it held, or nearly. */
function cutInTwo(rule: Json, by: number): Json {
  const other = structuredClone(rule);
  other.id = `${rule.id}x`;
  if (rule.allow === "deploy") cutDeploy(rule, other, by);
  else if (rule.allow === "scale" && by % 3 === 0) {
    other.change.up = 0;
    rule.change.down = 0;
  } else if (rule.allow === "scale") {
    const middle = rule.count.min + (by % Math.max(1, rule.count.max - rule.count.min + 1));
    rule.count.max = middle;
    other.count.min = Math.min(middle + 1, other.count.max);
  } else if (rule.allow === "update-dns" && "within" in rule.values && by % 2 === 0) {
    const all = rule.values.within.flatMap(halves);
    rule.values.within = all.slice(0, Math.ceil(all.length / 2));
    other.values.within = all.slice(Math.ceil(all.length / 2));
  } else if ("exactly" in rule.names) {
    rule.names.exactly = rule.names.exactly.slice(0, 1);
    other.names.exactly = other.names.exactly.slice(-1);
  } else if (rule.allow === "update-dns") {
    rule.changes = rule.changes.slice(0, 1);
    other.changes = other.changes.slice(-1);
  } else {
    rule.key.type = rule.key.type.slice(0, 1);
    other.key.type = other.key.type.slice(-1);
  }
  return other;
}

const WINDOW_CUTS: Readonly<Record<string, readonly [string, string]>> = {
  "Mon-Fri 08:00-17:00 Europe/Berlin": ["Mon-Wed 08:00-17:00 Europe/Berlin", "Thu-Fri 08:00-17:00 Europe/Berlin"],
  always: ["Mon-Sun 00:00-12:00 Europe/Berlin", "Mon-Sun 12:00-24:00 Europe/Berlin"],
};

/** By the clocks of other zones nearly the same windows, for a part of the year the same. */
const ALIKE: Readonly<Record<string, readonly string[]>> = {
  "Mon-Fri 08:00-17:00 Europe/Berlin": [
    "Mon-Fri 02:00-11:00 America/New_York",
    "Mon-Fri 07:00-16:00 UTC",
    "Mon-Fri 06:00-16:00 UTC",
  ],
  "Mon-Fri 02:00-11:00 America/New_York": [
    "Mon-Fri 08:00-17:00 Europe/Berlin",
    "Mon-Fri 07:00-16:00 UTC",
    "Mon-Fri 07:00-17:00 Europe/Berlin",
  ],
  "Mon-Fri 07:00-16:00 UTC": [
    "Mon-Fri 08:00-17:00 Europe/Berlin",
    "Mon-Fri 08:00-18:00 Europe/Berlin",
    "Mon-Fri 02:00-11:00 America/New_York",
  ],
  "Sun 02:00-03:00 Europe/Berlin": ["Sun 01:00-02:00 UTC", "Sun 00:00-01:00 UTC", "Sun 00:00-02:00 UTC"],
};

/** Changes the file a little. One that makes it invalid makes the pair unfit, and is counted. */
function mutate(before: Json, { kind, which, by }: Mutation): Json {
  const after = structuredClone(before);
  const at = which % Math.max(1, after.rules.length);
  const rule = after.rules[at];
  if (rule === undefined) return after;
  switch (kind) {
    case 0:
      after.rules.splice(at, 1);
      break;
    case 1:
      after.rules.push({ ...structuredClone(rule), id: `q${by}` });
      break;
    case 2:
      rule.id = by % 2 === 0 ? `a${at}` : `z${at}`;
      break;
    case 3:
    case 4:
    case 5:
    case 6:
      bounds(rule, by);
      break;
    case 7:
    case 8:
    case 9:
    case 10:
      after.rules.push(cutInTwo(rule, by));
      break;
    case 11:
    case 12:
      rule.rate = RATES[by % RATES.length];
      break;
    case 13:
      rule.rate = rule.rate.replace(/^\d+/, (times: string) =>
        String(Math.max(1, Number(times) + (by % 2 === 0 ? 1 : -1))),
      );
      break;
    case 14:
    case 15:
      rule.when = WHENS[by % WHENS.length];
      break;
    case 16: {
      const cut = WINDOW_CUTS[rule.when];
      if (cut === undefined) break;
      after.rules.push({ ...structuredClone(rule), id: `${rule.id}w`, when: cut[1] });
      rule.when = cut[0];
      break;
    }
    case 17:
    case 18:
      rule.approval = by % 4 === 0 ? "none" : APPROVALS[by % APPROVALS.length];
      break;
    case 19:
      if (rule.allow === "deploy") changeDeploy(rule, by);
      else if (rule.allow === "scale") rule.change[by % 2 === 0 ? "up" : "down"] = by % 4;
      else rule.names = NAMES[by % NAMES.length];
      break;
    case 20:
      if (rule.allow === "update-dns" && "within" in rule.values)
        rule.values.within = rule.values.within.flatMap(halves).slice(by % 2);
      break;
    case 21:
      if (rule.allow === "update-dns" && "within" in rule.values) rule.values.within = [CIDRS[by % CIDRS.length]];
      else if (rule.allow === "issue-certificate") rule.usages = [["server"], ["client"], ["server", "client"]][by % 3];
      break;
    case 22:
      // The third of the signers may have the key of the first: one key, and not two.
      after.signers = { s1: SIGNERS[by % 4], s2: SIGNERS[(by + 1) % 4], s3: SIGNERS[(by + (by % 3)) % 4] };
      after.people = { alice: KEYS[by % 4], bob: KEYS[(by + 1) % 4], carol: KEYS[(by + 2) % 4] };
      break;
    case 23:
      after.dry_run = by % 2 === 0 ? "allowed" : "refused";
      break;
    case 24:
      if (by % 5 === 0) after.vendor = "other.example";
      if (by % 5 === 1) after.place = { cloud: "aws", account: "111122223333", region: "eu-west-1" };
      break;
    case 28:
      rule.when = ALIKE[rule.when]?.[by % 3] ?? rule.when;
      break;
    case 25:
    case 26:
      // Beside the rule, before or after it by its id, one that asks people.
      after.rules.push({
        ...structuredClone(rule),
        id: by % 2 === 0 ? `a${by}` : `z${by}`,
        approval: APPROVALS[by % APPROVALS.length],
        rate: RATES[which % RATES.length],
      });
      break;
    default:
      after.rules.reverse();
  }
  return after;
}

/** Two files of which one is the other after a few changes, or rarely two that have nothing to do with each other. */
export const pair: fc.Arbitrary<readonly [Json, Json]> = fc
  .oneof(
    {
      weight: 9,
      arbitrary: fc
        .tuple(file, fc.array(mutation, { maxLength: 3 }))
        .map(([one, changes]) => [one, changes.reduce(mutate, one)] as const),
    },
    { weight: 1, arbitrary: fc.tuple(file, file) },
  )
  .chain((two) => fc.boolean().map((turned) => (turned ? ([two[1], two[0]] as const) : two)));

export function policyOf(value: Json): Policy | null {
  const parsed = PolicyFile.safeParse(value);
  return parsed.success ? indexed({ ...parsed.data, digest: `sha256:${"0".repeat(64)}` }) : null;
}

const name = fc.constantFrom(
  "a.example",
  "x.a.example",
  "y.a.example",
  "b.example",
  "z.x.a.example",
  "q.example",
  "elsewhere",
);
const address = fc.constantFrom("10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.200.0.1", "11.0.0.1");
const address6 = fc.constantFrom("2001:db8::", "2001:db8::1", "2001:db8::2", "2001:db8::4");
const text = fc.constantFrom("a.example", "b.example", "c.example", "d.example");
const several = (one: fc.Arbitrary<string>) => fc.uniqueArray(one, { minLength: 1, maxLength: 3 });
const values = fc.oneof(
  fc.record({ type: fc.constant("A" as const), values: several(address) }),
  fc.record({ type: fc.constant("AAAA" as const), values: several(address6) }),
  fc.record({ type: fc.constantFrom("CNAME" as const, "TXT" as const), values: several(text) }),
);
const scaleSituation = fc.record({ group: fc.constantFrom("g", "g", "g", "h"), count: fc.nat(7), now: fc.nat(7) }).map(
  ({ group, count, now }): Situation => ({
    asked: { action: "scale", args: { group, count } },
    found: { action: "scale", count: now },
  }),
);
const certificateSituation = fc
  .record({
    made: fc.constantFrom("in-cluster" as const, "in-cluster" as const, "by-vendor" as const),
    usages: some("server" as const, "client" as const),
    validity: fc.integer({ min: 1, max: 5 }),
    sans: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    keyType: fc.constantFrom("P-256", "Ed25519", "other-dsa"),
  })
  .map(
    ({ made, usages, validity, sans, keyType }): Situation => ({
      asked: {
        action: "issue-certificate",
        args: {
          authority: "ca",
          usages,
          validity,
          ...(made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) }),
        },
      },
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
    }),
  );
const dnsSituation = fc
  .record({
    name,
    typed: values,
    change: fc.constantFrom("create" as const, "replace" as const, "delete" as const),
    ttl: fc.nat(4),
    other: fc.boolean(),
  })
  .map(
    ({ name: asked, typed, change, ttl, other }): Situation => ({
      asked: {
        action: "update-dns",
        args: {
          zone: "z",
          name: asked,
          type: typed.type,
          change,
          values: change === "delete" ? [] : typed.values,
          ttl,
        },
      },
      found: {
        action: "update-dns",
        record: (change === "create") !== other ? null : { values: typed.values, ttl: 1 },
      },
    }),
  );
/** Mostly of an action and resource that the policies have rules for. */
const situations = fc.tuple(
  fc.array(scaleSituation, { minLength: 12, maxLength: 12 }),
  fc.array(certificateSituation, { minLength: 12, maxLength: 12 }),
  fc.array(dnsSituation, { minLength: 12, maxLength: 12 }),
  fc.array(deploySituation, { minLength: 12, maxLength: 12 }),
);

/** Around windows that open and close, the changes of clocks among them; the last is far ahead. */
const STARTS = [
  "2026-11-23T06:00:00Z",
  "2026-11-23T06:59:59Z",
  "2026-11-23T07:00:00Z",
  "2026-11-24T11:00:00Z",
  "2026-11-25T00:00:00Z",
  "2026-11-26T15:59:30Z",
  "2026-11-28T12:00:00Z",
  "2026-07-14T06:30:00Z",
  "2026-07-14T15:00:00Z",
  "2026-10-25T00:30:00Z",
  "2026-10-25T01:30:00Z",
  "2026-10-27T15:30:00Z",
  "2026-03-10T06:30:00Z",
  "2026-03-10T15:30:00Z",
  "2026-03-29T00:59:59Z",
  "2026-11-10T00:00:00Z",
  "2026-12-01T00:00:00Z",
  "2061-03-16T06:30:00Z",
].map((time) => Date.parse(time));
const LATER = [
  0, 0, 0, 1000, 30_000, 59_999, 60_000, 1_800_000, 3_599_999, 3_600_000, 43_200_000, 86_399_999, 86_400_000,
];

export type Step = {
  readonly which: number;
  readonly later: number;
  readonly consent: Consent;
  readonly dryRun: boolean;
  readonly own: boolean;
};
const consent: fc.Arbitrary<Consent> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Consent>({ keys: new Set(), age: null }) },
  {
    weight: 3,
    arbitrary: fc.record({
      keys: fc.subarray([...KEYS]).map((keys) => new Set(keys)),
      age: fc.constantFrom(0, 0, 0, 1800, 3599.999, 3600, 7199, 7200),
    }),
  },
);
const step: fc.Arbitrary<Step> = fc.record({
  which: fc.nat(11),
  later: fc.constantFrom(...LATER),
  consent,
  dryRun: fc.nat(15).map((nth) => nth === 0),
  own: fc.boolean(),
});
export const trace = fc.record({
  all: situations,
  start: fc.constantFrom(...STARTS),
  /** How long before the start the logs begin, if they do not hold all that ever was. */
  since: fc.constantFrom(null, null, null, 0, 60_000, 3_600_000, 86_400_000),
  steps: fc.array(step, { minLength: 14, maxLength: 14 }),
  /** Only a few of the situations are asked, again and again, so that rates are used up. */
  few: fc.integer({ min: 1, max: 4 }),
});
export type Trace = typeof trace extends fc.Arbitrary<infer T> ? T : never;

export type Tally = { points: number; differing: number; differences: number; examples: number; without: number };

class Log {
  readonly intents = new Map<string, number[]>();
  constructor(readonly since: number | null) {}
  past(): Past {
    return { intents: this.intents, since: this.since };
  }
  count(rule: string, now: number): void {
    const known = this.intents.get(rule);
    if (known === undefined) this.intents.set(rule, [now]);
    else known.push(now);
  }
}

function describe(point: Point, more: string): string {
  return `${more}: ${JSON.stringify({ ...point, consent: { keys: [...point.consent.keys], age: point.consent.age }, now: new Date(point.now).toISOString() })}`;
}

/**
 * Follows one sequence of commands through both policies, each with a log of its own that counts what both permit. Where one permits
 * more than the other, the review must hold a difference that covers just this point. Returns what it does not hold.
 */
export function missed(
  theirs: Policy,
  mine: Policy,
  reviewed: Review,
  { all, start, since, steps, few }: Trace,
  tally: Tally,
): readonly string[] {
  const actions = [...new Set([...theirs.rules, ...mine.rules].map(({ allow }) => allow))];
  const everybody: Consent = { keys: new Set(KEYS), age: 0 };
  const held = (situation: Situation): boolean =>
    [theirs, mine].some((policy) =>
      [start, start + 43_200_000].some(
        (at) => ask(policy, { at: ownAt(policy), situation, now: at, consent: everybody }, NO_PAST).level !== "refused",
      ),
    );
  const asking = all.flat().filter(({ asked }) => actions.includes(asked.action));
  // What neither ever permits is asked too, but seldom.
  const fitting = [...asking.filter(held), ...asking.filter((one) => !held(one))];
  const begins = since === null ? null : start - since;
  const logs = { theirs: new Log(begins), mine: new Log(begins) };
  const found: string[] = [];
  let now = start;
  for (const { which, later, consent: said, dryRun, own } of steps) {
    now += later;
    const situation = fitting[which % Math.min(few, fitting.length)];
    if (situation === undefined) continue;
    const at: At = { ...ownAt(own ? theirs : mine), dryRun };
    const point: Point = { at, situation, now, consent: said };
    const [a, b] = [ask(theirs, point, logs.theirs.past()), ask(mine, point, logs.mine.past())];
    tally.points += 1;
    if (a.level === "allowed" && b.level === "allowed" && !dryRun) {
      logs.theirs.count(a.rule ?? "", now);
      logs.mine.count(b.rule ?? "", now);
    }
    if (a.level === b.level) continue;
    tally.differing += 1;
    const side = isMore(a.level, b.level) ? reviewed.more : reviewed.less;
    if (!side.some((difference) => difference.covers(point, begins)))
      found.push(describe(point, `${a.level} ${b.level}, not in the review`));
  }
  return found;
}

/** Each example, asked of the PDP once more: the one permits more, the other less. Returns those that are none. */
export function untrue(theirs: Policy, mine: Policy, reviewed: Review, tally: Tally): readonly string[] {
  const sides = [
    { differences: reviewed.more, a: theirs, b: mine },
    { differences: reviewed.less, a: mine, b: theirs },
  ];
  return sides.flatMap(({ differences, a, b }) =>
    differences.flatMap(({ kind, example, covers }) => {
      tally.differences += 1;
      if (example === null) {
        tally.without += 1;
        return [];
      }
      tally.examples += 1;
      const { point, pasts } = example;
      // What is not about the context is asked of each in its own.
      const other = kind === "context" || kind === "dry-run" ? point.at : ownAt(b);
      const more = isMore(ask(a, point, pasts.a).level, ask(b, { ...point, at: other }, pasts.b).level);
      return more && covers(point, pasts.a.since) ? [] : [describe(point, `an example that is none, ${kind}`)];
    }),
  );
}

export function reviewOf(theirs: Policy, mine: Policy): Review {
  // Looking longer for examples of rates would find a few more, and take most of the time.
  return review(theirs, mine, { parts: 50_000, effort: 400 });
}
