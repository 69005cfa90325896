import type { ChallengeRecords } from "../../acme.ts";
import type { DnsChange } from "../../asked.ts";
import type { RuleFor } from "../../policy.ts";
import type { Condition } from "./statement.ts";

/**
 * What a rule's records are in IAM's conditions on ChangeResourceRecordSets. Every test is `ForAllValues`, which is true of no values at
 * all: a `Null` test beside it asks that there are some. docs.aws.amazon.com, Route 53, IAM policy conditions.
 */
export const NAMES_KEY = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
export const TYPES_KEY = "route53:ChangeResourceRecordSetsRecordTypes";
export const ACTIONS_KEY = "route53:ChangeResourceRecordSetsActions";

/**
 * The batches that a rule lets be sent: CREATE for create, DELETE for delete, and both for replace, which deletes the old value as it was read
 * and creates the new one. Never UPSERT. As few condition lists as say exactly these: one, or two for create and delete without replace.
 */
export function batchConditions(changes: readonly DnsChange[]): readonly (readonly Condition[])[] {
  const [create, replace, remove] = (["create", "replace", "delete"] as const).map((each) => changes.includes(each));
  const all = (...values: string[]): Condition => ({ test: "ForAllValues:StringEquals", key: ACTIONS_KEY, values });
  if (replace !== true) {
    return [...(create === true ? [[all("CREATE")]] : []), ...(remove === true ? [[all("DELETE")]] : [])];
  }
  // A replace holds both. Where one of the two is not permitted alone, the batch must hold the other.
  const holds = (test: string, value: string): Condition => ({ test, key: ACTIONS_KEY, values: [value] });
  return [
    [
      all("CREATE", "DELETE"),
      ...(remove === true ? [] : [holds("ForAnyValue:StringEquals", "CREATE")]),
      // An operator takes a key once: the second test is another operator that means the same without a star.
      ...(create === true ? [] : [holds("ForAnyValue:StringLike", "DELETE")]),
    ],
  ];
}

/** Names that end so, and that is not the name itself. */
function named(exactly: readonly string[] | null, like: string): Condition {
  return exactly === null
    ? { test: "ForAllValues:StringLike", key: NAMES_KEY, values: [like] }
    : { test: "ForAllValues:StringEquals", key: NAMES_KEY, values: exactly };
}

function conditions(names: Condition, types: readonly string[], changes: readonly DnsChange[]) {
  const typed: Condition = { test: "ForAllValues:StringEquals", key: TYPES_KEY, values: types };
  const some = [NAMES_KEY, TYPES_KEY, ACTIONS_KEY].map((key) => ({ test: "Null", key, values: ["false"] }));
  return batchConditions(changes).map((batch) => [names, typed, ...batch, ...some]);
}

/** The conditions of a rule's statements, one list each. */
export function recordConditions({ names, types, changes }: RuleFor<"update-dns">): readonly (readonly Condition[])[] {
  const like = "below" in names ? `*.${names.below}` : "";
  return conditions(named("below" in names ? null : names.exactly, like), types, changes);
}

/** The same of the records that prove names to an ACME authority. A star takes any label or labels between. */
export function challengeConditions({ records }: ChallengeRecords): readonly (readonly Condition[])[] {
  const like = "below" in records ? `${records.label}*.${records.below}` : "";
  return conditions(named("below" in records ? null : records.exactly, like), ["TXT"], ["create", "replace", "delete"]);
}
