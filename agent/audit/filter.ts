import type { Entry } from "./entry.ts";
import type { Action, OutcomeWord } from "./filterWords.ts";
import { timeOf } from "./time.ts";

/** Which entries are wanted: pure functions over parsed entries, for every command that reads the log. */

/** Null is no limit. Times in milliseconds since 1970: from `since` on, before `until`. */
export type Filter = {
  readonly since: number | null;
  readonly until: number | null;
  readonly action: Action | null;
  readonly command: string | null;
  readonly outcome: OutcomeWord | null;
};

export type Asking = Extract<Entry, { kind: "refused" | "considered" | "waiting" | "intent" }>;
export type Intent = Extract<Entry, { kind: "intent" }>;

/** What an entry says became of a command; null for one that says nothing of it, an intent too. */
export function outcomeOf(entry: Entry): OutcomeWord | null {
  switch (entry.kind) {
    case "outcome":
      return entry.result;
    case "rejected":
    case "refused":
    case "gate":
      return "refused";
    case "considered":
    case "waiting":
    case "cancelled":
      return entry.kind;
    default:
      return null;
  }
}

export function isWithin({ since, until }: Filter, entry: Entry): boolean {
  if (since === null && until === null) return true;
  const time = timeOf(entry.time);
  return time !== null && (since === null || time >= since) && (until === null || time < until);
}

/** Whether an entry is wanted. `intent`: the one that an outcome names, for only it says the action; null where there is none. */
export function matches(filter: Filter, entry: Entry, intent: Intent | null): boolean {
  if (!isWithin(filter, entry)) return false;
  if (filter.outcome !== null && outcomeOf(entry) !== filter.outcome) return false;
  if (filter.command !== null && !isAbout(entry, filter.command)) return false;
  if (filter.action === null) return true;
  return ("action" in entry ? entry.action : intent?.action) === filter.action;
}

function isAbout(entry: Entry, command: string): boolean {
  return "command" in entry ? entry.command === command : entry.kind === "approval" && entry.approves === command;
}

/** Reads entries in the log's order and says of each which intent it belongs to. Holds the intents that are open, and nothing else. */
export function intents(): (entry: Entry) => Intent | null {
  const open = new Map<string, Intent>();
  return (entry) => {
    if (entry.kind === "intent") open.set(entry.command, entry);
    if (!("command" in entry) || entry.command === null) return null;
    const intent = open.get(entry.command) ?? null;
    if (entry.kind === "outcome") open.delete(entry.command);
    return intent;
  };
}
