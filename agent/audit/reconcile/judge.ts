import { likeness } from "./asked.ts";
import type { Call } from "./call.ts";
import { changing, type Known, type Ledger, type Row, reading, type TableRow, type Tables, within } from "./ledger.ts";
import { provesFor, provingChanges, provingOf, tableOf } from "./proving.ts";

/**
 * What a call by the agent's role is to the log. Whoever holds the role can write any user agent, so it explains only what changes nothing,
 * and a change only where the log itself says that an answer is missing: then this is where the answer is.
 */
export type Judged =
  /** Its request id stands in an outcome, with this operation on this resource. */
  | { readonly class: "matched"; readonly row: Row }
  /** It read, as the action's table permits, what the command that it names is about, while that command was dealt with. */
  | { readonly class: "read"; readonly command: Known }
  /** Whose credentials these are: asked by the agent for itself, or by the control plane when the machine enrols by them. */
  | { readonly class: "check" }
  /** It read, as some action's table permits, and its user agent says that `doctor` did. */
  | { readonly class: "doctor" }
  /** It read, as deploy's table permits, and its user agent says that it was for what the policy shares. */
  | { readonly class: "inventory" }
  /** The log has the intent and no answer: here is what the cloud made of it. `whole`: all that was asked is shown, and is the same. */
  | {
      readonly class: "answer";
      readonly command: Known;
      readonly row: Row | null;
      readonly whole: boolean;
      readonly why: string;
    }
  | { readonly class: "unexplained"; readonly command: Known | null; readonly why: string };

const AGENT = /(?:^|[\s[])reeve\/([0-9A-Za-z.+-]{1,64})(?=[\s\]]|$)/g;
const COMMAND = /(?:^|[\s[])cmd\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=[\s\]]|$)/g;

/** The control plane of a cluster that enrols by its platform: it makes the one call that the agent has signed. */
const ENROLMENT = /(?:^|[\s[])reeve-control\/proof(?=[\s\]]|$)/;
const INVENTORY = /(?:^|[\s[])cmd\/inventory(?=[\s\]]|$)/;
const DOCTOR = /(?:^|[\s[])cmd\/doctor(?=[\s\]]|$)/;

/** The version and the command that a user agent names; null where it names none, or more than one. */
export function namedBy(userAgent: string): { readonly version: string | null; readonly command: string | null } {
  const one = (pattern: RegExp): string | null => {
    const found = new Set([...userAgent.matchAll(pattern)].map((match) => match[1] ?? ""));
    return found.size === 1 ? ([...found][0] ?? null) : null;
  };
  return { version: one(AGENT), command: one(COMMAND) };
}

export function judge(call: Call, ledger: Ledger, tables: Tables): Judged {
  const row = call.requestId === null ? undefined : ledger.rows.get(call.requestId);
  if (row !== undefined) return matched(call, row);
  const named = namedBy(call.userAgent);
  const unexplained = (why: string, command: Known | null = null): Judged => ({ class: "unexplained", command, why });
  if (call.command !== undefined) return ofCommand(call, call.command, ledger, tables, "request id");
  const check = tables.checks.find(({ operation }) => operation === call.operation);
  if (check !== undefined && ENROLMENT.test(call.userAgent) && onlyReads(call, check)) return { class: "check" };
  if (named.version === null) return unexplained("its user agent names no reeve");
  if (!ledger.versions.has(named.version)) return unexplained(`no reeve ${named.version} ran by this log`);
  if (check !== undefined) {
    if (onlyReads(call, check)) return { class: "check" };
    return unexplained("it is a check that the cloud says was a change");
  }
  if (named.command === null && DOCTOR.test(call.userAgent)) {
    const looked = [...Object.values(tables.actions).flat(), ...tables.doctor];
    const its = looked.find(({ operation }) => operation === call.operation);
    if (its !== undefined && onlyReads(call, its)) return { class: "doctor" };
    return unexplained("its user agent names doctor, which never makes this call");
  }
  if (named.command === null && INVENTORY.test(call.userAgent)) {
    const its = (tables.actions["deploy"] ?? []).find(({ operation }) => operation === call.operation);
    if (its !== undefined && onlyReads(call, its)) return { class: "inventory" };
    return unexplained("its user agent names inventory, which never makes this call");
  }
  return ofCommand(call, named.command, ledger, tables, "user agent");
}

