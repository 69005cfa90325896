import type { Approvals, Asked, CsrFacts, Found, History } from "./asked.ts";
import { durationText, timeText } from "./duration.ts";
import { manifestFailures } from "./manifest.ts";
import type { Matched } from "./match.ts";
import { DNS_NAME, nameAllowed } from "./names.ts";
import type { Policy, Rule, RuleFor } from "./policy.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { isOpen, whenText } from "./when.ts";
import { closest, cut, type Failure, refusalFor } from "./words.ts";

declare const authorized: unique symbol;
/** A command that a rule permits now. Only `authorize` makes one. */
export type Authorized = {
  readonly [authorized]: true;
  readonly decided: "allowed";
  readonly rule: Rule;
  /** The people by whose approval it is permitted, as many as the rule needs; none where it needs none. */
  readonly approvedBy: readonly string[];
  readonly matched: Matched;
  readonly found: Found;
};
export type Decision =
  | Authorized
  /** A rule permits it once people have approved. */
  | { readonly decided: "wait"; readonly rule: Rule; readonly approval: Asks }
  | { readonly decided: "refused"; readonly refusal: Refusal };

/** A rule's approval that is not `none`. */
export type Asks = Exclude<Rule["approval"], "none">;

/** Refuses a policy that is older than one the log has seen: putting an old file back would bring back what it permitted. */
export function checkRevision(policy: Policy, history: Pick<History, "revision">, cannot: string): Refusal | null {
  if (policy.revision >= history.revision) return null;
  const because = `the policy's revision ${policy.revision} is lower than ${history.revision}, which the log has seen`;
  const hint = `Give the policy a revision of ${history.revision} or higher.`;
  return refuse("policy.revision", cannot, because, hint, { limit: `revision: ${policy.revision}` });
}

function changeFailures(policy: Policy, rule: RuleFor<"scale">, asked: number, found: number): Failure[] {
  const [up, down] = [asked - found, found - asked];
  const owner = `or ask ${policy.cluster}'s owner to raise change`;
  const facts = { field: "change", found: String(found), asked: String(asked) };
  if (up > rule.change.up) {
    const because = `adds at most ${rule.change.up} machines per command, this adds ${up}`;
    const hint =
      rule.change.up === 0
        ? `Use another rule, ${owner}.up in ${rule.id}.`
        : `Ask for ${found + rule.change.up} or fewer, ${owner}.up in ${rule.id}.`;
    return [{ ...facts, code: "policy.change.up", because, hint, allows: rule.change.up }];
  }
  if (down > rule.change.down) {
    const because = `removes at most ${rule.change.down} machines per command, this removes ${down}`;
    const hint =
      rule.change.down === 0
        ? `Use another rule, ${owner}.down in ${rule.id}.`
        : `Ask for ${found - rule.change.down} or more, ${owner}.down in ${rule.id}.`;
    return [{ ...facts, code: "policy.change.down", because, hint, allows: rule.change.down }];
  }
  return [];
}

/** What is wrong with the request whatever the rule; RFC 2986, RFC 5280 section 4.2.1. */
function csrFaults(csr: CsrFacts): Failure[] {
  const faults: Failure[] = [];
  const say = (code: Failure["code"], because: string, hint: string): void => {
    faults.push({ code, field: "csr", because: `the certificate request ${because}`, hint, alone: true });
  };
  if (!csr.signatureValid) {
    say(
      "policy.csr.signature",
      "is not signed by its own key",
      "Make the request anew; it must prove that its maker holds the key.",
    );
  }
  if (csr.wantsCa) say("policy.csr.extension", "asks for a CA certificate (CA:TRUE)", "No rule can permit a CA.");
  if (csr.extensions.length > 0) {
    const because = `asks for extensions other than subjectAltName: ${csr.extensions.join(", ")}`;
    say("policy.csr.extension", because, "Ask for subjectAltName only; the rule says the usages.");
  }
  if (csr.sans.length === 0) say("policy.csr.san", "has no subjectAltName", "Put each DNS name into subjectAltName.");
  const other = csr.sans.find((san) => san.type !== "dns");
  if (other !== undefined) {
    say("policy.csr.san", `asks for a name of type ${JSON.stringify(other.type)}`, "Ask for DNS names only.");
  }
  const bad = csr.sans.find((san) => san.type === "dns" && !DNS_NAME.test(san.value));
  if (bad !== undefined) {
    const because = `asks for ${JSON.stringify(cut(bad.value, 100))}, which is not a plain DNS name`;
    say("policy.csr.san", because, "Lower case, without trailing dot, wildcard or IDN.");
  }
  const named = csr.commonName !== null && csr.sans.some((san) => san.type === "dns" && san.value === csr.commonName);
  if (csr.subject !== "" && !named) {
    const because = "has a subject that is not exactly one CN which is one of its DNS names";
    say("policy.csr.subject", because, "Leave the subject empty, or write one of the DNS names as its only CN.");
  }
  return faults;
}

