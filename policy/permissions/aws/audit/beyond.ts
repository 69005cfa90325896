import { GROUPS, type Group } from "../../audit/report.ts";
import type { Statement } from "../statement.ts";
import { actionCovers, type Grant, type Holding } from "./grants.ts";
import { implies } from "./implies.ts";
import { covers, isWild, resourcePattern } from "./pattern.ts";
import { looksReading, reads } from "./verbs.ts";
import { WAYS, type Way } from "./ways.ts";

/** A grant beyond the least permissions of a policy file. */
export type Finding = Grant & {
  readonly group: Group;
  /** The other groups that it would belong to. */
  readonly also: readonly Group[];
  /** Ids of the known ways that it takes part in. */
  readonly ways: readonly string[];
};
export type Beyond = {
  readonly findings: readonly Finding[];
  /** The known ways that are open, in the order of the list. */
  readonly ways: readonly Way[];
  /** Grants that are within. */
  readonly within: number;
};

/** Everything there is: `*`, or all of a service. */
const EVERYTHING = /^(?:\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:\*)$/;

/** It needs no permission: one for it grants nothing. */
const FREE = "sts:getcalleridentity";

/** The resources of a grant that no statement of the least permissions covers, under conditions that ask for no less. */
function uncovered(grant: Grant, least: readonly Statement[]): readonly string[] {
  if (grant.action.toLowerCase() === FREE) return [];
  const own = least.filter(
    ({ effect, actions, conditions }) =>
      effect === "Allow" &&
      actions.some((action) => actionCovers(action, grant.action)) &&
      implies(grant.conditions, conditions),
  );
  return grant.resources.filter((resource) => {
    const { pattern } = resourcePattern(resource);
    return !own.some(({ resources }) => resources.some((each) => covers(each, pattern)));
  });
}

function isWide({ resources, exceptResources }: Grant): boolean {
  return exceptResources.length > 0 || resources.some((resource) => isWild(resourcePattern(resource).pattern));
}

function openWays(holding: Holding): readonly Way[] {
  return WAYS.filter(({ needs, wide }) =>
    needs.every((action) => holding.holds(action).some((grant) => wide !== true || isWide(grant))),
  );
}

function takesPart(grant: Grant, { needs, wide }: Way): boolean {
  if (wide === true && !isWide(grant)) return false;
  return needs.some(
    (action) => actionCovers(grant.action, action) && !grant.except.some((each) => actionCovers(each, action)),
  );
}

function groupsOf(grant: Grant, ways: readonly Way[]): Group[] {
  const everything = grant.exceptResources.length > 0 || grant.resources.some((resource) => EVERYTHING.test(resource));
  const groups: Readonly<Record<Group, boolean>> = {
    escalation: ways.length > 0,
    hidden: !reads(grant.action) && looksReading(grant.sid, grant.beside),
    wildcard: isWild(grant.action),
    unconditioned: everything && grant.conditions.length === 0,
    rest: true,
  };
  return GROUPS.filter((group) => groups[group]);
}

export function beyond(holding: Holding, least: readonly Statement[]): Beyond {
  const ways = openWays(holding);
  const findings: Finding[] = [];
  for (const grant of holding.grants) {
    const resources = uncovered(grant, least);
    if (resources.length === 0) continue;
    const found = { ...grant, resources };
    const through = ways.filter((way) => takesPart(found, way));
    const [group = "rest", ...others] = groupsOf(found, through);
    const also = others.filter((each) => each !== "rest");
    findings.push({ ...found, group, also, ways: through.map(({ id }) => id) });
  }
  return { findings, ways: findings.length === 0 ? [] : ways, within: holding.grants.length - findings.length };
}
