import { type Policy, type PolicyTest, type Rule, ruleResource } from "../policy.ts";

/** What differs and permits no command by itself, but that a reviewer wants to know. */
export type Note = {
  /** The field of the file. */
  readonly field: string;
  readonly text: string;
  /** Whether theirs shows more, or trusts more people or keys by it, than mine. */
  readonly more: boolean;
};
/** What the two files are called in sentences. */
export type Names = { readonly theirs: string; readonly mine: string };
type Two = { readonly theirs: Policy; readonly mine: Policy; readonly names: Names };

function keyNotes({ theirs, mine, names }: Two, field: "people" | "signers", what: string): readonly Note[] {
  const keyIn = (policy: Policy, name: string): string | undefined =>
    Object.hasOwn(policy[field], name) ? policy[field][name] : undefined;
  const all = [...new Set([...Object.keys(theirs[field]), ...Object.keys(mine[field])])].sort();
  return all.flatMap((name): Note[] => {
    const [their, my] = [keyIn(theirs, name), keyIn(mine, name)];
    if (their === my) return [];
    if (their === undefined) return [{ field, text: `${what} ${name} is only in ${names.mine}`, more: false }];
    const text =
      my === undefined
        ? `${what} ${name} is only in ${names.theirs}: ${their}`
        : `${what} ${name} has another key in ${names.theirs}: ${their} instead of ${my}`;
    return [{ field, text, more: true }];
  });
}

function shareNotes({ theirs, mine, names }: Two): readonly Note[] {
  const added = theirs.share.filter((what) => !mine.share.includes(what));
  const gone = mine.share.filter((what) => !theirs.share.includes(what));
  return [
    ...added.map((what) => ({ field: "share", text: `${names.theirs} shows the vendor your ${what}`, more: true })),
    ...gone.map((what) => ({
      field: "share",
      text: `${names.theirs} does not show the vendor your ${what}, ${names.mine} does`,
      more: false,
    })),
  ];
}

function headNotes({ theirs, mine, names }: Two): readonly Note[] {
  const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  const said = (["cluster", "vendor", "place", "dry_run"] as const).flatMap((field): Note[] => {
    const [their, my] = [text(theirs[field]), text(mine[field])];
    if (their === my) return [];
    return [{ field, text: `${field} is ${their} in ${names.theirs} and ${my} in ${names.mine}`, more: false }];
  });
  if (theirs.revision >= mine.revision) return said;
  const lower = `${names.theirs} has the revision ${theirs.revision}, ${names.mine} ${mine.revision}: it could not be installed over it`;
  return [...said, { field: "revision", text: lower, more: false }];
}

function expected({ refuse, wait, allow }: PolicyTest): string {
  if (refuse !== undefined) return `refuse: ${refuse}`;
  return wait === undefined ? `allow: ${allow}` : `wait: ${wait}`;
}

function testNotes({ theirs, mine, names }: Two): readonly Note[] {
  const kept = new Set(theirs.tests.map((test) => JSON.stringify(test)));
  return mine.tests
    .filter((test) => !kept.has(JSON.stringify(test)))
    .map((test) => ({
      field: "tests",
      text: `a test of ${names.mine} is not in ${names.theirs}: ask ${JSON.stringify(test.ask)}, ${expected(test)}`,
      more: false,
    }));
}

function aboutOf(rule: Rule): string {
  return `${rule.allow} ${ruleResource(rule)}`;
}

/** Rates are counted by a rule's id, so that another id for what an old one permitted begins to count anew when the file is installed. */
function idNotes({ theirs, mine, names }: Two): readonly Note[] {
  const onlyIn = (one: Policy, other: Policy): readonly Rule[] =>
    one.rules.filter(({ id }) => !other.rules.some((rule) => rule.id === id));
  const gone = new Set(onlyIn(mine, theirs).map(aboutOf));
  return onlyIn(theirs, mine)
    .filter((rule) => gone.has(aboutOf(rule)))
    .map(({ id }) => ({
      field: "rules",
      text: `the id ${id} is new in ${names.theirs}: its rate counts nothing that was done under other ids`,
      more: false,
    }));
}

export function notesOf(
  theirs: Policy,
  mine: Policy,
  names: Names = { theirs: "theirs", mine: "mine" },
): readonly Note[] {
  const two = { theirs, mine, names };
  return [
    ...headNotes(two),
    // Any one of people may let in a new trust statement; a signer's key is trusted as soon as it is in the file.
    ...keyNotes(two, "people", "the person"),
    ...keyNotes(two, "signers", "the signer"),
    ...shareNotes(two),
    ...testNotes(two),
    ...idNotes(two),
  ];
}