function csrFailures(
  policy: Policy,
  rule: RuleFor<"issue-certificate">,
  found: Extract<Found, { action: "issue-certificate" }>,
): Failure[] {
  const failures: Failure[] = csrFaults(found.csr);
  const owner = `, or ask ${policy.cluster}'s owner to change ${rule.id}.`;
  const outside = found.csr.sans.find(
    (san) => san.type === "dns" && DNS_NAME.test(san.value) && !nameAllowed(rule.names, san.value),
  );
  if (outside !== undefined) {
    const because = "below" in rule.names ? `allows only names below ${rule.names.below}` : "does not list the name";
    const hint = `Ask for other names${owner}`;
    failures.push({ code: "policy.names", field: "names", because, hint, asked: outside.value });
  }
  if (found.made !== rule.key.made) {
    const because = `allows only keys made ${rule.key.made}`;
    failures.push({
      code: "policy.key.made",
      field: "key",
      because,
      hint: `Make the key ${rule.key.made}${owner}`,
      found: found.made,
    });
  }
  if (!(rule.key.type as readonly string[]).includes(found.csr.keyType)) {
    const because = `allows keys of type ${rule.key.type.join(", ")}, not ${cut(found.csr.keyType, 40)}`;
    const hint = `Make a key of type ${rule.key.type.join(" or ")}${owner}`;
    failures.push({ code: "policy.key.type", field: "key", because, hint, found: found.csr.keyType });
  }
  return failures;
}

function recordFailures(
  asked: Extract<Asked, { action: "update-dns" }>,
  found: Extract<Found, { action: "update-dns" }>,
): Failure[] {
  const { change, name, type } = asked.args;
  const record = `${type} ${name}`;
  const common = { code: "policy.changes", field: "changes", alone: true, asked: change } as const;
  if (change === "create" && found.record !== null) {
    const because = `${record} is there already, and create never overwrites`;
    const values = `${found.record.values.join(", ")} ttl ${durationText(found.record.ttl)}`;
    return [{ ...common, because, hint: "Ask for replace.", found: values }];
  }
  if (change !== "create" && found.record === null) {
    const hint = change === "replace" ? "Ask for create." : "Nothing is left to do.";
    return [{ ...common, because: `${record} is not there`, hint, found: "none" }];
  }
  return [];
}

/** Fields that every rule has. Rates slide: the window is the time up to now, and what the log does not remember is used up. */
function usedUp(policy: Policy, rule: Rule, history: History, now: number): Failure[] {
  const milliseconds = rule.rate.seconds * 1000;
  const start = now - milliseconds;
  const text = `${rule.rate.times} per ${rule.rate.per}`;
  const owner = `or ask ${policy.cluster}'s owner to raise rate in ${rule.id}.`;
  if (history.since !== null && start < history.since) {
    const free = timeText(history.since + milliseconds + 999);
    const because = `allows ${text}, and the log does not reach back that far`;
    return [{ code: "policy.rate", field: "rate", because, hint: `Ask again at ${free}.` }];
  }
  const inWindow = (history.intents.get(rule.id) ?? []).filter((time) => time > start);
  if (inWindow.length < rule.rate.times) return [];
  const oldest = inWindow[inWindow.length - rule.rate.times] ?? now;
  const because = `allows ${text}, and ${inWindow.length} are used up`;
  const hint = `Ask again at ${timeText(oldest + milliseconds + 999)}, ${owner}`;
  return [
    { code: "policy.rate", field: "rate", because, hint, found: `${inWindow.length} in the last ${rule.rate.per}` },
  ];
}

