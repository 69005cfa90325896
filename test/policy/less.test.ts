import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Approvals, Asked, Found, History } from "../../policy/asked.ts";
import { authorize } from "../../policy/authorize.ts";
import { match } from "../../policy/match.ts";
import { loadPolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/policy.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { seenBy } from "../../policy/review/deploy.ts";
import { deployFields, deploySituation, SIGNERS } from "./deploy-world.ts";

/** Policies over so small a world that commands often meet a rule. JSON is YAML, so the file's text is its JSON. */
const PEOPLE = {
  alice: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtZ4O9PuEUN83PrKXXZbb8LYwVQohR4fjGuYLVh0jnI",
  bob: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHqFHRDbKQ9JIihr5L9esibQDHdYvgyWhx+g0Qa7cot6",
};
const some = <T>(...items: T[]) => fc.uniqueArray(fc.constantFrom(...items), { minLength: 1 });
const range = (low: number, high: number) =>
  fc
    .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
const seconds = (low: number, high: number) => range(low, high).map(([a, b]) => ({ min: `${a}s`, max: `${b}s` }));

const common = {
  why: fc.constant("x"),
  rate: fc.constantFrom("1 per minute", "2 per hour", "3 per day"),
  when: fc.constantFrom("always", "Mon-Fri 00:00-12:00 UTC", "2026-11-01T00:00Z to 2026-11-25T00:00Z"),
  approval: fc.oneof(
    { weight: 3, arbitrary: fc.constant("none") },
    fc.constantFrom(1, 2).map((need) => ({ by: ["alice", "bob"], need, within: "1h" })),
  ),
};
const names = fc.oneof(
  fc.constantFrom("example", "a.example", "b.example").map((below) => ({ below })),
  some("a.example", "x.a.example", "y.a.example", "x.b.example").map((exactly) => ({ exactly })),
);
const scaleRule = fc.record({
  allow: fc.constant("scale"),
  group: fc.constantFrom("g", "h"),
  count: range(0, 6).map(([min, max]) => ({ min, max })),
  change: fc.record({ up: fc.integer({ min: 0, max: 4 }), down: fc.integer({ min: 0, max: 4 }) }),
  ...common,
});
const certificateRule = fc.record({
  allow: fc.constant("issue-certificate"),
  authority: fc.constantFrom("ca", "cb"),
  names,
  key: fc.record({ made: fc.constantFrom("in-cluster", "by-vendor"), type: some("P-256", "Ed25519") }),
  usages: some("server", "client"),
  validity: seconds(1, 4),
  ...common,
});
const dnsBase = {
  allow: fc.constant("update-dns"),
  zone: fc.constantFrom("z", "w"),
  changes: some("create", "replace", "delete"),
  names,
  ttl: seconds(0, 4),
  ...common,
};
const dnsRule = fc.oneof(
  fc.record({
    ...dnsBase,
    types: some("A", "AAAA"),
    values: some("10.0.0.0/30", "10.0.0.0/8", "2001:db8::/32").map((within) => ({ within })),
  }),
  fc.record({
    ...dnsBase,
    types: some("CNAME", "TXT"),
    values: some("a.example", "b.example").map((exactly) => ({ exactly })),
  }),
);
const deployRule = fc.record({ ...deployFields, ...common });
const policyFile = fc
  .record({
    rules: fc.array(fc.oneof(scaleRule, certificateRule, dnsRule, deployRule), { minLength: 1, maxLength: 6 }),
    dry_run: fc.constantFrom("allowed", "refused"),
    share: fc.uniqueArray(fc.constantFrom("policy", "manifest")),
  })
  .map(({ rules, dry_run, share }) => ({
    version: 1,
    revision: 2,
    cluster: "c",
    vendor: "vendor.example",
    place: { cloud: "local" },
    people: PEOPLE,
    signers: { s1: SIGNERS[0], s2: SIGNERS[1], s3: SIGNERS[2] },
    share,
    dry_run,
    rules: rules.map((rule, at) => ({ id: `r${at}`, ...rule })),
    tests: [],
  }));

const name = fc.constantFrom("a.example", "x.a.example", "y.a.example", "x.b.example");
type Situation = { readonly asked: Asked; readonly found: Found };
const situation: fc.Arbitrary<Situation> = fc.oneof(
  fc
    .record({
      group: fc.constantFrom("g", "h"),
      count: fc.integer({ min: 0, max: 6 }),
      now: fc.integer({ min: 0, max: 6 }),
    })
    .map(({ group, count, now }) => ({
      asked: { action: "scale" as const, args: { group, count } },
      found: { action: "scale" as const, count: now },
    })),
  fc
    .record({
      authority: fc.constantFrom("ca", "cb"),
      made: fc.constantFrom("in-cluster" as const, "by-vendor" as const),
      usages: some("server" as const, "client" as const),
      validity: fc.integer({ min: 1, max: 4 }),
      sans: fc.uniqueArray(name, { minLength: 1, maxLength: 2 }),
      keyType: fc.constantFrom("P-256", "Ed25519"),
    })
    .map(({ authority, made, usages, validity, sans, keyType }) => ({
      asked: {
        action: "issue-certificate" as const,
        args: {
          authority,
          usages,
          validity,
          ...(made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) }),
        },
      },
      found: {
        action: "issue-certificate" as const,
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
    })),
  fc
    .record({
      zone: fc.constantFrom("z", "w"),
      name,
      typed: fc.constantFrom(
        { type: "A" as const, values: ["10.0.0.1"] },
        { type: "A" as const, values: ["10.0.0.1", "10.1.0.1"] },
        { type: "AAAA" as const, values: ["2001:db8::1"] },
        { type: "CNAME" as const, values: ["a.example"] },
        { type: "TXT" as const, values: ["a.example", "b.example"] },
      ),
      change: fc.constantFrom("create" as const, "replace" as const, "delete" as const),
      ttl: fc.integer({ min: 0, max: 4 }),
      there: fc.boolean(),
    })
    .map(({ zone, name: asked, typed, change, ttl, there }) => ({
      asked: {
        action: "update-dns" as const,
        args: { zone, name: asked, type: typed.type, change, values: change === "delete" ? [] : typed.values, ttl },
      },
      found: { action: "update-dns" as const, record: there ? { values: typed.values, ttl: 1 } : null },
    })),
  deploySituation,
);
const NOW = Date.UTC(2026, 10, 24, 9);
const history: fc.Arbitrary<History> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 7200_000 })), { maxLength: 3 })
  .map((pairs) => {
    const intents = new Map<string, number[]>();
    for (const [rule, ago] of pairs)
      intents.set(
        `r${rule}`,
        [...(intents.get(`r${rule}`) ?? []), NOW - ago].sort((a, b) => a - b),
      );
    return { intents, since: null, revision: 0 };
  });

