import type { Policy, PolicyTest } from "../policy.ts";

/** What differs and permits no command by itself, but that a reviewer wants to know. */
export type Note = {
  /** The field of the file. */
  readonly field: string;
  readonly text: string;
  /** Whether theirs shows or trusts more by it than mine. */
  readonly more: boolean;
};

type Named = { readonly [name: string]: string };

function mapNotes(field: string, theirs: Named, mine: Named, what: string, more: boolean): readonly Note[] {
  const names = [...new Set([...Object.keys(theirs), ...Object.keys(mine)])].sort();
  return names.flatMap((name): Note[] => {
    const [their, my] = [
      Object.hasOwn(theirs, name) ? theirs[name] : null,
      Object.hasOwn(mine, name) ? mine[name] : null,
    ];
    if (their === my) return [];
    if (my === null) return [{ field, text: `${what} ${name} is only in theirs: ${their}`, more }];
    if (their === null) return [{ field, text: `${what} ${name} is only in mine`, more: false }];
    return [{ field, text: `${what} ${name} has another key in theirs: ${their} instead of ${my}`, more }];
  });
}

function shareNotes(theirs: Policy, mine: Policy): readonly Note[] {
  const added = theirs.share.filter((what) => !mine.share.includes(what));
  const gone = mine.share.filter((what) => !theirs.share.includes(what));
  return [
    ...added.map((what) => ({ field: "share", text: `theirs shows the vendor your ${what}`, more: true })),
    ...gone.map((what) => ({ field: "share", text: `theirs no longer shows the vendor your ${what}`, more: false })),
  ];
}

function headNotes(theirs: Policy, mine: Policy): readonly Note[] {
  const said = (field: "vendor" | "cluster" | "dry_run" | "place"): readonly Note[] => {
    const [their, my] = [theirs[field], mine[field]].map((value) =>
      typeof value === "string" ? value : JSON.stringify(value),
    );
    return their === my ? [] : [{ field, text: `${field} is ${their} in theirs and ${my} in mine`, more: false }];
  };
  const lower: Note = {
    field: "revision",
    text: `theirs has the revision ${theirs.revision}, mine ${mine.revision}: it could not be installed over mine`,
    more: false,
  };
  return [
    ...said("cluster"),
    ...said("vendor"),
    ...said("place"),
    ...said("dry_run"),
    ...(theirs.revision < mine.revision ? [lower] : []),
  ];
}

function testText(test: PolicyTest): string {
  return JSON.stringify(test);
}

function testNotes(theirs: Policy, mine: Policy): readonly Note[] {
  const kept = new Set(theirs.tests.map(testText));
  const gone = mine.tests.filter((test) => !kept.has(testText(test)));
  return gone.map((test) => {
    const how =
      test.refuse !== undefined
        ? `refuse: ${test.refuse}`
        : test.wait !== undefined
          ? `wait: ${test.wait}`
          : `allow: ${test.allow}`;
    return {
      field: "tests",
      text: `a test of mine is not in theirs: ask ${JSON.stringify(test.ask)}, ${how}`,
      more: false,
    };
  });
}

/** Rates are counted by a rule's id, so another id begins to count anew when the file is installed. */
function idNotes(theirs: Policy, mine: Policy): readonly Note[] {
  const known = new Set(mine.rules.map(({ id }) => id));
  const resource = (rule: Policy["rules"][number]): string =>
    rule.allow === "scale" ? rule.group : rule.allow === "issue-certificate" ? rule.authority : rule.zone;
  return theirs.rules
    .filter((rule) => !known.has(rule.id))
    .filter((rule) => mine.rules.some((old) => old.allow === rule.allow && resource(old) === resource(rule)))
    .map(({ id }) => ({
      field: "rules",
      text: `the id ${id} is new: its rate counts nothing that was done under mine's ids`,
      more: false,
    }));
}

export function notesOf(theirs: Policy, mine: Policy): readonly Note[] {
  return [
    ...headNotes(theirs, mine),
    // A person's key matters where a rule asks the person, and is said there; a signer's key is trusted as soon as it is in the file.
    ...mapNotes("people", theirs.people, mine.people, "the person", false),
    ...mapNotes("signers", theirs.signers, mine.signers, "the signer", true),
    ...shareNotes(theirs, mine),
    ...testNotes(theirs, mine),
    ...idNotes(theirs, mine),
  ];
}
