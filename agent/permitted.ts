import type { Found } from "../policy/asked.ts";
import { authorize, checkRevision } from "../policy/authorize.ts";
import { type Matched, match } from "../policy/match.ts";
import type { Policy, Rule } from "../policy/policy.ts";
import { isRefusal, type Refusal, refuse } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";
import type { Entry } from "./audit/entry.ts";
import { readLine } from "./audit/line.ts";
import { timeOf } from "./audit/time.ts";
import { worksIn } from "./config.ts";
import { decisionTime, type Road, recordNewer } from "./road.ts";
import type { CommandClaims } from "./wire/command.ts";

/** What is asked once more of a command that has its intent already. Nothing here is awaited: what it says is the case when it is said. */

type Intent = Extract<Entry, { kind: "intent" }>;
/** What was found, as a policy judges it: whose signature counts is that policy's word. */
type Judge = (policy: Policy) => Found;

/**
 * What `match` says at this moment: what an interrupted execution left is touched only while the owner's switch is on and the policy would
 * still permit it. A rule that was taken out takes this too.
 */
export function stillMatches(claims: CommandClaims, road: Road): Matched | Refusal {
  const cannot = cannotOf(claims);
  const suspended = road.suspended();
  if (suspended !== null)
    return refuse("verify.suspended", cannot, `the owner's switch is off (${suspended})`, "The owner says resume.");
  const read = road.readPolicy(cannot);
  if ("refusal" in read) return read.refusal;
  const older = checkRevision(read.policy, road.history(), cannot);
  if (older !== null) return older;
  recordNewer(read, road);
  const { cluster, provider, config } = road;
  const at = { vendor: claims.iss, cluster, place: worksIn(config), ownGroups: provider.ownGroups, dryRun: false };
  return match(read.policy, claims, at);
}

/** Whether it may begin, or be gone on with by another process, as far as is known without what was found: its key and its time count, too. */
export function mayGoOn(intent: Intent, claims: CommandClaims, road: Road): Matched | Refusal {
  const cannot = cannotOf(claims);
  if (claims.exp * 1000 <= decisionTime(road))
    return refuse("verify.expired", cannot, "it expired meanwhile", "Send it again.");
  if (!road.commandKeys().has(intent.by.key))
    return refuse("open.key", cannot, "the trust statement dropped its key meanwhile", "Send it again.");
  if (!road.clockAgrees())
    return refuse("verify.clock", cannot, "this machine's clock jumped by more than a minute", "Set the clock right.");
  return byItsRule(intent, claims, road);
}

/**
 * The rule, where it still permits what was found, as it is judged now. What was used up and asked for when the intent was written is not
 * asked for again: its rate, and the yes of the people whom it names.
 */
export function stillPermits(intent: Intent, claims: CommandClaims, judge: Judge, road: Road): Rule | Refusal {
  const matched = mayGoOn(intent, claims, road);
  return isRefusal(matched) ? matched : judged(intent, matched, judge, road, decisionTime(road));
}

/** Whether the rule still permits what was begun by it. Its window and the command's time counted when it began: what has begun outlasts them. */
export function ruleStands(intent: Intent, claims: CommandClaims, judge: Judge, road: Road): boolean {
  const began = timeOf(intent.time);
  if (began === null) throw new Error("an intent without a time");
  const matched = byItsRule(intent, claims, road);
  return !isRefusal(matched) && !isRefusal(judged(intent, matched, judge, road, began));
}

/** The intent names the rule that permits it: no other takes its place. */
function byItsRule({ allowed }: Intent, claims: CommandClaims, road: Road): Matched | Refusal {
  const matched = stillMatches(claims, road);
  if (isRefusal(matched)) return matched;
  const rules = matched.rules.filter(({ id }) => id === allowed.rule);
  if (rules.length > 0) return { ...matched, rules };
  const because = `the customer's rule ${allowed.rule}, by which it was permitted, does not permit it any more`;
  return refuse("match.no-rule", cannotOf(claims), because, "Send it again.", { rule: allowed.rule });
}

function judged(intent: Intent, matched: Matched, judge: Judge, road: Road, at: number): Rule | Refusal {
  const history = { intents: new Map(), since: null, revision: road.history().revision };
  const approvals = { by: approversYet(intent, matched.policy, road), since: at };
  const decision = authorize(matched, judge(matched.policy), history, at, approvals);
  if (decision.decided === "allowed") return decision.rule;
  if (decision.decided === "refused") return decision.refusal;
  const because = `the customer's rule ${decision.rule.id} asks for people who did not approve`;
  return refuse("policy.approval.needs-approval", cannotOf(matched.asked), because, "Send it again.", {
    rule: decision.rule.id,
    field: "approval",
  });
}

/** Of the people whose approval the intent names those whose key, by which they signed, the policy gives them yet. */
function approversYet({ approved = [] }: Intent, { people }: Policy, road: Road): ReadonlySet<string> {
  const signed = approved.filter(({ entry, person }) => {
    // Where that part of the log was moved away nobody can say by which key it was: then it does not count.
    const read = road.log.lines(entry, 1).map(readLine)[0];
    if (read === undefined || !("entry" in read) || read.entry.kind !== "approval") return false;
    return read.entry.person === person && read.entry.key !== null && read.entry.key === people[person];
  });
  return new Set(signed.map(({ person }) => person));
}
