import type { OperationRow } from "../../../providers/provider.ts";
import {
  CLOCK_SKEW_SECONDS,
  COMMAND_DEADLINE_SECONDS,
  COMMAND_LIFETIME_MAX_SECONDS,
  DEPLOY_DEADLINE_SECONDS,
  MAX_RECONCILED_OPERATIONS,
} from "../../limits.ts";
import type { Entry } from "../entry.ts";
import { timeOf } from "../time.ts";
import { csrDigest, requestDigestOf } from "./asked.ts";

/** A row of a provider's operations table. */
export type TableRow = Pick<OperationRow, "operation" | "kind">;
/** What a cloud's provider may call: by action, and for no command. */
export type Tables = {
  readonly actions: Readonly<Record<Action, readonly TableRow[]>>;
  readonly checks: readonly TableRow[];
  /** What `doctor` reads besides what the actions read. */
  readonly doctor: readonly TableRow[];
};
type Action = Extract<Entry, { kind: "intent" }>["action"];

/** An operation of an outcome that the cloud answered with a request id. */
export type Row = {
  readonly command: Known;
  /** Index of the outcome. */
  readonly entry: number;
  /** Milliseconds since 1970, of the outcome. */
  readonly time: number;
  readonly operation: string;
  readonly resource: string;
  readonly status: string;
  readonly changes: boolean;
  found: boolean;
};
/** A command as the log knows it. Times are milliseconds since 1970. */
export type Known = {
  readonly id: string;
  readonly action: Action;
  /** As an operation names it; null where the entry was too long to say it. */
  readonly resource: string | null;
  /** From when on it can have been looked at, and its newest entry. */
  readonly since: number;
  last: number;
  /** What the intent asked, and the digest of its certificate request. Null: it has no intent, or no request. */
  asked: Extract<Entry, { kind: "intent" }>["asked"] | null;
  csr: string | null;
  /** The same of the request's key and names. */
  request: string | null;
  /** Names of the certificate that the intent is for; none before there is one. */
  names: readonly string[];
  intent: { readonly entry: number; readonly time: number } | null;
  outcome: { readonly entry: number; readonly time: number; readonly answered: boolean } | null;
  /** Calls of the outcome without a request id that the cloud may have carried out, by operation: its answer did not come. */
  lost: Map<string, number>;
  /** Events that were taken for one of these, by operation. */
  answered: Map<string, number>;
};

/** The log, as far as it says what the agent called. Bounded: one that holds more is refused by its caller. */
export type Ledger = {
  /** Of commands and operations together. */
  readonly most: number;
  readonly commands: Map<string, Known>;
  readonly rows: Map<string, Row>;
  /** Versions of reeve that ran. */
  readonly versions: Set<string>;
  entries: number;
  operations: number;
  oldest: number | null;
  newest: number | null;
};
/** Milliseconds since 1970; the end is not in it. */
export type Period = { readonly from: number; readonly to: number };

/** No command is looked at longer than it lives, or much longer after its end. */
export const AROUND_MS = (COMMAND_LIFETIME_MAX_SECONDS + 3600) * 1000;
const SKEW_MS = CLOCK_SKEW_SECONDS * 1000;

export function emptyLedger(most: number = MAX_RECONCILED_OPERATIONS): Ledger {
  return {
    most,
    commands: new Map(),
    rows: new Map(),
    versions: new Set(),
    entries: 0,
    operations: 0,
    oldest: null,
    newest: null,
  };
}

/** Adds one entry. False: the log holds more of what matters to the period than the ledger may. */
export function addEntry(ledger: Ledger, entry: Entry, period: Period): boolean {
  const time = timeOf(entry.time);
  if (time === null) throw new Error("an entry with a time that is none");
  ledger.entries += 1;
  ledger.oldest ??= time;
  ledger.newest = time;
  if (entry.kind === "started") ledger.versions.add(entry.version);
  if (!("command" in entry) || entry.command === null) return true;
  // An id that comes again is refused unread: it makes no call, and must not make an old command a new one.
  if (entry.kind === "refused" && entry.first !== null) return true;
  const command = ledger.commands.get(entry.command) ?? begin(ledger, entry, time, period);
  if (command === null) return true;
  command.last = time;
  if (entry.kind === "intent") {
    command.intent = { entry: entry.index, time };
    command.asked = entry.asked;
    command.csr = entry.csr === null ? null : csrDigest(entry.csr);
    command.request = entry.csr === null ? null : requestDigestOf(entry.csr);
    const { names } = entry.found;
    command.names = Array.isArray(names) ? names : [];
  }
  // What ended before the period can have made no call in it.
  if (time < period.from - AROUND_MS && entry.kind !== "intent" && entry.kind !== "waiting")
    ledger.commands.delete(command.id);
  else if (entry.kind === "outcome") addOutcome(ledger, command, entry, time);
  return ledger.rows.size + ledger.commands.size <= ledger.most;
}