const approvals: fc.Arbitrary<Approvals> = fc.record({
  by: fc.subarray(["alice", "bob", "carol"]).map((people) => new Set(people)),
  since: fc.constantFrom(null, NOW - 1_800_000, NOW - 7_200_000),
});

const LEVELS = { refused: 0, wait: 1, allowed: 2 } as const;
function load(file: unknown): Policy | null {
  const loaded = loadPolicy(new TextEncoder().encode(JSON.stringify(file)));
  return "errors" in loaded ? null : loaded.policy;
}
/** 0 refused, 1 after approval, 2 allowed. */
function permitted(
  policy: Policy,
  { asked, found }: Situation,
  past: History,
  dryRun: boolean,
  said: Approvals,
): number {
  const at = { vendor: "vendor.example", cluster: "c", place: { cloud: "local" as const }, ownGroups: [], dryRun };
  const matched = match(policy, asked, at);
  // A manifest's signers are keys as it is drawn: each policy has its own names for them.
  const seen = found.action === "deploy" ? seenBy(policy, at, found) : found;
  return isRefusal(matched) ? 0 : LEVELS[authorize(matched, seen, past, NOW, said).decided];
}

/** Every file that lacks one rule, one value of a list or one field. */
function lessThan(value: unknown): unknown[] {
  if (Array.isArray(value)) {
    const without = value.map((_, at) => value.toSpliced(at, 1));
    return [...without, ...value.flatMap((item, at) => lessThan(item).map((less) => value.with(at, less)))];
  }
  if (typeof value !== "object" || value === null) return [];
  const entries = Object.entries(value);
  return entries.flatMap(([key, inner]) => [
    Object.fromEntries(entries.filter(([other]) => other !== key)),
    ...lessThan(inner).map((less) => ({ ...value, [key]: less })),
  ]);
}

test("taking a rule, a value or a field out of a policy never permits more: it permits less, or the whole file is refused", () => {
  const seen = { permitted: 0, less: 0, refusedWhole: 0 };
  const asking = fc.array(situation, { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(policyFile, asking, history, fc.boolean(), approvals, (file, asks, past, dryRun, said) => {
      const whole = load(file);
      if (whole === null) throw new Error("the generated policy does not load");
      const before = asks.map((ask) => permitted(whole, ask, past, dryRun, said));
      seen.permitted += before.filter((level) => level > 0).length;
      for (const removal of lessThan(file)) {
        const less = load(removal);
        if (less === null) seen.refusedWhole++;
        else {
          const after = asks.map((ask) => permitted(less, ask, past, dryRun, said));
          expect(after.filter((level, at) => level > (before[at] ?? 0))).toEqual([]);
          seen.less += after.filter((level, at) => level < (before[at] ?? 0)).length;
        }
      }
    }),
    { numRuns: 40 },
  );
  // A property that met no permitted command, or no removal that bites, has looked at nothing.
  expect(seen.permitted).toBeGreaterThan(20);
  expect(seen.less).toBeGreaterThan(5);
  expect(seen.refusedWhole).toBeGreaterThan(100);
}, 300_000);
