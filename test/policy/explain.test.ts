import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import type { Asked, Found } from "../../policy/asked.ts";
import { NOBODY } from "../../policy/asked.ts";
import { authorize } from "../../policy/authorize.ts";
import { type Explanation, explain, type Given } from "../../policy/explain/explain.ts";
import { parseAsk, parseGiven } from "../../policy/explain/given.ts";
import { match } from "../../policy/match.ts";
import { loadPolicy } from "../../policy/parse.ts";
import { indexed, type Policy } from "../../policy/policy.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { seenBy } from "../../policy/review/deploy.ts";
import { approvalsFor, ownAt } from "../../policy/review/point.ts";
import { pair, policyOf, trace } from "./review-world.ts";

const EXAMPLE = readFileSync(new URL("./example.yaml", import.meta.url));
function example(): Policy {
  const loaded = loadPolicy(EXAMPLE);
  if ("errors" in loaded) throw new Error("the example does not load");
  return loaded.policy;
}
const policy = example();
const NOW = Date.parse("2026-11-24T09:00:00Z");
const EMPTY = { intents: new Map(), since: null, revision: 0 };
const scale = (count: number): Asked => ({ action: "scale", args: { group: "prod-eu-1-brokers", count } });
const known = (found: Found, more: Partial<Given> = {}): Given => ({
  found,
  history: EMPTY,
  approvals: NOBODY,
  now: NOW,
  ...more,
});
const NOTHING: Given = { found: null, history: EMPTY, approvals: NOBODY, now: NOW };

function fields({ rules }: Explanation, id: string): Record<string, string> {
  const rule = rules.find((one) => one.rule === id);
  return Object.fromEntries(rule?.fields.map(({ field, verdict }) => [field, verdict]) ?? []);
}

/** What the PDP itself says, in explain's words. */
function decided(
  of: Policy,
  asked: Asked,
  given: Given & { found: Found },
): { decision: string; rule: string | null; code: string | null } {
  const matched = match(of, asked, ownAt(of));
  if (isRefusal(matched)) return { decision: "refused", rule: matched.rule ?? null, code: matched.code };
  const decision = authorize(matched, given.found, given.history, given.now, given.approvals);
  if (decision.decided === "refused")
    return { decision: "refused", rule: decision.refusal.rule ?? null, code: decision.refusal.code };
  return { decision: decision.decided === "wait" ? "waits" : "allowed", rule: decision.rule.id, code: null };
}

test("a refusal is told rule by rule and field by field, with what was asked, the limit, and the closest rule", () => {
  const told = explain(policy, scale(12), ownAt(policy), known({ action: "scale", count: 7 }));
  expect([told.decision, told.rule, told.refusal?.code]).toEqual(["refused", "brokers-grow", "policy.count.above-max"]);
  expect(fields(told, "brokers-grow")).toEqual({ count: "no", change: "no", rate: "ok", when: "ok", approval: "ok" });
  expect(told.rules[0]?.fields[1]).toEqual({
    field: "change",
    verdict: "no",
    asked: "from 7 to 12",
    limit: "change: { up: 2, down: 0 }",
    because: "the customer's rule brokers-grow adds at most 2 machines per command, this adds 5",
  });
});

test("without a state, what depends on it is not known, and the decision depends; what no state helps is refused", () => {
  const told = explain(policy, scale(8), ownAt(policy), NOTHING);
  expect(told.decision).toBe("depends");
  expect(fields(told, "brokers-grow")).toEqual({
    count: "ok",
    change: "not known",
    rate: "not known",
    when: "ok",
    approval: "ok",
  });
  expect(fields(told, "brokers-shrink")).toMatchObject({ change: "not known", approval: "waits" });
  expect(explain(policy, scale(12), ownAt(policy), NOTHING).decision).toBe("refused");
  // On a Saturday the rule's window is closed, whatever is found.
  const shrink = indexed({ ...policy, rules: policy.rules.filter(({ id }) => id === "brokers-shrink") });
  const saturday = { ...NOTHING, now: Date.parse("2026-11-28T09:00:00Z") };
  expect(explain(shrink, scale(8), ownAt(policy), saturday)).toMatchObject({
    decision: "refused",
    rule: "brokers-shrink",
  });
});

test("who has approved is told: waits, allowed once enough have, refused once it is too late", () => {
  const wait = (approved: readonly string[], minutes: number): string =>
    explain(
      policy,
      scale(8),
      ownAt(policy),
      known({ action: "scale", count: 9 }, { approvals: { by: new Set(approved), since: NOW - minutes * 60_000 } }),
    ).decision;
  expect([wait([], 1), wait(["alice"], 1), wait(["alice"], 120)]).toEqual(["waits", "allowed", "refused"]);
});

