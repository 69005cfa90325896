import { type Audited, type Excess, GROUPS, type Group, type OpenWay, type Unreadable } from "../audit/report.ts";
import type { Rendered } from "./render.ts";
import { type RoleGrant, readRoles } from "./roleFile.ts";
import { WAYS } from "./ways.ts";

/** One action of a role at one scope. */
type Grant = {
  readonly role: string;
  readonly action: string;
  readonly data: boolean;
  /** Taken away again by the role itself. */
  readonly except: readonly string[];
  readonly scope: string;
  readonly beside: readonly string[];
};

/** "*" stands for anything; case does not count (learn.microsoft.com, Azure role definitions). */
export function covers(pattern: string, other: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "i").test(other);
}

export function within(outer: string, inner: string): boolean {
  const [wide, narrow] = [outer.toLowerCase().replace(/\/$/, ""), inner.toLowerCase().replace(/\/$/, "")];
  return narrow === wide || narrow.startsWith(`${wide}/`);
}

function grantsOf({ name, actions, notActions, dataActions, notDataActions, scopes }: RoleGrant): Grant[] {
  const of = (list: readonly string[], data: boolean, not: readonly string[]) =>
    list.flatMap((action) => {
      // What the role takes away whole, it does not hold.
      if (not.some((each) => covers(each, action))) return [];
      const except = not.filter((each) => covers(action, each));
      const beside = list.filter((other) => other !== action);
      return scopes.map((scope) => ({ role: name, action, data, except, scope, beside }));
    });
  return [...of(actions, false, notActions), ...of(dataActions, true, notDataActions)];
}

function isWithin({ action, data, scope }: Grant, { roles }: Rendered): boolean {
  return roles.some((role) => {
    const own = data ? role.dataActions : role.actions;
    return own.some((each) => covers(each, action)) && role.scopes.some((outer) => within(outer, scope));
  });
}

function holds(grant: Grant, action: string, data: boolean): boolean {
  return grant.data === data && covers(grant.action, action) && !grant.except.some((each) => covers(each, action));
}

function openWays(grants: readonly Grant[]): readonly OpenWay[] {
  return WAYS.filter(({ needs, data }) => needs.every((action) => grants.some((grant) => holds(grant, action, data))));
}

const READS = /\/read$/i;
const LOOKS_READING = /read|view|list|monitor/i;
/** A subscription, or more than one. */
const WIDE = /^\/(?:subscriptions\/[^/]+|providers\/microsoft\.management\/.*)?$/i;

function groupsOf(grant: Grant, ways: readonly OpenWay[]): Group[] {
  const groups: Readonly<Record<Group, boolean>> = {
    escalation: ways.some(({ needs }) => needs.some((action) => covers(grant.action, action))),
    hidden: !READS.test(grant.action) && LOOKS_READING.test(grant.role),
    wildcard: grant.action.includes("*"),
    unconditioned: WIDE.test(grant.scope),
    rest: true,
  };
  return GROUPS.filter((group) => groups[group]);
}

function excessOf(grant: Grant, ways: readonly OpenWay[]): Excess {
  const { action, scope, role, data, except } = grant;
  const [group = "rest", ...others] = groupsOf(grant, ways);
  const what = except.length === 0 ? action : `${action} but ${except.join(", ")}`;
  return {
    group,
    also: others.filter((each) => each !== "rest"),
    words: { what: data ? `${what} (data)` : what, where: scope, held: "no condition", at: role },
    json: { action, except, data, scope, role },
  };
}

/** Holds roles, as Azure's tools print them, against the least permissions. `name`: which, where the file holds several. */
export function audited(rendered: Rendered, file: Uint8Array, name: string | null): Audited | Unreadable {
  const read = readRoles(file, name);
  if ("because" in read) return read;
  const grants = read.roles.flatMap(grantsOf);
  const beyond = grants.filter((grant) => !isWithin(grant, rendered));
  const ways = beyond.length === 0 ? [] : openWays(grants);
  return {
    excess: beyond.map((grant) => excessOf(grant, ways)),
    ways,
    within: grants.length - beyond.length,
    notes: [
      "A definition says where its role may be assigned, not where it is: each scope is counted as if it were assigned there.",
    ],
  };
}
