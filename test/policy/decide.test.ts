import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Approvals, type Asked, type CsrFacts, type Found, type History, NOBODY } from "../../policy/asked.ts";
import { authorize, checkRevision, type Decision } from "../../policy/authorize.ts";
import { parseTime } from "../../policy/duration.ts";
import { type At, match } from "../../policy/match.ts";
import { parsePolicy } from "../../policy/parse.ts";
import type { Policy } from "../../policy/policy.ts";
import { isRefusal, type Refusal } from "../../policy/refusal.ts";

const EXAMPLE = readFileSync(new URL("./example.yaml", import.meta.url), "utf8");
function policyOf(text: string): Policy {
  const parsed = parsePolicy(new TextEncoder().encode(text));
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
  return parsed.policy;
}
const policy = policyOf(EXAMPLE);
const AT: At = {
  vendor: "vendor.example",
  cluster: "prod-eu-1",
  place: { cloud: "local" },
  ownGroups: [],
  dryRun: false,
};
const NOW = parseTime("2026-11-24T09:00:00Z") ?? 0;
const EMPTY: History = { intents: new Map(), since: null, revision: 0 };

const scale = (count: number, group = "prod-eu-1-brokers"): Asked => ({ action: "scale", args: { group, count } });
const machines = (count: number): Found => ({ action: "scale", count });

function decide(
  asked: Asked,
  found: Found,
  history = EMPTY,
  now = NOW,
  by = policy,
  at = AT,
  approvals: Approvals = NOBODY,
): Decision {
  const matched = match(by, asked, at);
  return isRefusal(matched)
    ? { decided: "refused", refusal: matched }
    : authorize(matched, found, history, now, approvals);
}
function refusal(decision: Decision): Refusal {
  if (decision.decided !== "refused") throw new Error(`${decision.decided} by ${decision.rule.id}`);
  return decision.refusal;
}
function ruleOf(decision: Decision): string {
  if (decision.decided === "refused") throw new Error(decision.refusal.because);
  return `${decision.decided} ${decision.rule.id}`;
}

test("over the maximum: the refusal says rule, field, limit and what to ask for, in the design's words", () => {
  const refused = match(policy, scale(12), AT);
  if (!isRefusal(refused)) throw new Error("matched");
  expect(refused).toMatchObject({
    code: "policy.count.above-max",
    cannot: "scale prod-eu-1-brokers to 12",
    because: "the customer's rule brokers-grow allows at most 9",
    hint: "Ask for 9 or fewer, or ask prod-eu-1's owner to raise count.max in brokers-grow.",
    asked: "12",
    limit: "count: { min: 3, max: 9 }",
    rule: "brokers-grow",
    field: "count",
  });
  expect(refusal(decide(scale(2), machines(3))).code).toBe("policy.count.below-min");
});

test("another vendor, cluster, cloud, a dry run that is refused and the agent's own group match nothing", () => {
  const code = (at: Partial<At>, by = policy): string =>
    refusal(decide(scale(8), machines(7), EMPTY, NOW, by, { ...AT, ...at })).code;
  expect(code({ vendor: "other.example" })).toBe("match.vendor");
  expect(code({ cluster: "prod-eu-2" })).toBe("match.cluster");
  expect(code({ place: { cloud: "aws", account: "111122223333", region: "eu-west-1" } })).toBe("match.place");
  expect(code({ ownGroups: ["prod-eu-1-brokers"] })).toBe("match.own-group");
  expect(code({ dryRun: true }, policyOf(EXAMPLE.replace("dry_run: allowed", "dry_run: refused")))).toBe(
    "match.dry-run",
  );
  expect(ruleOf(decide(scale(8), machines(7), EMPTY, NOW, policy, { ...AT, dryRun: true }))).toBe(
    "allowed brokers-grow",
  );
});

test("a resource that no rule names is refused, also one that differs by its case or its end", () => {
  for (const group of [
    "prod-eu-1-broker",
    "prod-eu-1-brokers2",
    "Prod-eu-1-brokers",
    "prod-eu-1-brokers.",
    "__proto__",
  ]) {
    expect(refusal(decide(scale(8, group), machines(7))).code).toBe("match.no-rule");
  }
});

