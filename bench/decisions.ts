import { preparsePolicySet, statefulIsAuthorized } from "@cedar-policy/cedar-wasm/nodejs";
import { type Asked, NOBODY } from "../policy/asked.ts";
import { authorize } from "../policy/authorize.ts";
import { match } from "../policy/match.ts";
import { parsePolicy } from "../policy/parse.ts";
import type { Policy } from "../policy/policy.ts";
import { isRefusal } from "../policy/refusal.ts";
import { best, type Effort, type Figure, inTurn, perCall, perSecond, times } from "./figure.ts";

const TARGET_TIMES = 20;
const FLAT_WITHIN = 1.5;
const NOW = 1_795_000_000_000;
const HISTORY = { intents: new Map<string, number[]>(), since: null, revision: 1 };

/** One rule for the asked group, the others for groups of their own. */
export function policyText(rules: number): Uint8Array {
  const text = Array.from(
    { length: rules },
    (_, at) => `  - id: grow-${at}
    why: More load.
    allow: scale
    group: group-${at}
    count: { min: 3, max: 9 }
    change: { up: 2, down: 0 }
    rate: 1000 per hour
    when: always
    approval: none
`,
  ).join("");
  const head = `version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: allowed
rules:
`;
  return new TextEncoder().encode(`${head}${text}tests: []\n`);
}

export function policyOf(rules: number): Policy {
  const parsed = parsePolicy(policyText(rules));
  if ("errors" in parsed) throw new Error(`the bench's policy does not parse: ${parsed.errors[0]?.message}`);
  return parsed.policy;
}

/** Decides twice, once each way, and throws when a decision is not the right one: a fast wrong answer is no figure. */
export function ours(rules: number): () => void {
  const policy = policyOf(rules);
  const group = `group-${rules - 1}`;
  const at = {
    vendor: "vendor.example",
    cluster: "prod-eu-1",
    place: { cloud: "local" as const },
    ownGroups: [],
    dryRun: false,
  };
  const decide = (count: number): boolean => {
    const asked: Asked = { action: "scale", args: { group, count } };
    const matched = match(policy, asked, at);
    if (isRefusal(matched)) return false;
    return authorize(matched, { action: "scale", count: 4 }, HISTORY, NOW, NOBODY).decided === "allowed";
  };
  return () => {
    if (!decide(6) || decide(10)) throw new Error("a wrong decision");
  };
}

function cedars(rules: number): () => void {
  const set = `rules-${rules}`;
  const policies = Array.from(
    { length: rules },
    (_, at) =>
      `permit(principal == Vendor::"vendor.example", action == Action::"scale", resource == Group::"group-${at}") when ` +
      "{ context.count >= 3 && context.count <= 9 && context.count - context.found <= 2 && context.found - context.count <= 0 };",
  );
  const parsed = preparsePolicySet(set, { staticPolicies: policies.join("\n") });
  if (parsed.type !== "success") throw new Error("Cedar does not take the bench's policies");
  const decide = (count: number): boolean => {
    const answer = statefulIsAuthorized({
      principal: { type: "Vendor", id: "vendor.example" },
      action: { type: "Action", id: "scale" },
      resource: { type: "Group", id: `group-${rules - 1}` },
      context: { count, found: 4 },
      preparsedPolicySetId: set,
      entities: [],
    });
    if (answer.type !== "success") throw new Error("Cedar failed");
    return answer.response.decision === "allow";
  };
  return () => {
    if (!decide(6) || decide(10)) throw new Error("a wrong decision of Cedar");
  };
}

const SIZES = [10, 100, 1000] as const;

/** Policy decisions with 10, 100 and 1,000 rules beside Cedar's with policies parsed beforehand; and whether ours stay flat. */
export async function decisions({ quick }: Effort): Promise<Figure[]> {
  const milliseconds = quick ? 40 : 200;
  const rivals: Record<string, () => number> = {};
  for (const rules of SIZES) {
    const [mine, theirs] = [ours(rules), cedars(rules)];
    rivals[`reeve ${rules}`] = () => perCall(mine, milliseconds) / 2;
    rivals[`cedar ${rules}`] = () => perCall(theirs, milliseconds) / 2;
  }
  const taken = await inTurn(rivals, quick ? 5 : 11, best);
  const of = (name: string): number => taken[name] ?? Number.NaN;
  const figures = SIZES.map((rules): Figure => {
    const ratio = of(`cedar ${rules}`) / of(`reeve ${rules}`);
    return {
      what: `policy decisions, ${rules.toLocaleString("en")} rules`,
      ours: perSecond(of(`reeve ${rules}`)),
      beside: `Cedar ${perSecond(of(`cedar ${rules}`))}`,
      ratio: times(ratio),
      target: `at least ${TARGET_TIMES}×`,
      reached: ratio >= TARGET_TIMES,
    };
  });
  const flat = of("reeve 1000") / of("reeve 10");
  figures.push({
    what: "the time of one with 1,000 rules",
    ours: `${of("reeve 1000").toFixed(0)} ns`,
    beside: `with 10: ${of("reeve 10").toFixed(0)} ns`,
    ratio: times(flat),
    target: `flat: within ${FLAT_WITHIN}×`,
    reached: flat <= FLAT_WITHIN,
  });
  return figures;
}
