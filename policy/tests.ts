import { type Asked, type Found, NOBODY } from "./asked.ts";
import { authorize } from "./authorize.ts";
import { match } from "./match.ts";
import type { Policy, PolicyTest } from "./policy.ts";
import { isRefusal, type Refusal } from "./refusal.ts";

/** The tests in a policy file. None reads the clock: each says its time and what was found. */
export type TestFailure = {
  /** Its place in `tests`, from 0. */
  readonly test: number;
  readonly expected: string;
  readonly decided: string;
};

type Situation = { readonly asked: Asked; readonly found: Found };

function situationOf(test: PolicyTest): Situation {
  if ("count" in test.given) {
    if (test.ask.action !== "scale") throw new Error("a test's given and ask were not checked");
    const { group, count } = test.ask;
    return { asked: { action: "scale", args: { group, count } }, found: { action: "scale", count: test.given.count } };
  }
  if ("csr" in test.given) {
    if (test.ask.action !== "issue-certificate") throw new Error("a test's given and ask were not checked");
    const { names, key, made, common_name, ca } = test.given.csr;
    const { authority, usages, validity } = test.ask;
    const request = made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) };
    return {
      asked: { action: "issue-certificate", args: { authority, usages, validity, ...request } },
      found: {
        action: "issue-certificate",
        made,
        csr: {
          signatureValid: true,
          subject: common_name === undefined ? "" : `CN=${common_name}`,
          commonName: common_name ?? null,
          sans: names.map((value) => ({ type: "dns", value })),
          keyType: key,
          extensions: [],
          wantsCa: ca ?? false,
        },
      },
    };
  }
  if (test.ask.action !== "update-dns") throw new Error("a test's given and ask were not checked");
  const { action, ...args } = test.ask;
  const record = test.given.record === "none" ? null : test.given.record;
  return { asked: { action, args }, found: { action, record } };
}

type Outcome = { readonly how: "allow" | "wait" | "refuse"; readonly what: string; readonly words: string };

function refused(refusal: Refusal): Outcome {
  const what = refusal.field ?? "no-rule";
  return { how: "refuse", what, words: `refuse: ${what} (${refusal.because})` };
}

function decide(policy: Policy, test: PolicyTest): Outcome {
  const { asked, found } = situationOf(test);
  const { vendor, cluster } = policy;
  // A dry run takes the same road: its switch is not what a test is about.
  const matched = match(policy, asked, { vendor, cluster, cloud: policy.place.cloud, ownGroups: [], dryRun: false });
  if (isRefusal(matched)) return refused(matched);
  const { at, used = {} } = test.given;
  const intents = new Map(Object.entries(used).map(([rule, times]) => [rule, new Array<number>(times).fill(at)]));
  const decision = authorize(matched, found, { intents, since: null, revision: policy.revision }, at, NOBODY);
  if (decision.decided === "refused") return refused(decision.refusal);
  const how = decision.decided === "wait" ? "wait" : "allow";
  return { how, what: decision.rule.id, words: `${how}: ${decision.rule.id}` };
}

/** Runs the file's tests; the failures, in their order. */
export function runTests(policy: Policy): readonly TestFailure[] {
  const failures: TestFailure[] = [];
  for (const [at, test] of policy.tests.entries()) {
    const outcome = decide(policy, test);
    if (test[outcome.how] === outcome.what) continue;
    const expected = (["allow", "wait", "refuse"] as const)
      .filter((how) => test[how] !== undefined)
      .map((how) => `${how}: ${test[how]}`)
      .join();
    failures.push({ test: at, expected, decided: outcome.words });
  }
  return failures;
}