test("change is judged by what was found: up and down apart", () => {
  expect(ruleOf(decide(scale(9), machines(7)))).toBe("allowed brokers-grow");
  expect(refusal(decide(scale(9), machines(6)))).toMatchObject({ code: "policy.change.up", found: "6", asked: "9" });
  expect(ruleOf(decide(scale(8), machines(9)))).toBe("wait brokers-shrink");
  const down = policyOf(EXAMPLE.replace("change: { up: 2, down: 0 }", "change: { up: 2, down: 1 }"));
  expect(ruleOf(decide(scale(8), machines(9), EMPTY, NOW, down))).toBe("allowed brokers-grow");
  expect(refusal(decide(scale(6), machines(9), EMPTY, NOW, down)).code).toBe("policy.change.down");
});

test("a rate slides over intents: the one that leaves the window makes room", () => {
  const hour = 3600_000;
  const history = (...times: number[]): History => ({ ...EMPTY, intents: new Map([["brokers-grow", times]]) });
  const four = [NOW - hour + 1, NOW - 3, NOW - 2, NOW - 1];
  const refused = refusal(decide(scale(8), machines(7), history(...four)));
  expect(refused).toMatchObject({
    code: "policy.rate",
    field: "rate",
    rule: "brokers-grow",
    limit: "rate: 4 per hour",
  });
  expect(refused.hint).toContain("2026-11-24T09:00:01Z".slice(0, 16));
  expect(ruleOf(decide(scale(8), machines(7), history(NOW - hour, NOW - 3, NOW - 2, NOW - 1)))).toBe(
    "allowed brokers-grow",
  );
  // Intents of another rule do not count, a time in the future does.
  const other: History = { ...EMPTY, intents: new Map([["brokers-shrink", four]]) };
  expect(ruleOf(decide(scale(8), machines(7), other))).toBe("allowed brokers-grow");
  expect(refusal(decide(scale(8), machines(7), history(...four.map((time) => time + 2 * hour)))).code).toBe(
    "policy.rate",
  );
});

test("what the log does not remember counts as used up until the window has passed", () => {
  const since = (time: number): History => ({ ...EMPTY, since: time });
  expect(refusal(decide(scale(8), machines(7), since(NOW - 3600_000 + 1))).code).toBe("policy.rate");
  expect(ruleOf(decide(scale(8), machines(7), since(NOW - 3600_000)))).toBe("allowed brokers-grow");
});

test("outside its window a rule does not permit", () => {
  const text = EXAMPLE.replace("when: always", "when: Mon-Fri 08:00-09:30 Europe/Berlin");
  const refused = refusal(decide(scale(8), machines(7), EMPTY, NOW, policyOf(text)));
  expect(refused).toMatchObject({
    code: "policy.when",
    rule: "brokers-grow",
    limit: "when: Mon-Fri 08:00-09:30 Europe/Berlin",
  });
});

test("approvals count only by people whom the rule names, as many as it needs, and only in time", () => {
  const two = policyOf(
    EXAMPLE.replace("by: [alice, bob], need: 1, within: 2h", "by: [alice, bob], need: 2, within: 2h"),
  );
  const ask = (by: string[], waited: number | null, file = policy): string => {
    const since = waited === null ? null : NOW - waited;
    const decision = decide(scale(8), machines(9), EMPTY, NOW, file, AT, { by: new Set(by), since });
    return decision.decided === "refused" ? decision.refusal.code : ruleOf(decision);
  };
  const hours = 3_600_000;
  expect(ask(["alice"], hours)).toBe("allowed brokers-shrink");
  expect(ask(["carol"], hours)).toBe("wait brokers-shrink");
  expect(ask(["alice"], null)).toBe("wait brokers-shrink");
  expect(ask(["alice"], 2 * hours - 1)).toBe("allowed brokers-shrink");
  expect(ask(["alice"], 2 * hours)).toBe("policy.approval.needs-approval");
  expect(ask(["alice"], 1, two)).toBe("wait brokers-shrink");
  expect(ask(["alice", "carol"], 1, two)).toBe("wait brokers-shrink");
  const both = decide(scale(8), machines(9), EMPTY, NOW, two, AT, { by: new Set(["bob", "alice"]), since: NOW - 1 });
  expect(both).toMatchObject({ decided: "allowed", approvedBy: ["alice", "bob"] });
  const late = refusal(decide(scale(8), machines(9), EMPTY, NOW, two, AT, { by: new Set(["bob"]), since: 0 }));
  expect(late).toMatchObject({
    rule: "brokers-shrink",
    field: "approval",
    limit: "approval: { by: [alice, bob], need: 2, within: 2h }",
  });
});

