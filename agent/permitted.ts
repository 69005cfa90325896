import { authorize, checkRevision } from "../policy/authorize.ts";
import { type Matched, match } from "../policy/match.ts";
import type { Rule } from "../policy/policy.ts";
import { isRefusal } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";
import type { NamedManifest } from "./artifacts/manifest.ts";
import type { Entry } from "./audit/entry.ts";
import { worksIn } from "./config.ts";
import { deployFound, deployOfIntent } from "./deploy.ts";
import { decisionTime, type Road, recordNewer } from "./road.ts";
import type { CommandClaims } from "./wire/command.ts";

type Intent = Extract<Entry, { kind: "intent" }>;

/**
 * What `match` says at this moment to a command that has its intent already: what an interrupted execution left is touched only while the
 * owner's switch is on and the policy would still permit it. A rule that was taken out takes this too.
 */
export function stillMatches(claims: CommandClaims, road: Road): Matched | null {
  if (road.suspended() !== null) return null;
  const cannot = cannotOf(claims);
  const read = road.readPolicy(cannot);
  if ("refusal" in read || checkRevision(read.policy, road.history(), cannot) !== null) return null;
  recordNewer(read, road);
  const { cluster, provider, config } = road;
  const at = { vendor: claims.iss, cluster, place: worksIn(config), ownGroups: provider.ownGroups, dryRun: false };
  const matched = match(read.policy, claims, at);
  return isRefusal(matched) ? null : matched;
}

/** Whether an interrupted deploy may be gone on with as far as is known without its manifest: its key and its time count, too. */
export function mayGoOn(intent: Intent, claims: CommandClaims, road: Road): Matched | null {
  if (claims.exp * 1000 <= decisionTime(road) || !road.commandKeys().has(intent.by.key)) return null;
  const matched = stillMatches(claims, road);
  // The intent names the rule that permits it: no other takes its place.
  const rules = matched?.rules.filter(({ id }) => id === intent.allowed.rule) ?? [];
  return matched === null || rules.length === 0 ? null : { ...matched, rules };
}

/**
 * The rule, where it still permits the deploy by the manifest as it is judged now. What was used up and asked for when the intent was
 * written is not asked for again: its rate, and the yes of the people whom it names.
 */
export function stillPermits(intent: Intent, claims: CommandClaims, named: NamedManifest, road: Road): Rule | null {
  const matched = mayGoOn(intent, claims, road);
  if (matched === null || claims.action !== "deploy") return null;
  const now = decisionTime(road);
  const { state } = deployOfIntent(claims.args, intent.found);
  const history = { intents: new Map(), since: null, revision: road.history().revision };
  const approvals = { by: new Set((intent.approved ?? []).map(({ person }) => person)), since: now };
  const decision = authorize(matched, deployFound(named, claims.args, matched.policy, state), history, now, approvals);
  return decision.decided === "allowed" ? decision.rule : null;
}
