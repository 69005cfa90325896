import { checkRevision } from "../../policy/authorize.ts";
import type { Approvable } from "../wire/approval.ts";
import { type Judged, readApprovals } from "./approvals.ts";
import type { OwnersFolder } from "./folder.ts";
import type { ReadPolicy } from "./policy.ts";

export type Consent = {
  /** The person whose yes counts; null while nobody of the policy's people has said it. */
  readonly person: string | null;
  /** Every signature that was found, good or bad: for the record. */
  readonly judged: readonly Judged[];
};

/**
 * Whether one of the policy's people has approved what is no command: a trust statement, the end of a fencing. Any one of them may. A policy
 * that cannot be read, is another cluster's, or is older than `revision`, the highest that the log has seen, has no people.
 */
export function ownersConsent(
  at: {
    readonly owner: OwnersFolder;
    readonly cluster: string;
    readonly revision: number;
    readPolicy(cannot: string): ReadPolicy;
  },
  what: Approvable,
): Consent {
  const read = at.readPolicy("look at approvals");
  if (!("policy" in read) || read.policy.cluster !== at.cluster) return { person: null, judged: [] };
  if (checkRevision(read.policy, { revision: at.revision }, "look at approvals") !== null)
    return { person: null, judged: [] };
  const judged = readApprovals(at.owner, read.policy, what, null);
  return { person: judged.find(({ code }) => code === null)?.person ?? null, judged };
}