test("of two rules that fail by change, the refusal names the one that allows more: a shrink is not told to raise the rule that grows", () => {
  const two = refusal(decide(scale(7), machines(9)));
  expect(two).toMatchObject({ code: "policy.change.down", rule: "brokers-shrink" });
  expect(two.hint).toBe("Ask for 8 or more, or ask prod-eu-1's owner to raise change.down in brokers-shrink.");
  expect(refusal(decide(scale(9), machines(6)))).toMatchObject({ code: "policy.change.up", rule: "brokers-grow" });
});

test("a policy for one account and region permits nothing in another, whatever the names", () => {
  const aws = (account: string, region: string) => ({ cloud: "aws" as const, account, region });
  const file = policyOf(
    EXAMPLE.replace("place: { cloud: local }", 'place: { cloud: aws, account: "111122223333", region: eu-west-1 }'),
  );
  const decided = (place: At["place"]): string => {
    const decision = decide(scale(9), machines(8), EMPTY, NOW, file, { ...AT, place });
    return decision.decided === "refused" ? `${decision.refusal.code}: ${decision.refusal.because}` : ruleOf(decision);
  };
  expect(decided(aws("111122223333", "eu-west-1"))).toBe("allowed brokers-grow");
  expect(decided(aws("444455556666", "eu-west-1"))).toContain(
    "match.place: the customer's policy is for the account 111122223333, this agent works in 444455556666",
  );
  expect(decided(aws("111122223333", "us-east-1"))).toContain(
    "is for the region eu-west-1, this agent works in us-east-1",
  );
  expect(decided({ cloud: "local" })).toContain("is for the cloud aws, this agent works in local");
});

test("an approval does not lift any other field of its rule", () => {
  const approved = (now: number): Approvals => ({ by: new Set(["alice", "bob"]), since: now - 1 });
  const ask = (count: number, now: number, history = EMPTY): string =>
    decide(scale(count), machines(9), history, now, policy, AT, approved(now)).decided;
  const night = NOW + 12 * 3_600_000;
  expect([ask(8, NOW), ask(7, NOW), ask(8, night)]).toEqual(["allowed", "refused", "refused"]);
  const used: History = { ...EMPTY, intents: new Map([["brokers-shrink", [NOW - 1]]]) };
  expect(ask(8, NOW, used)).toBe("refused");
});

test("allowed beats waiting, waiting beats refused, and the first id wins among equals", () => {
  const open = EXAMPLE.replace("approval: { by: [alice, bob], need: 1, within: 2h }", "approval: none");
  const rule = (id: string, approval: string): string =>
    `  - { id: ${id}, why: x, allow: scale, group: g, count: { min: 0, max: 9 }, change: { up: 9, down: 9 }, rate: 1 per hour, when: always, approval: ${approval} }\n`;
  const waits = "{ by: [alice], need: 1, within: 1h }";
  const add = (...rules: string[]): Policy => policyOf(open.replace("rules:\n", `rules:\n${rules.join("")}`));
  const ask = (by: Policy): string => ruleOf(decide(scale(5, "g"), machines(4), EMPTY, NOW, by));
  expect(ask(add(rule("b", "none"), rule("a", waits)))).toBe("allowed b");
  expect(ask(add(rule("b", waits), rule("a", waits)))).toBe("wait a");
  expect(ask(add(rule("c", "none"), rule("b", "none")))).toBe("allowed b");
  const used: History = { ...EMPTY, intents: new Map([["b", [NOW - 1]]]) };
  expect(ruleOf(decide(scale(5, "g"), machines(4), used, NOW, add(rule("b", "none"), rule("a", waits))))).toBe(
    "wait a",
  );
});

test("a lower revision than the log has seen is refused, the same and a higher one are not", () => {
  expect(checkRevision(policy, { revision: 8 }, "x")?.code).toBe("policy.revision");
  expect(checkRevision(policy, { revision: 7 }, "x")).toBeNull();
  expect(checkRevision(policy, { revision: 0 }, "x")).toBeNull();
});

