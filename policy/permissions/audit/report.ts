/** What a role grants beyond the least permissions of a policy file, as a person reads it and as a program does; the same for every cloud. */

/** Each grant stands once, under the first of these that it belongs to. */
export const GROUPS = ["escalation", "hidden", "wildcard", "unconditioned", "rest"] as const;
export type Group = (typeof GROUPS)[number];

/** One grant beyond the file. */
export type Excess = {
  readonly group: Group;
  /** The other groups that it would belong to. */
  readonly also: readonly Group[];
  readonly words: {
    /** The permission, or `everything but …`. */
    readonly what: string;
    /** The resources that it is for. */
    readonly where: string;
    /** The conditions, or `no condition`. */
    readonly held: string;
    /** Its place in the role's file. */
    readonly at: string;
  };
  /** For a program, beside group and also. */
  readonly json: Readonly<Record<string, unknown>>;
};
/** A known way by which permissions become more than they are. */
export type OpenWay = {
  readonly id: string;
  readonly needs: readonly string[];
  /** Follows `it`. */
  readonly does: string;
  /** Where it is described: a URL. */
  readonly source: string;
};
export type Audited = {
  readonly excess: readonly Excess[];
  readonly ways: readonly OpenWay[];
  /** Grants that are within. */
  readonly within: number;
  readonly notes: readonly string[];
};
/** What is not understood whole is not judged. */
export type Unreadable = { readonly because: string; readonly hint: string };

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
const SHOWN_NAMES = 3;

/** The first few of a list of names, and how many more there are. */
export function someOf(items: readonly string[]): string {
  const more = items.length - SHOWN_NAMES;
  return more > 0 ? `${items.slice(0, SHOWN_NAMES).join(", ")} and ${more} more` : items.join(", ");
}

function line({ words: { what, where, held, at }, also }: Excess): string {
  const marks = also.length === 0 ? "" : `   also ${also.map((group) => MARKS[group]).join(", ")}`;
  return `  ${what}   on ${where}   ${held}   ${at}${marks}`;
}

function wayLine({ needs, does, source }: OpenWay): string {
  return `    ${needs.join(" + ")}: it ${does} (${source})`;
}

function groupLines(group: Group, { excess, ways }: Audited): string[] {
  const own = excess.filter((each) => each.group === group);
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

export function auditLines(audited: Audited): readonly string[] {
  return [
    ...GROUPS.flatMap((group) => groupLines(group, audited)),
    ...audited.notes.map((note) => `note: ${note}`),
    `${audited.excess.length} beyond the policy file, ${audited.within} within`,
  ];
}

export function auditJson({ excess, ways, within, notes }: Audited): object {
  const of = (group: Group) =>
    excess.filter((each) => each.group === group).map(({ also, json }) => ({ ...json, group, also }));
  return {
    beyond: excess.length,
    within,
    groups: Object.fromEntries(GROUPS.map((group) => [group, of(group)])),
    ways,
    notes,
  };
}
