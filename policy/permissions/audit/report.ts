import { type Beyond, type Finding, GROUPS, type Group } from "./beyond.ts";
import { sourceOf, type Way } from "./ways.ts";

/** An audit as a person reads it, and as a program does. */

const TITLES: Readonly<Record<Group, string>> = {
  escalation: "privilege escalation",
  hidden: "changes hidden among reads",
  wildcard: "wildcards in actions",
  unconditioned: "any resource, without a condition",
  rest: "the rest",
};
const MARKS: Readonly<Record<Group, string>> = {
  escalation: "escalation",
  hidden: "hidden among reads",
  wildcard: "wildcard",
  unconditioned: "any resource",
  rest: "",
};
/** More open ways than these are counted, not listed. */
const SHOWN_WAYS = 8;
const SHOWN_RESOURCES = 3;

function some(items: readonly string[], most: number): string {
  const more = items.length - most;
  return more > 0 ? `${items.slice(0, most).join(", ")} and ${more} more` : items.join(", ");
}

function line(finding: Finding): string {
  const { action, except, resources, exceptResources, conditions, document, statement, sid, also } = finding;
  const what = except.length === 0 ? action : `everything but ${some(except, SHOWN_RESOURCES)}`;
  const where =
    exceptResources.length === 0
      ? some(resources, SHOWN_RESOURCES)
      : `everything but ${some(exceptResources, SHOWN_RESOURCES)}`;
  const held = conditions.length === 0 ? "no condition" : `if ${conditions.map(({ key }) => key).join(", ")}`;
  const marks = also.length === 0 ? "" : `   also ${also.map((group) => MARKS[group]).join(", ")}`;
  return `  ${what}   on ${where}   ${held}   ${document}, statement ${statement}${sid === null ? "" : ` ${sid}`}${marks}`;
}

function wayLine(way: Way): string {
  return `    ${way.needs.join(" + ")}: it ${way.does} (${sourceOf(way)})`;
}

function groupLines(group: Group, { findings, ways }: Beyond): string[] {
  const own = findings.filter((finding) => finding.group === group);
  if (own.length === 0) return [];
  const more = ways.length - SHOWN_WAYS;
  return [
    `${TITLES[group]}: ${own.length}`,
    ...own.map(line),
    ...(group === "escalation"
      ? ["  known ways that this opens:", ...ways.slice(0, SHOWN_WAYS).map(wayLine)].concat(
          more > 0 ? [`    and ${more} more, which --json lists`] : [],
        )
      : []),
    "",
  ];
}

export function auditLines(audit: Beyond, notes: readonly string[]): readonly string[] {
  return [
    ...GROUPS.flatMap((group) => groupLines(group, audit)),
    ...notes.map((note) => `note: ${note}`),
    `${audit.findings.length} beyond the policy file, ${audit.within} within`,
  ];
}

export function auditJson(audit: Beyond, notes: readonly string[]): object {
  return {
    beyond: audit.findings.length,
    within: audit.within,
    groups: Object.fromEntries(
      GROUPS.map((group) => [
        group,
        audit.findings
          .filter((finding) => finding.group === group)
          .map(({ beside: _, except, exceptResources, resources, conditions, ...finding }) => ({
            ...finding,
            ...(except.length === 0 ? {} : { except }),
            ...(exceptResources.length === 0 ? { resources } : { except_resources: exceptResources }),
            conditions: conditions.map(({ test, key, values }) => ({ test, key, values })),
          })),
      ]),
    ),
    ways: audit.ways.map((way) => ({ id: way.id, needs: way.needs, does: way.does, source: sourceOf(way) })),
    notes,
  };
}
