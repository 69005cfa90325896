import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Asked } from "../../policy/asked.ts";
import { match } from "../../policy/match.ts";
import type { Policy } from "../../policy/policy.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { SIGNERS } from "../policy/deploy-world.ts";
import { ACCOUNT, allowed, changeOf, documents, policyOf, REGION, readsOf } from "./world.ts";

/** Random policies over so small a world that commands often meet a rule, and as often miss one by a step. JSON is YAML. */
const some = <T>(...items: T[]) => fc.uniqueArray(fc.constantFrom(...items), { minLength: 1 });
const authority = (name: string): string => `arn:aws:acm-pca:${REGION}:${ACCOUNT}:certificate-authority/${name}`;
const common = {
  why: fc.constant("x"),
  rate: fc.constant("9 per hour"),
  when: fc.constant("always"),
  approval: fc.constant("none"),
};
const names = fc.oneof(
  fc.constantFrom("example", "a.example", "b.example").map((below) => ({ below })),
  some("a.example", "x.a.example", "_y.a.example", "x.b.example").map((exactly) => ({ exactly })),
);
const dns = { allow: fc.constant("update-dns"), zone: fc.constantFrom("ZA", "ZB"), names, ...common };
const changes = some("create", "replace", "delete");
const ttl = fc.constant({ min: "0s", max: "9s" });
const rule = fc.oneof(
  fc.record({
    allow: fc.constant("scale"),
    group: fc.constantFrom("g", "h", "g/h"),
    count: fc.constant({ min: 0, max: 3 }),
    change: fc.constant({ up: 1, down: 1 }),
    ...common,
  }),
  fc.record({
    allow: fc.constant("issue-certificate"),
    authority: fc.constantFrom("a", "b").map(authority),
    names,
    key: fc.record({ made: fc.constantFrom("in-cluster", "by-vendor"), type: fc.constant(["P-256"]) }),
    usages: some("server", "client"),
    validity: fc.constant({ min: "1s", max: "9s" }),
    ...common,
  }),
  fc.record({
    ...dns,
    changes,
    types: some("A", "AAAA"),
    values: fc.constant({ within: ["10.0.0.0/8", "2001:db8::/32"] }),
    ttl,
  }),
  fc.record({
    allow: fc.constant("deploy"),
    group: fc.constantFrom("g", "h", "g/h"),
    signers: fc.constant({ by: ["release"], need: 1 }),
    version: fc.constant({ min: "1.0.0", max: "2.0.0" }),
    unavailable: fc.constant(1),
    ...common,
  }),
  fc.record({ ...dns, changes, types: some("CNAME", "TXT"), values: fc.constant({ exactly: ["a.example"] }), ttl }),
);
const policyText = fc.array(rule, { minLength: 1, maxLength: 5 }).map((rules) =>
  JSON.stringify({
    version: 1,
    revision: 1,
    cluster: "c",
    vendor: "vendor.example",
    place: { cloud: "aws", account: ACCOUNT, region: REGION },
    people: {},
    signers: { release: SIGNERS[0] },
    share: [],
    dry_run: "allowed",
    rules: rules.map((each, at) => ({ id: `r${at}`, ...each })),
    tests: [],
  }),
);

/** A command of each action, and how far it is drawn towards a rule: bit by bit, field by field. */
const asking = fc.record({
  rule: fc.nat(),
  towards: fc.nat({ max: 31 }),
  scale: fc.record({ group: fc.constantFrom("g", "h", "g/h", "gh"), count: fc.integer({ min: 0, max: 4 }) }),
  certificate: fc.record({
    authority: fc.constantFrom("a", "b", "ab").map(authority),
    usages: some("server" as const, "client" as const),
    made: fc.boolean(),
  }),
  dns: fc.record({
    zone: fc.constantFrom("ZA", "ZB", "ZAB"),
    name: fc.constantFrom("a.example", "x.a.example", "_y.a.example", "x.b.example", "z.x.a.example", "xa.example"),
    type: fc.constantFrom("A" as const, "AAAA" as const, "CNAME" as const, "TXT" as const),
    change: fc.constantFrom("create" as const, "replace" as const, "delete" as const),
  }),
});
type Asking = typeof asking extends fc.Arbitrary<infer T> ? T : never;
const VALUES = { A: "10.0.0.1", AAAA: "2001:db8::1", CNAME: "a.example", TXT: "a.example" } as const;