function closed(policy: Policy, rule: Rule, now: number): Failure[] {
  if (isOpen(rule.when, now)) return [];
  const hint = `Ask inside the window, or ask ${policy.cluster}'s owner to change when in ${rule.id}.`;
  const because = `is for ${whenText(rule.when)}, and now it is ${timeText(now)}`;
  return [{ code: "policy.when", field: "when", because, hint, found: timeText(now) }];
}

/** The rule's fields that depend on what was found. A found state of another action is our own mistake. */
function stateFailures(policy: Policy, rule: Rule, asked: Asked, found: Found): Failure[] {
  if (rule.allow === "scale" && asked.action === "scale" && found.action === "scale") {
    return changeFailures(policy, rule, asked.args.count, found.count);
  }
  if (rule.allow === "issue-certificate" && found.action === "issue-certificate")
    return csrFailures(policy, rule, found);
  if (rule.allow === "update-dns" && asked.action === "update-dns" && found.action === "update-dns") {
    return recordFailures(asked, found);
  }
  if (rule.allow === "deploy" && asked.action === "deploy" && found.action === "deploy") {
    return manifestFailures(policy, rule, asked, found);
  }
  throw new Error("rule, command and found state are of different actions");
}

type Consent =
  | { readonly consent: "given"; readonly by: readonly string[] }
  | { readonly consent: "asked"; readonly approval: Asks }
  | { readonly consent: "late"; readonly approval: Asks };

/** Whether the rule's people have said yes, each counted once, and in time. */
function consentTo(rule: Rule, { by, since }: Approvals, now: number): Consent {
  const { approval } = rule;
  if (approval === "none") return { consent: "given", by: [] };
  if (since === null) return { consent: "asked", approval };
  if (now >= since + approval.within * 1000) return { consent: "late", approval };
  const yes = approval.by.filter((person) => by.has(person));
  return yes.length < approval.need
    ? { consent: "asked", approval }
    : { consent: "given", by: yes.slice(0, approval.need) };
}

function tooLate(policy: Policy, rule: Rule, approval: Asks): Failure {
  const because = `takes approvals for ${durationText(approval.within)}, and they are over`;
  const hint = `Send it again and have it approved in time, or ask ${policy.cluster}'s owner to raise approval.within in ${rule.id}.`;
  return { code: "policy.approval.needs-approval", field: "approval", because, hint };
}

/**
 * Decides by the state that was found, the log's history, the time (milliseconds since 1970) and who has approved. Pure.
 * A rule that needs no approval is preferred, then the first id that has what it needs; allowed beats waiting beats refused.
 */
export function authorize(
  matched: Matched,
  found: Found,
  history: History,
  now: number,
  approvals: Approvals,
): Decision {
  const { policy, asked } = matched;
  if (!Number.isSafeInteger(now)) throw new Error("the time is not a whole number of milliseconds");
  const judged = matched.rules.map((rule) => ({
    rule,
    failures: [
      ...stateFailures(policy, rule, asked, found),
      ...usedUp(policy, rule, history, now),
      ...closed(policy, rule, now),
    ],
  }));
  const permitting = judged
    .filter(({ failures }) => failures.length === 0)
    .map(({ rule }) => ({ rule, ...consentTo(rule, approvals, now) }));
  const given = permitting.filter((one) => one.consent === "given");
  const allowed = given.find(({ rule }) => rule.approval === "none") ?? given[0];
  // The only place where the type is made: this rule has no failure, and everybody whom it asks has said yes.
  if (allowed !== undefined)
    return { decided: "allowed", rule: allowed.rule, approvedBy: allowed.by, matched, found } as unknown as Authorized;
  const waiting = permitting.find((one) => one.consent === "asked");
  if (waiting !== undefined) return { decided: "wait", rule: waiting.rule, approval: waiting.approval };
  const late = permitting.find((one) => one.consent === "late");
  const { rule, failure } =
    late === undefined ? closest(judged) : { rule: late.rule, failure: tooLate(policy, late.rule, late.approval) };
  return { decided: "refused", refusal: refusalFor(asked, rule, failure) };
}
