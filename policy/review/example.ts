import type { Asked, Found } from "../asked.ts";
import { durationText, timeText } from "../duration.ts";
import { indexed, type Policy, rulesFor } from "../policy.ts";
import { seenBy } from "./deploy.ts";
import type { Difference, Example } from "./difference.ts";
import { ask, type Level, ownAt, type Past } from "./point.ts";

/** An example in the forms that its readers use: as arguments of `send`, and as `ask` and `given` of a policy's own test. */

export type Shown = {
  /** What follows `reeve-control send …`. */
  readonly send: string;
  readonly ask: { readonly [field: string]: unknown };
  readonly given: { readonly [field: string]: unknown };
  /** Who has said yes, by each policy's own names, and how long before the command began to wait; null where nobody was asked. */
  readonly approved: {
    readonly permits: readonly string[];
    readonly other: readonly string[];
    readonly waited: string;
  } | null;
  /** What each policy's rules have used up of their rates by then. */
  readonly used: { readonly permits: Used; readonly other: Used };
  /** From when on the log remembers; null: it holds all that ever was. */
  readonly logSince: string | null;
};
export type Used = { readonly [rule: string]: number };

function word(text: string): string {
  return /^[A-Za-z0-9@%_+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A CSR is named by where it comes from: its bytes are not the example's. */
export function sendText(asked: Asked): string {
  switch (asked.action) {
    case "scale":
      return `scale --group ${word(asked.args.group)} --count ${asked.args.count}`;
    case "issue-certificate": {
      const { authority, csr, usages, validity } = asked.args;
      const request = csr === undefined ? "--csr-sha256 SHA256" : "--csr FILE";
      const used = usages.map((usage) => `--usage ${usage}`).join(" ");
      return `issue-certificate --authority ${word(authority)} ${request} ${used} --validity ${durationText(validity)}`;
    }
    case "update-dns": {
      const { zone, name, type, change, values, ttl } = asked.args;
      const said = values.map((value) => ` --value ${word(value)}`).join("");
      return `update-dns --zone ${word(zone)} --name ${name} --type ${type} --change ${change}${said} --ttl ${durationText(ttl)}`;
    }
    case "deploy":
      return `deploy --group ${word(asked.args.group)} --manifest FILE`;
  }
}

export function askOf(asked: Asked): Shown["ask"] {
  const { action } = asked;
  if (asked.action === "issue-certificate") {
    const { authority, usages, validity } = asked.args;
    return { action, authority, usages, validity: durationText(validity) };
  }
  if (asked.action === "update-dns") return { action, ...asked.args, ttl: durationText(asked.args.ttl) };
  if (asked.action === "deploy") return { action, group: asked.args.group };
  return { action, ...asked.args };
}

/** `policy`: whose names for keys are shown. */
export function foundOf(found: Found, policy: Policy): Shown["given"] {
  switch (found.action) {
    case "deploy": {
      const { signedBy, version } = seenBy(policy, ownAt(policy), found).manifest;
      return { manifest: { signed_by: signedBy, version } };
    }
    case "scale":
      return { count: found.count };
    case "issue-certificate":
      return { csr: { names: found.csr.sans.map(({ value }) => value), key: found.csr.keyType, made: found.made } };
    case "update-dns":
      return { record: found.record === null ? "none" : { ...found.record, ttl: durationText(found.record.ttl) } };
  }
}

function usedBy(policy: Policy, past: Past, now: number): Used {
  const counted = policy.rules.flatMap(({ id, rate }) => {
    const start = now - rate.seconds * 1000;
    const times = (past.intents.get(id) ?? []).filter((time) => time > start).length;
    return times === 0 ? [] : [[id, times] as const];
  });
  return Object.fromEntries(counted);
}

/** `permits` is the policy that permits it, `other` the one that does not. */
export function shownExample({ point, pasts }: Example, permits: Policy, other: Policy): Shown {
  const { situation, consent, now } = point;
  const names = (policy: Policy): readonly string[] =>
    Object.keys(policy.people).filter((name) => consent.keys.has(policy.people[name] ?? ""));
  const waited = consent.age;
  return {
    send: sendText(situation.asked),
    ask: askOf(situation.asked),
    given: { ...foundOf(situation.found, permits), at: timeText(now) },
    approved:
      waited === null
        ? null
        : { permits: names(permits), other: names(other), waited: durationText(Math.round(waited)) },
    used: { permits: usedBy(permits, pasts.a, now), other: usedBy(other, pasts.b, now) },
    logSince: pasts.a.since === null ? null : timeText(pasts.a.since),
  };
}

export type OtherSays = {
  readonly level: Level;
  readonly rule: string | null;
  readonly field: string | null;
  readonly limit: string | null;
  readonly because: string;
};

/** The other policy with only its rule of the same id: what became of the rule is what a reviewer wants to know. */
function onlyTheSame({ rule: id, about }: Difference, other: Policy): Policy | null {
  const rules = about === null ? [] : rulesFor(other, about.action, about.resource).filter((rule) => rule.id === id);
  return rules.length === 0 ? null : indexed({ ...other, rules: [...rules], tests: [] });
}

/** Why the other policy does not permit the example, in the PDP's words, and by which rule's field; null without an example. */
export function otherSays(difference: Difference, other: Policy): OtherSays | null {
  const { example } = difference;
  if (example === null) return null;
  const same = example.b.level === "refused" ? onlyTheSame(difference, other) : null;
  const point = { ...example.point, at: ownAt(other) };
  const { level, rule, refusal } = same === null ? example.b : ask(same, point, example.pasts.b);
  if (refusal === null) {
    return { level, rule, field: "approval", limit: null, because: `the customer's rule ${rule} waits for approval` };
  }
  return { level, rule, field: refusal.field ?? null, limit: refusal.limit ?? null, because: refusal.because };
}
