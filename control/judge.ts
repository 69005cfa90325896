import type { Asked, CsrFacts, Found, History, ManifestFacts } from "../policy/asked.ts";
import { NOBODY } from "../policy/asked.ts";
import { type Asks, authorize, type Decision } from "../policy/authorize.ts";
import { MAX_COUNT } from "../policy/limits.ts";
import { manifestPlace } from "../policy/manifest.ts";
import { type Matched, match } from "../policy/match.ts";
import type { Policy, Rule } from "../policy/policy.ts";
import { type Refusal, refuse } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";

/** What a cluster's agent would say, as far as it can be known here. Pure; the policy's own code decides. */
export type Verdict =
  | { readonly answer: "allow"; readonly rule: string }
  | { readonly answer: "wait"; readonly rule: string; readonly approval: Asks }
  | { readonly answer: "refuse"; readonly refusal: Refusal }
  /** Some states permit it and others do not: `best` is said in the most favourable. */
  | { readonly answer: "depends"; readonly best: "allow" | "wait"; readonly rule: string };

/** The agent's own place is not known here: the policy's is taken, and the groups that the agent runs in are left to it. */
export function matchAt(policy: Policy, asked: Asked, vendor: string, cluster: string): Matched | Refusal {
  return match(policy, asked, { vendor, cluster, place: policy.place, ownGroups: [], dryRun: false });
}

/** `found` null: not known. Then all states in which rules differ are tried: what holds in each of them holds. */
export function judge(matched: Matched, found: Found | "unreadable" | null, history: History, now: number): Verdict {
  if (found === "unreadable") return { answer: "refuse", refusal: unreadable(matched.asked) };
  const states = found === null ? possible(matched) : [found];
  const verdicts = states.map((state) => verdictOf(authorize(matched, state, history, now, NOBODY)));
  const [best] = verdicts.toSorted((a, b) => RANK[a.answer] - RANK[b.answer]);
  if (best === undefined) throw new Error("a matched command has no state to be judged in");
  if (verdicts.every(({ answer }) => answer === best.answer)) return best;
  return best.answer === "refuse" ? best : { answer: "depends", best: best.answer, rule: best.rule };
}

type Sure = Exclude<Verdict, { answer: "depends" }>;
const RANK: Readonly<Record<Sure["answer"], number>> = { allow: 0, wait: 1, refuse: 2 };

function verdictOf(decision: Decision): Sure {
  switch (decision.decided) {
    case "allowed":
      return { answer: "allow", rule: decision.rule.id };
    case "wait":
      return { answer: "wait", rule: decision.rule.id, approval: decision.approval };
    case "refused":
      return { answer: "refuse", refusal: decision.refusal };
  }
}

function unreadable(asked: Asked): Refusal {
  const because =
    "the certificate request is not one PKCS #10 structure that can be read surely, or holds too many names";
  return refuse("policy.csr.unreadable", cannotOf(asked), because, "Write it with `openssl req -new`.", {
    field: "csr",
  });
}

/** States between which a decision can change, the most favourable first: when all refuse, its refusal is not about the state. */
function possible({ asked, rules, policy }: Matched): readonly Found[] {
  switch (asked.action) {
    case "scale":
      // What a rule lets be changed is one range around the count that is asked for: its middle and both ends tell all.
      return [asked.args.count, 0, MAX_COUNT].map((count) => ({ action: "scale", count }));
    case "update-dns": {
      const none: Found = { action: "update-dns", record: null };
      const there: Found = { action: "update-dns", record: { values: [], ttl: 0 } };
      return asked.args.change === "create" ? [none, there] : [there, none];
    }
    case "deploy":
      return manifestsFor(asked, rules, policy);
    case "issue-certificate": {
      const made = asked.args.csr === undefined ? "in-cluster" : "by-vendor";
      const good = rules.flatMap((rule) => {
        if (rule.allow !== "issue-certificate") return [];
        const name = "below" in rule.names ? `a.${rule.names.below}` : (rule.names.exactly[0] ?? "");
        return [
          {
            ...NO_REQUEST,
            signatureValid: true,
            sans: [{ type: "dns", value: name }],
            keyType: rule.key.type[0] ?? "",
          },
        ];
      });
      return [...good, NO_REQUEST].map((csr) => ({ action: "issue-certificate", csr, made }));
    }
  }
}

/** A manifest that each of the rules permits, and one that nobody signed. */
function manifestsFor(
  { args }: Extract<Asked, { action: "deploy" }>,
  rules: readonly Rule[],
  policy: Policy,
): readonly Found[] {
  const unsigned: ManifestFacts = {
    digest: args.manifest,
    signedBy: [],
    cluster: policy.cluster,
    place: manifestPlace(policy.place),
    policy: null,
    version: "0.0.0",
    group: { image: args.group, digest: args.manifest },
  };
  const good = rules.flatMap((rule) =>
    rule.allow === "deploy" ? [{ ...unsigned, signedBy: rule.signers.by, version: rule.version.min }] : [],
  );
  return [...good, unsigned].map((manifest) => ({ action: "deploy", manifest, image: null, count: 1 }));
}

/** A request that no rule permits. */
const NO_REQUEST: CsrFacts = {
  signatureValid: false,
  subject: "",
  commonName: null,
  sans: [],
  keyType: "none",
  extensions: [],
  wantsCa: false,
};
