import type { Action } from "../asked.ts";
import { type Policy, type Rule, type RuleFor, rulesFor } from "../policy.ts";
import { certificateSpace } from "./certificates.ts";
import { type Takes, takesOf, takesText } from "./consent.ts";
import { asksOf, asksText, deploySpace } from "./deploy.ts";
import { dnsSpaces } from "./dns.ts";
import { holds, some } from "./extents.ts";
import type { Region } from "./region.ts";
import { scaleSpace } from "./scale.ts";
import type { Situation, Space } from "./space.ts";
import { type TimeParts, timeParts } from "./times.ts";

/** A rule with what it takes, and with what it holds in each space (null: nothing). */
export type Held = {
  readonly rule: Rule;
  readonly takes: Takes | null;
  readonly regions: readonly (Region | null)[];
};
/** The rules of two policies, `a` and `b`, for one action on one resource, measured by the same parts. */
export type Ground = {
  readonly action: Action;
  readonly resource: string;
  readonly a: { readonly policy: Policy; readonly held: readonly Held[] };
  readonly b: { readonly policy: Policy; readonly held: readonly Held[] };
  readonly times: TimeParts;
  readonly spaces: readonly Space[];
};

type Side = { readonly policy: Policy; readonly rules: readonly Rule[] };

function spacesOf(action: Action, resource: string, sides: readonly Side[]): readonly Space[] {
  const rules = sides.flatMap((side) => side.rules);
  switch (action) {
    case "scale":
      return [scaleSpace(resource)];
    case "issue-certificate":
      return [certificateSpace(resource, rules as readonly RuleFor<"issue-certificate">[])];
    case "update-dns":
      return dnsSpaces(resource, rules as readonly RuleFor<"update-dns">[]);
    case "deploy":
      return [
        deploySpace(
          resource,
          sides.flatMap((side) => asksOf(side.policy, side.rules as RuleFor<"deploy">[])),
        ),
      ];
  }
}

/** Throws TooManyParts. */
export function groundOf(a: Policy, b: Policy, action: Action, resource: string): Ground {
  const [ours, theirs] = [rulesFor(a, action, resource), rulesFor(b, action, resource)];
  const spaces = spacesOf(action, resource, [
    { policy: a, rules: ours },
    { policy: b, rules: theirs },
  ]);
  const times = timeParts([...ours, ...theirs].map(({ when }) => when));
  const hold = (policy: Policy, rule: Rule): Held => ({
    rule,
    takes: takesOf(policy, rule),
    regions: spaces.map((space) => {
      const region = space.regionOf(rule);
      const when = times.bitsOf(rule.when);
      // A window that is over before anything is compared, or never opens, holds nothing.
      return region === null || when === 0n ? null : { ...region, when: some(when) };
    }),
  });
  return {
    action,
    resource,
    a: { policy: a, held: ours.map((rule) => hold(a, rule)) },
    b: { policy: b, held: theirs.map((rule) => hold(b, rule)) },
    times,
    spaces,
  };
}

/** Whether rules, people and ids are the same on both sides, so that every decision is. */
export function isSame({ a, b }: Ground): boolean {
  const text = ({ policy, held }: Ground["a"]): string =>
    JSON.stringify(
      held.map(({ rule, takes }) => {
        const signers = rule.allow === "deploy" ? { signers: asksOf(policy, [rule]).map(asksText) } : {};
        return { ...rule, ...signers, why: "", approval: takesText(takes) };
      }),
    );
  return text(a) === text(b);
}

/** Whether a situation at a time lies in a region of a space. */
export function liesIn(ground: Ground, space: Space, region: Region, situation: Situation, at: number): boolean {
  const values = space.valuesOf(situation);
  if (values === null) return false;
  const all: { readonly [field: string]: number | readonly number[] } = { ...values, when: ground.times.partOf(at) };
  return Object.entries(region).every(([field, extent]) => {
    const value = all[field];
    if (value === undefined) throw new Error(`a situation without ${field}`);
    return holds(extent, value);
  });
}