const CSR: CsrFacts = {
  signatureValid: true,
  subject: "",
  commonName: null,
  sans: [{ type: "dns", value: "b1.prod-eu-1.example.com" }],
  keyType: "P-256",
  extensions: [],
  wantsCa: false,
};
const certificate = (more: object = {}): Asked => ({
  action: "issue-certificate",
  args: { authority: "prod-eu-1-ca", csr_sha256: "0".repeat(64), usages: ["server"], validity: 86400, ...more },
});
const request = (more: Partial<CsrFacts>, made: "in-cluster" | "by-vendor" = "in-cluster"): Found => ({
  action: "issue-certificate",
  made,
  csr: { ...CSR, ...more },
});
const dns = (...names: string[]): CsrFacts["sans"] => names.map((value) => ({ type: "dns", value }));

test("a certificate request that asks for permitted names alone is permitted", () => {
  expect(ruleOf(decide(certificate(), request({})))).toBe("allowed broker-certificates");
  const named = { subject: "CN=b1.prod-eu-1.example.com", commonName: "b1.prod-eu-1.example.com" };
  expect(ruleOf(decide(certificate(), request(named)))).toBe("allowed broker-certificates");
});

const good = CSR.sans;
const BAD_REQUESTS: readonly (readonly [string, Partial<CsrFacts>, string])[] = [
  ["a bad signature", { signatureValid: false }, "policy.csr.signature"],
  ["CA:TRUE", { wantsCa: true, extensions: ["2.5.29.19"] }, "policy.csr.extension"],
  ["CA:TRUE that is not listed", { wantsCa: true }, "policy.csr.extension"],
  ["basicConstraints", { extensions: ["2.5.29.19"] }, "policy.csr.extension"],
  ["nameConstraints", { extensions: ["2.5.29.30"] }, "policy.csr.extension"],
  ["no SAN", { sans: [] }, "policy.csr.san"],
  ["an IP SAN", { sans: [...good, { type: "ip", value: "10.20.0.1" }] }, "policy.csr.san"],
  ["a URI SAN", { sans: [...good, { type: "url", value: "spiffe://x/y" }] }, "policy.csr.san"],
  ["an e-mail SAN", { sans: [...good, { type: "email", value: "a@b.prod-eu-1.example.com" }] }, "policy.csr.san"],
  ["a wildcard", { sans: dns("*.prod-eu-1.example.com") }, "policy.csr.san"],
  ["an upper-case name", { sans: dns("B1.prod-eu-1.example.com") }, "policy.csr.san"],
  ["a trailing dot", { sans: dns("b1.prod-eu-1.example.com.") }, "policy.csr.san"],
  ["NUL", { sans: dns("evil.example\0.prod-eu-1.example.com") }, "policy.csr.san"],
  ["an empty label", { sans: dns("b1..prod-eu-1.example.com") }, "policy.csr.san"],
  ["an empty name", { sans: dns("") }, "policy.csr.san"],
  ["the name itself", { sans: dns("prod-eu-1.example.com") }, "policy.names"],
  ["a name that only ends alike", { sans: dns("evilprod-eu-1.example.com") }, "policy.names"],
  ["one name outside among good ones", { sans: [...good, ...dns("evil.example")] }, "policy.names"],
  ["a CN that is no SAN", { subject: "CN=evil.example", commonName: "evil.example" }, "policy.csr.subject"],
  [
    "a subject of more than a CN",
    { subject: "O=x,CN=b1.prod-eu-1.example.com", commonName: null },
    "policy.csr.subject",
  ],
  ["another key type", { keyType: "RSA-2048" }, "policy.key.type"],
  ["a weak key", { keyType: "RSA-1024" }, "policy.key.type"],
];
for (const [name, facts, code] of BAD_REQUESTS) {
  test(`a certificate request with ${name} is refused as ${code}`, () => {
    expect(refusal(decide(certificate(), request(facts))).code as string).toBe(code);
  });
}

test("a certificate's usages, validity and the key's maker are judged by the command, and the maker again by the file", () => {
  const code = (asked: Asked, found = request({})): string => refusal(decide(asked, found)).code;
  expect(code(certificate({ usages: ["client"] }))).toBe("policy.usages");
  expect(code(certificate({ usages: ["server", "client"] }))).toBe("policy.usages");
  expect(code(certificate({ validity: 31 * 86400 }))).toBe("policy.validity.above-max");
  expect(code(certificate({ validity: 60 }))).toBe("policy.validity.below-min");
  expect(code(certificate({ csr_sha256: undefined, csr: "AAAA" }), request({}, "by-vendor"))).toBe("policy.key.made");
  expect(code(certificate(), request({}, "by-vendor"))).toBe("policy.key.made");
});

