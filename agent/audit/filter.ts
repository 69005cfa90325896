import type { Entry } from "./entry.ts";
import { timeOf } from "./time.ts";

/** What became of a command, as it can be asked for. */
export const OUTCOMES = [
  "succeeded",
  "failed",
  "unknown",
  "refused",
  "rejected",
  "considered",
  "waiting",
  "cancelled",
] as const;
export type AskedOutcome = (typeof OUTCOMES)[number];

/** Which entries are asked for; what is null is not asked about. Times: milliseconds since 1970, from `since` on and before `until`. */
export type FilterWish = {
  readonly since: number | null;
  readonly until: number | null;
  /** As entries name it: `scale`. */
  readonly action: string | null;
  readonly command: string | null;
  readonly outcome: AskedOutcome | null;
};

/**
 * Whether an entry is asked for. To be called with every entry, in order: an outcome does not say its action, which its intent did. It
 * remembers the commands that are open or wait, and nothing else.
 */
export function entryFilter({ since, until, action, command, outcome }: FilterWish): (entry: Entry) => boolean {
  const ofAction = action === null ? null : actionFilter(action);
  return (entry) => {
    // Asked first of all: it is to see every entry.
    const isOfAction = ofAction?.(entry) ?? true;
    if (!isOfAction) return false;
    const time = timeOf(entry.time) ?? 0;
    if ((since !== null && time < since) || (until !== null && time >= until)) return false;
    if (command !== null && !("command" in entry && entry.command === command)) return false;
    return outcome === null || outcomeOf(entry) === outcome;
  };
}

function actionFilter(action: string): (entry: Entry) => boolean {
  const going = new Set<string>();
  return (entry) => {
    if ("action" in entry) {
      const is = entry.action === action;
      if (is && (entry.kind === "intent" || entry.kind === "waiting")) going.add(entry.command);
      if (entry.kind === "refused") going.delete(entry.command);
      return is;
    }
    if (entry.kind === "approval") return going.has(entry.approves);
    if (!("command" in entry)) return false;
    const is = going.has(entry.command);
    if (entry.kind === "outcome" || entry.kind === "cancelled") going.delete(entry.command);
    return is;
  };
}

/** What an entry says became of a command; null where it says nothing of the kind. */
export function outcomeOf(entry: Entry): AskedOutcome | null {
  switch (entry.kind) {
    case "outcome":
      return entry.result;
    case "refused":
    case "rejected":
    case "considered":
    case "waiting":
    case "cancelled":
      return entry.kind;
    default:
      return null;
  }
}
