import { DEPLOY_DEADLINE_SECONDS } from "../../agent/limits.ts";
import { Complaint } from "../terminal.ts";

/** Once for a group: how often a command is sent anew that was refused, ran out or lost its agent. One that was taken back does not count. */
export const MAX_ATTEMPTS = 8;
/** A cluster that refused, or cannot act, is tried again so much later. */
export const RETRY_MS = 10 * 60_000;
/** While nothing is heard of a cluster it is looked at all the same, from time to time: with a command on its way, and while it cannot act. */
export const LOOK_MS = 30_000;
export const PARKED_LOOK_MS = 5 * 60_000;
/** How long a command is good. */
export const COMMAND_SECONDS = 3600;
/** A command without an outcome for so long is one of which nobody can tell: it is over (its life, the work, going on with it after a crash, an hour of grace). */
export const OVERDUE_MS = (COMMAND_SECONDS + 2 * DEPLOY_DEADLINE_SECONDS + 3600) * 1000;
/** A lane up to this percentage is for finding out: there any failure stops the rollout. */
export const CAREFUL_PERCENT = 10;
/** Default of --max-failed: any failure stops. */
export const MAX_FAILED = "0";
/** Default of --max-refused: when more than half of those that were asked refuse, something is wrong with what was asked. */
export const MAX_REFUSED = "50%";
/** Clusters in one transaction. */
export const BATCH = 100;
/** What was signed is queued after so many clusters, or so much time: a slow signer is far within the lease. */
export const PUT_AT_ONCE = 10;
export const SIGN_MS = 2000;
/** What a driver that dies had in hand is taken up by another after so long. */
export const LEASE_MS = 30_000;
/** So much of the rollout's time passes at most between two looks of a driver, however long it was away. A soak is longer by as much. */
export const STEP_MS = 2000;
/** How often a driver looks. */
export const TICK_MS = 1000;

/** `3` or `5%`. Throws a Complaint. */
export function parseLimit(text: string, flag: string): string {
  if (/^(?:0|[1-9]\d{0,5})$/.test(text) || /^(?:0|[1-9]\d?|100)%$/.test(text)) return text;
  throw new Complaint(2, "start the rollout", `${JSON.stringify(text)} is no ${flag}`, "Write 3, or 5%.");
}

/** How many clusters that is, of so many; part of a cluster counts by `round`. */
export function limitOf(text: string, of: number, round: (value: number) => number): number {
  return text.endsWith("%") ? round((of * Number(text.slice(0, -1))) / 100) : Number(text);
}