function begin(ledger: Ledger, entry: Entry, time: number, period: Period): Known | null {
  // An outcome, a cancel or a gate alone says nothing of what was asked: its intent is in a part of the log that is not here.
  if (!("asked" in entry) || time > period.to + AROUND_MS) return null;
  const known: Known = {
    id: entry.command,
    action: entry.action,
    resource: resourceOf(entry),
    since: (entry.exp - COMMAND_LIFETIME_MAX_SECONDS) * 1000 - SKEW_MS,
    last: time,
    asked: null,
    csr: null,
    request: null,
    names: [],
    intent: null,
    outcome: null,
    lost: new Map(),
    answered: new Map(),
  };
  ledger.commands.set(entry.command, known);
  return known;
}

function resourceOf({ action, asked }: Pick<Extract<Entry, { kind: "intent" }>, "action" | "asked">): string | null {
  const text = (name: string): string | null => {
    const value = asked[name];
    return typeof value === "string" ? value : null;
  };
  switch (action) {
    case "scale":
    case "deploy":
      return text("group");
    case "issue-certificate":
      return text("authority");
    case "update-dns": {
      const [zone, name] = [text("zone"), text("name")];
      return zone === null || name === null ? null : `${zone}/${name}`;
    }
  }
}

/** Statuses of a call without a request id that the cloud may have carried out. By any other, it never came there or was turned away. */
const MAYBE_DONE: ReadonlySet<string> = new Set([
  "timeout",
  "reset",
  "unavailable",
  "redirected",
  "malformed",
  "answer-too-long",
  "tls-broken",
  "error",
]);

function addOutcome(ledger: Ledger, command: Known, entry: Extract<Entry, { kind: "outcome" }>, time: number): void {
  command.outcome = { entry: entry.index, time, answered: entry.known_by === "answer" };
  for (const { operation, resource, request, status, changes } of entry.operations) {
    // The row that counts what an entry could not hold.
    if (operation === "(more)") continue;
    if (request === null || request === "") {
      if (MAYBE_DONE.has(status)) command.lost.set(operation, (command.lost.get(operation) ?? 0) + 1);
      continue;
    }
    ledger.operations += 1;
    ledger.rows.set(request, { command, entry: entry.index, time, operation, resource, status, changes, found: false });
  }
}

/** When a command's changes can have reached the cloud. Null: it never had an intent. */
export function changing(command: Known): Period | null {
  const { intent, outcome, lost } = command;
  if (intent === null) return null;
  if (command.action === "deploy") return { from: intent.time - SKEW_MS, to: deployed(command, intent.time) + SKEW_MS };
  const deadline = intent.time + COMMAND_DEADLINE_SECONDS * 1000;
  // After a crash the outcome may come days later. What the process that died has called, it called within its deadline.
  const died = outcome === null || (!outcome.answered && lost.size === 0);
  return { from: intent.time - SKEW_MS, to: (died ? deadline : outcome.time) + SKEW_MS };
}

/** A deploy is gone on with by one start after the other: until its outcome, or as long as its command lives. */
function deployed({ since, outcome }: Known, begun: number): number {
  const expires = since + SKEW_MS + COMMAND_LIFETIME_MAX_SECONDS * 1000;
  return outcome?.time ?? Math.max(begun, expires) + DEPLOY_DEADLINE_SECONDS * 1000;
}

/** When a command's state can have been read. */
export function reading(command: Known): Period {
  const open = command.intent !== null && command.outcome === null;
  return { from: command.since, to: open ? Number.POSITIVE_INFINITY : command.last + SKEW_MS };
}

export function within(time: number, { from, to }: Period): boolean {
  return time >= from && time <= to;
}
