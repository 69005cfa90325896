import type { Entry } from "../../audit/entry.ts";
import { printable } from "../../render.ts";
import { type Asking, askingOf, type Row, type State, stateOf } from "./history.ts";

/** What is said of entries, as text only. What others wrote is made printable: no character of theirs hides or turns round another. */
export function plain(text: string): string {
  return printable(text);
}

export const STATE_WORDS: Readonly<Record<State, string>> = {
  succeeded: "succeeded",
  failed: "failed",
  unknown: "unknown",
  open: "no outcome yet",
  refused: "refused",
  considered: "dry run",
  waiting: "waits for approval",
  cancelled: "taken back",
  approval: "approval",
  note: "agent",
  damaged: "no entry",
};
/** Beside the word, so that nothing is said by colour alone. */
export const STATE_SIGNS: Readonly<Record<State, string>> = {
  succeeded: "✓",
  failed: "✗",
  unknown: "?",
  open: "…",
  refused: "⊘",
  considered: "○",
  waiting: "◷",
  cancelled: "–",
  approval: "✎",
  note: "·",
  damaged: "!",
};

/** `2026-11-24 09:14:07 UTC`. */
export function timeWords(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}

export function wishOf({ action, asked }: Asking): string {
  const text = (name: string): string => {
    const value = asked[name];
    return plain(Array.isArray(value) ? value.join(", ") : String(value ?? "-"));
  };
  switch (action) {
    case "scale":
      return `Scale ${text("group")} to ${text("count")}`;
    case "issue-certificate":
      return `Issue a certificate from ${text("authority")}`;
    case "update-dns":
      return `DNS: ${text("change")} ${text("type")} ${text("name")}`;
    case "deploy":
      return `Deploy ${text("manifest").slice(0, "sha256:".length + 12)}… to ${text("group")}`;
    default:
      return plain(action);
  }
}

/** What a row is about, in a line. */
export function titleOf(row: Row): string {
  const asking = askingOf(row);
  if (asking !== null) return wishOf(asking);
  const state = stateOf(row);
  if (state === "damaged") return "A line that is no entry of this log";
  const [first] = row.entries;
  return first === undefined ? "" : noteOf(first.entry);
}

function noteOf(entry: Entry): string {
  switch (entry.kind) {
    case "rejected":
      return `Bytes that are no command: ${entry.bytes} of them`;
    case "gate":
      return `A call that no rule permits was stopped: ${plain(entry.operation)} on ${plain(entry.resource)}`;
    case "policy":
      return entry.code === null ? `Policy revision ${entry.revision} in force` : "The policy refuses everything";
    case "switch":
      return entry.on ? "The owner's switch is on" : "The owner's switch is off: everything is refused";
    case "started":
      return `The agent started, version ${plain(entry.version)}`;
    case "stopped":
      return `The agent stopped: ${plain(entry.why)}`;
    case "fenced":
      return "Fenced: another agent acts";
    case "unfenced":
      return `Fencing ended by ${plain(entry.person)}`;
    case "approval":
      return `Approval of ${plain(entry.approves)} by ${plain(entry.person ?? "nobody's key")}`;
    case "trust":
      return `Trust statement ${entry.version} in force`;
    case "trust-waiting":
      return `Trust statement ${entry.version} waits for the owner`;
    case "trust-refused":
      return "A trust statement was refused";
    case "renewed":
      return `Certificate renewed, valid until ${timeWords(entry.until)}`;
    case "clock":
      return entry.agrees ? "The clock agrees again" : `The clock jumped by ${entry.jumped} s`;
    case "torn":
      return `${entry.bytes} bytes of an unfinished write were moved aside`;
    case "cancelled":
      return `The vendor took command ${entry.command} back`;
    case "segment":
      return "A segment of the log begins, with a key of its own";
    case "epoch":
      return `Epoch ${entry.epoch} begins`;
    default:
      return plain(entry.kind);
  }
}

/** A code that a note carries: why the policy refuses everything, why bytes were rejected. */
export function codeOf({ entries }: Row): string | null {
  for (const { entry } of entries.toReversed()) if ("code" in entry && entry.code !== null) return entry.code;
  return null;
}