test("a bad certificate request is the request's fault, not a name's or a key's", () => {
  const asked: Asked = {
    action: "issue-certificate",
    args: { authority: "prod-eu-1-ca", usages: ["server"], validity: 3600, csr_sha256: "0".repeat(64) },
  };
  const csr = {
    signatureValid: true,
    subject: "",
    commonName: null,
    sans: [] as { type: string; value: string }[],
    keyType: "P-256",
    extensions: [],
    wantsCa: false,
  };
  const of = (more: Partial<typeof csr>): Record<string, string> =>
    fields(
      explain(
        policy,
        asked,
        ownAt(policy),
        known({ action: "issue-certificate", made: "in-cluster", csr: { ...csr, ...more } }),
      ),
      "broker-certificates",
    );
  const good = [{ type: "dns", value: "b.prod-eu-1.example.com" }];
  expect(of({ sans: good })).toMatchObject({ names: "ok", key: "ok", csr: "ok" });
  expect(of({})).toMatchObject({ names: "ok", key: "ok", csr: "no" });
  expect(of({ sans: [{ type: "dns", value: "*.prod-eu-1.example.com" }] })).toMatchObject({
    names: "ok",
    key: "ok",
    csr: "no",
  });
  expect(of({ sans: good, wantsCa: true })).toMatchObject({ names: "ok", key: "ok", csr: "no" });
  expect(of({ sans: [{ type: "dns", value: "elsewhere.example" }] })).toMatchObject({
    names: "no",
    key: "ok",
    csr: "ok",
  });
  expect(of({ sans: good, keyType: "RSA-1024" })).toMatchObject({ names: "ok", key: "no", csr: "ok" });
});

test("a state is parsed as in a policy's tests, with who has approved and since when; anything else is a fault", () => {
  const state = parseGiven({
    count: 7,
    used: { "brokers-grow": 4 },
    approved: ["alice"],
    waited: "10m",
    log_since: "2026-11-24T08:00:00Z",
  });
  if ("fault" in state) throw new Error(state.fault);
  expect(state.found({ action: "scale", args: { group: "g", count: 1 } }, policy)).toEqual({
    action: "scale",
    count: 7,
  });
  expect(state.at).toBeNull();
  expect(state.history(NOW).intents.get("brokers-grow")).toHaveLength(4);
  expect(state.history(NOW).since).toBe(Date.parse("2026-11-24T08:00:00Z"));
  expect(state.approvals(NOW)).toEqual({ by: new Set(["alice"]), since: NOW - 600_000 });
  for (const bad of [
    {},
    { count: -1 },
    { count: 7, extra: 1 },
    { count: 7, record: "none" },
    [],
    "x",
    null,
    { csr: { names: [] } },
  ]) {
    expect(parseGiven(bad)).toHaveProperty("fault");
  }
  expect(parseAsk({ action: "scale", group: "g", count: 1 })).toEqual({ action: "scale", group: "g", count: 1 });
  expect(parseAsk({ action: "scale", group: "g" })).toBeNull();
});

test("random points: explain's decision is the PDP's, and a rule allows just when the PDP by that rule alone does", () => {
  const seen = { points: 0, allowed: 0, waits: 0, refused: 0 };
  fc.assert(
    fc.property(pair, trace, ([file], { all, start, since, steps }) => {
      const of = policyOf(file);
      if (of === null) return;
      for (const { which, later, consent } of steps) {
        for (const drawn of all.flatMap((kinds) => [kinds[which], kinds[11 - which]])) {
          if (drawn === undefined) continue;
          const { asked, found } = drawn;
          const situation = { asked, found: found.action === "deploy" ? seenBy(of, ownAt(of), found) : found };
          if (!of.rules.some(({ allow }) => allow === situation.asked.action)) continue;
          const now = start + later;
          const intents = new Map(
            of.rules.map(({ id }, at) => [id, new Array<number>((which + at) % 4).fill(now - 1)]),
          );
          const history = { intents, since: since === null ? null : now - since, revision: 0 };
          const given = { found: situation.found, history, approvals: approvalsFor(of, consent, now), now };
          const told = explain(of, situation.asked, ownAt(of), given);
          const pdp = decided(of, situation.asked, given);
          seen.points += 1;
          seen[told.decision === "depends" ? "refused" : told.decision] += 1;
          expect({ decision: told.decision, rule: told.rule, code: told.refusal?.code ?? null } as object).toEqual(pdp);
          for (const { rule, verdict } of told.rules) {
            const alone = indexed({ ...of, rules: of.rules.filter(({ id }) => id === rule), tests: [] });
            const words = { allowed: "allows", waits: "waits", refused: "refuses" } as Record<string, string>;
            expect<string | undefined>(verdict).toBe(words[decided(alone, situation.asked, given).decision]);
          }
          // Without the state no rule is said to refuse that some state would let permit this very command.
          const unknown = explain(of, situation.asked, ownAt(of), { ...given, found: null, history: EMPTY });
          if (pdp.decision !== "refused") expect(unknown.decision).toBe("depends");
        }
      }
    }),
    { numRuns: 300 },
  );
  expect(seen.points).toBeGreaterThan(2000);
  expect(Math.min(seen.allowed, seen.waits, seen.refused)).toBeGreaterThan(15);
}, 120_000);