function commandOf({ rules }: Policy, ask: Asking): Asked {
  const one = rules[ask.rule % rules.length];
  if (one === undefined) throw new Error("a policy without rules");
  const drawn = <T>(bit: number, own: T, ruled: T | undefined): T =>
    (ask.towards & (1 << bit)) === 0 || ruled === undefined ? own : ruled;
  switch (one.allow) {
    case "scale":
      return { action: "scale", args: { ...ask.scale, group: drawn(0, ask.scale.group, one.group) } };
    case "issue-certificate": {
      const usages = drawn(1, ask.certificate.usages, one.usages);
      const made = drawn(2, ask.certificate.made ? "by-vendor" : "in-cluster", one.key.made);
      const csr = made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) };
      const args = { authority: drawn(0, ask.certificate.authority, one.authority), usages, validity: 3, ...csr };
      return { action: "issue-certificate", args };
    }
    case "update-dns": {
      const named = "below" in one.names ? `x.${one.names.below}` : one.names.exactly[0];
      const type = drawn(2, ask.dns.type, one.types[0]);
      const change = drawn(3, ask.dns.change, one.changes[0]);
      const values = change === "delete" ? [] : [VALUES[type]];
      const args = {
        zone: drawn(0, ask.dns.zone, one.zone),
        name: drawn(1, ask.dns.name, named),
        type,
        change,
        values,
      };
      return { action: "update-dns", args: { ...args, ttl: 3 } };
    }
    case "deploy":
      return {
        action: "deploy",
        args: { group: drawn(0, ask.scale.group, one.group), manifest: `sha256:${"0".repeat(64)}` },
      };
  }
}

/** What IAM can tell of a command, rule by rule, said anew: label by label, without policy/'s own comparing. */
function expressible(policy: Policy, asked: Asked): boolean {
  return policy.rules.some((each) => {
    if (each.allow === "scale") return asked.action === "scale" && asked.args.group === each.group;
    if (each.allow === "deploy") return asked.action === "deploy" && asked.args.group === each.group;
    if (each.allow === "issue-certificate") {
      if (asked.action !== "issue-certificate" || asked.args.authority !== each.authority) return false;
      return asked.args.usages.every((usage) => each.usages.includes(usage));
    }
    if (asked.action !== "update-dns" || asked.args.zone !== each.zone) return false;
    const labels = (text: string): string[] => text.split(".").reverse();
    const { name, type, change } = asked.args;
    const named =
      "below" in each.names
        ? labels(name).length > labels(each.names.below).length &&
          labels(each.names.below).every((label, at) => labels(name)[at] === label)
        : each.names.exactly.includes(name);
    return named && each.types.includes(type) && each.changes.includes(change);
  });
}

test("whatever command the policy permits, its calls are allowed; a step aside in what IAM can tell, its change is denied", async () => {
  const at = { vendor: "vendor.example", cluster: "c", ownGroups: [], dryRun: false };
  const seen = { permitted: 0, denied: 0 };
  await fc.assert(
    fc.asyncProperty(policyText, fc.array(asking, { minLength: 12, maxLength: 12 }), async (text, asks) => {
      const policy = policyOf(text);
      const { identity, boundary } = documents(policy);
      for (const ask of asks) {
        const asked = commandOf(policy, ask);
        const permitted = !isRefusal(match(policy, asked, { ...at, place: policy.place }));
        const told = expressible(policy, asked);
        expect(permitted && !told).toBe(false);
        expect(await allowed(identity, changeOf(asked), boundary)).toBe(told);
        if (told) seen.permitted += 1;
        else seen.denied += 1;
        if (!permitted) continue;
        for (const call of readsOf(asked)) expect(await allowed(identity, call, boundary)).toBe(true);
      }
    }),
    { numRuns: 150 },
  );
  // A property that met no permitted command, or no near miss, has looked at nothing.
  expect(seen.permitted).toBeGreaterThan(60);
  expect(seen.denied).toBeGreaterThan(60);
}, 120_000);
