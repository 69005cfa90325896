import type { Config } from "../config.ts";
import type { Disk } from "../host/host.ts";
import type { Approvable } from "../wire/approval.ts";
import { type Judged, readApprovals } from "./approvals.ts";
import { policyReader } from "./policy.ts";

export type Consent = {
  /** The person whose yes counts; null while nobody of the policy's people has said it. */
  readonly person: string | null;
  /** Every signature that was found, good or bad: for the record. */
  readonly judged: readonly Judged[];
};

/**
 * Whether one of the policy's people has approved what is no command: a trust statement, the end of a fencing. Any one of them may. A policy
 * that cannot be read has no people.
 */
export function ownersConsent(disk: Disk, owner: Config["owner"], what: Approvable): Consent {
  const read = policyReader(disk, owner)("look at approvals");
  if (!("policy" in read)) return { person: null, judged: [] };
  const judged = readApprovals(disk, owner, read.policy, what, null);
  return { person: judged.find(({ code }) => code === null)?.person ?? null, judged };
}