const record = (more: object = {}): Asked => ({
  action: "update-dns",
  args: {
    zone: "prod-eu-1.example.com",
    name: "b1.brokers.prod-eu-1.example.com",
    type: "A",
    change: "create",
    values: ["10.20.3.4"],
    ttl: 60,
    ...more,
  },
});
const noRecord: Found = { action: "update-dns", record: null };
const someRecord: Found = { action: "update-dns", record: { values: ["10.20.3.4"], ttl: 60 } };

test("a DNS change inside all fields is permitted; create never overwrites and replace never creates", () => {
  expect(ruleOf(decide(record(), noRecord))).toBe("allowed broker-dns");
  expect(ruleOf(decide(record({ change: "replace" }), someRecord))).toBe("allowed broker-dns");
  expect(refusal(decide(record(), someRecord)).because).toContain("is there already");
  expect(refusal(decide(record({ change: "replace" }), noRecord))).toMatchObject({ code: "policy.changes" });
});

const BAD_RECORDS: readonly (readonly [string, object, string])[] = [
  ["another zone", { zone: "example.com" }, "match.no-rule"],
  ["delete", { change: "delete", values: [] }, "policy.changes"],
  ["the name itself", { name: "brokers.prod-eu-1.example.com" }, "policy.names"],
  ["a name outside", { name: "b1.prod-eu-1.example.com" }, "policy.names"],
  ["a name that only ends alike", { name: "evilbrokers.prod-eu-1.example.com" }, "policy.names"],
  ["a wildcard", { name: "*.brokers.prod-eu-1.example.com" }, "policy.names"],
  ["another type", { type: "TXT", values: ["x"] }, "policy.types"],
  ["a value outside", { values: ["10.21.0.1"] }, "policy.values"],
  ["one value outside among good ones", { values: ["10.20.0.1", "10.21.0.1"] }, "policy.values"],
  ["a value in another spelling", { values: ["10.20.0.01"] }, "policy.values"],
  ["an IPv6 value for A", { values: ["2001:db8::1"] }, "policy.values"],
  ["an IPv4 value for AAAA", { type: "AAAA" }, "policy.values"],
  ["a long ttl", { ttl: 3601 }, "policy.ttl.above-max"],
  ["a short ttl", { ttl: 29 }, "policy.ttl.below-min"],
];
for (const [name, more, code] of BAD_RECORDS) {
  test(`a DNS change with ${name} is refused as ${code}`, () => {
    expect(refusal(decide(record(more), noRecord)).code as string).toBe(code);
  });
}

test("the closest rule is the one most of whose fields passed", () => {
  const rule = (id: string, more: string): string =>
    `  - { id: ${id}, why: x, allow: update-dns, zone: z, changes: [create], ${more}, types: [A], values: { within: [10.0.0.0/8] }, ttl: { min: 1s, max: 1h }, rate: 1 per hour, when: always, approval: none }\n`;
  const both = policyOf(
    EXAMPLE.replace(
      "rules:\n",
      `rules:\n${rule("a", "names: { below: other.example }")}${rule("b", "names: { below: b.example }")}`,
    ),
  );
  const asked = record({ zone: "z", name: "x.b.example", values: ["11.0.0.1"] });
  expect(refusal(decide(asked, noRecord, EMPTY, NOW, both))).toMatchObject({ rule: "b", field: "values" });
});

test("whatever long names a command holds, its refusal stays within what an entry takes", () => {
  const group = "g".repeat(2048);
  const long = policyOf(EXAMPLE.replaceAll("prod-eu-1-brokers", group));
  for (const refused of [
    refusal(decide(scale(12, group), machines(7), EMPTY, NOW, long)),
    refusal(decide(scale(8, "x".repeat(2048)), machines(7))),
  ]) {
    expect(refused.because.length).toBeLessThanOrEqual(512);
    expect(refused.hint.length).toBeLessThanOrEqual(512);
    expect(refused.cannot.length).toBeLessThanOrEqual(256);
  }
});

test("a found state of another action is our own mistake, and throws", () => {
  expect(() => decide(scale(8), noRecord)).toThrow("different actions");
});