/** `by`: what of the call, which is the caller's own word, names the command. */
function ofCommand(call: Call, id: string | null, ledger: Ledger, tables: Tables, by: string): Judged {
  const unexplained = (why: string, command: Known | null = null): Judged => ({ class: "unexplained", command, why });
  if (id === null) return unexplained(`its ${by} names no command`);
  const command = ledger.commands.get(id);
  if (command === undefined) return unexplained(`the log knows nothing of the command that its ${by} names`);
  const table = tableOf(command, tables).find(({ operation }) => operation === call.operation);
  if (table === undefined) return unexplained(`${command.action} never calls this operation`, command);
  if (!isAbout(call, command)) return unexplained("its command is about another resource", command);
  return onlyReads(call, table) ? readOf(call, command) : changeOf(call, command, table);
}

function matched(call: Call, row: Row): Judged {
  if (row.found)
    return {
      class: "unexplained",
      command: row.command,
      why: `entry ${row.entry} has its request id for one call, which another event is`,
    };
  const says = `entry ${row.entry} has its request id for ${row.operation} on ${row.resource}`;
  if (call.operation !== row.operation || !agrees(call.subjects, row.resource))
    return { class: "unexplained", command: row.command, why: says };
  if (row.status === "ok" && call.error !== null)
    return { class: "unexplained", command: row.command, why: `${says}, and says that it was carried out` };
  if (row.changes && row.status !== "ok" && call.error === null)
    return answer(call, row.command, row, `entry ${row.entry} says ${row.status}, and the cloud did it`);
  return { class: "matched", row };
}

/** By our table and by the cloud: neither alone. */
function onlyReads(call: Call, table: TableRow): boolean {
  return table.kind === "read" && call.kind !== "change";
}

function agrees(subjects: readonly string[], resource: string | null): boolean {
  if (resource === null) return true;
  return subjects.every((subject) => (subject.endsWith("/") ? resource.startsWith(subject) : resource === subject));
}

function isAbout(call: Call, command: Known): boolean {
  const proving = provingOf(command);
  return proving === null ? agrees(call.subjects, command.resource) : provesFor(call, proving);
}

function readOf(call: Call, command: Known): Judged {
  if (within(call.time, reading(command))) return { class: "read", command };
  return { class: "unexplained", command, why: "its command was not being dealt with at that time" };
}

/** A change without a request id of ours. The log must have a place that it fills. */
function changeOf(call: Call, command: Known, table: TableRow): Judged {
  const unexplained = (why: string): Judged => ({ class: "unexplained", command, why });
  if (table.kind === "read") return unexplained("the cloud says that it was a change");
  const during = changing(command);
  if (during === null) return unexplained("its command was never begun: the log has no intent of it");
  if (!within(call.time, during)) return unexplained("its command was not being carried out at that time");
  const before = command.answered.get(call.operation) ?? 0;
  const places = (command.lost.get(call.operation) ?? 0) + (unheard(command) ? unheardOf(command) : 0);
  if (before >= places) return unexplained("every call of its command has a request id of its own in the log");
  const judged = answer(call, command, null, whyOf(command));
  if (judged.class === "answer") command.answered.set(call.operation, before + 1);
  return judged;
}

/** The place that the log leaves open is filled only by what the intent asked for. */
function answer(call: Call, command: Known, row: Row | null, why: string): Judged {
  if (call.subjects.length === 0 && call.error === null)
    return { class: "unexplained", command, why: "a change that does not show what it changed" };
  const { other, unseen } = likeness(call, command);
  if (other.length > 0)
    return { class: "unexplained", command, why: `it is not what its command asked: another ${other.join(", ")}` };
  const whole = unseen.length === 0;
  return { class: "answer", command, row, whole, why: whole ? why : `${why}; not compared: ${unseen.join(", ")}` };
}

/** How many calls of one operation a process can have made whose answers it did not live to write down. */
function unheardOf(command: Known): number {
  // As many steps as the group has machines, at each start anew. Each is shown for a person to look at: `likeness`.
  if (command.action === "deploy") return Number.POSITIVE_INFINITY;
  const proving = provingOf(command);
  return proving === null ? 1 : provingChanges(proving);
}

/** The process that made the call did not live to write down its answer. */
function unheard({ outcome }: Known): boolean {
  return outcome === null || !outcome.answered;
}

function whyOf({ intent, outcome }: Known): string {
  if (outcome === null) return `entry ${intent?.entry} is an intent that has no outcome yet`;
  if (outcome.answered) return `its answer was lost on the way to entry ${outcome.entry}`;
  return `the agent ended before it was answered; entry ${outcome.entry} is what it found afterwards`;
}
