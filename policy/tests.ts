import { type Asked, type Found, NOBODY } from "./asked.ts";
import { authorize } from "./authorize.ts";
import { manifestPlace } from "./manifest.ts";
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

type Ask = PolicyTest["ask"];
type Made = "in-cluster" | "by-vendor";

/** The command that a test asks for. Of a certificate's request it says only where it was made. */
export function askedOf(ask: Ask, made: Made): Asked {
  switch (ask.action) {
    case "scale":
      return { action: "scale", args: { group: ask.group, count: ask.count } };
    case "issue-certificate": {
      const { authority, usages, validity } = ask;
      const request = made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) };
      return { action: "issue-certificate", args: { authority, usages, validity, ...request } };
    }
    case "update-dns": {
      const { action, ...args } = ask;
      return { action, args };
    }
    case "deploy":
      return { action: "deploy", args: { group: ask.group, manifest: ask.manifest ?? SOME_MANIFEST } };
  }
}

/** Of a test that does not say which manifest it asks for. */
const SOME_MANIFEST = `sha256:${"0".repeat(64)}`;

type GivenState =
  | Pick<Extract<PolicyTest["given"], { count: number }>, "count">
  | Pick<Extract<PolicyTest["given"], { csr: unknown }>, "csr">
  | Pick<Extract<PolicyTest["given"], { record: unknown }>, "record">
  | Pick<Extract<PolicyTest["given"], { manifest: unknown }>, "manifest">;

/** What a test says was found, for what it asks of the policy. */
export function foundOf(given: GivenState, asked: Asked, policy: Policy): Found {
  if ("manifest" in given) return deployFound(given.manifest, asked, policy);
  if ("count" in given) return { action: "scale", count: given.count };
  if ("record" in given) return { action: "update-dns", record: given.record === "none" ? null : given.record };
  const { names, key, made, common_name, ca } = given.csr;
  return {
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
  };
}

type GivenManifest = Extract<PolicyTest["given"], { manifest: unknown }>["manifest"];

/** What is not said of the manifest is as this cluster has it. Of a command of another action there is no group. */
function deployFound(given: GivenManifest, asked: Asked, policy: Policy): Found {
  const { group, manifest: digest } = asked.action === "deploy" ? asked.args : { group: "", manifest: SOME_MANIFEST };
  const named = (given.groups ?? [group]).includes(group);
  return {
    action: "deploy",
    manifest: {
      digest,
      signedBy: given.signed_by,
      cluster: given.cluster ?? policy.cluster,
      place: given.place ?? manifestPlace(policy.place),
      policy: given.policy ?? null,
      version: given.version,
      group: named ? { image: group, digest } : null,
    },
    image: null,
    count: 1,
  };
}

type Outcome = { readonly how: "allow" | "wait" | "refuse"; readonly what: string; readonly words: string };

function refused(refusal: Refusal): Outcome {
  const what = refusal.field ?? "no-rule";
  return { how: "refuse", what, words: `refuse: ${what} (${refusal.because})` };
}

function decide(policy: Policy, test: PolicyTest): Outcome {
  const asked = askedOf(test.ask, "csr" in test.given ? test.given.csr.made : "in-cluster");
  const found = foundOf(test.given, asked, policy);
  if (found.action !== asked.action) throw new Error("a test's given and ask were not checked");
  const { vendor, cluster } = policy;
  // A dry run takes the same road: its switch is not what a test is about.
  const matched = match(policy, asked, { vendor, cluster, place: policy.place, ownGroups: [], dryRun: false });
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
