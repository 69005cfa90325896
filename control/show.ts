import { Entry } from "../agent/audit/entry.ts";
import { CommandClaims } from "../agent/wire/command.ts";
import type { Asked } from "../policy/asked.ts";
import { timeText } from "../policy/duration.ts";
import { shortDigest } from "../policy/names.ts";
import { REMEDIES } from "../policy/remedies.ts";
import { type CommandRow, OPEN_STATES } from "./store.ts";
import { printable } from "./terminal.ts";

/** What a command became, for a program: the row without its bytes, and the entry that says so. */
export type Result = {
  readonly command: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly state: CommandRow["state"];
  readonly code: string | null;
  readonly digest: string;
  readonly entry: Entry | null;
};

export function resultOf(row: CommandRow, line: string | null = row.line): Result {
  const entry = line === null ? null : Entry.parse(JSON.parse(line));
  const { id, cluster, epoch, state, code, digest } = row;
  return { command: id, cluster, epoch, state, code, digest, entry };
}

/** 0 succeeded (or a dry run that would be permitted), 1 refused, failed, cancelled or expired, 8 not known (yet). */
export function exitOf(result: Result): 0 | 1 | 8 {
  if (result.entry?.kind === "refused" || result.entry?.kind === "rejected") return 1;
  if (result.state === "succeeded" || result.state === "considered") return 0;
  return result.state === "unknown" || OPEN_STATES.includes(result.state) ? 8 : 1;
}

export function subjectOf(asked: Asked): string {
  switch (asked.action) {
    case "scale":
      return `scale ${asked.args.group} to ${asked.args.count}`;
    case "issue-certificate":
      return `issue a certificate from ${asked.args.authority}`;
    case "update-dns":
      return `${asked.args.change} ${asked.args.name} ${asked.args.type}`;
    case "deploy":
      return `deploy ${shortDigest(asked.args.manifest)} to ${asked.args.group}`;
  }
}

/** The vendor's own words in its own signed command. */
export function claimsOf(row: Pick<CommandRow, "jws">): CommandClaims {
  const payload = Buffer.from(row.jws.split(".")[1] ?? "", "base64url").toString();
  return CommandClaims.parse(JSON.parse(payload));
}

export function askedOf(row: Pick<CommandRow, "jws">): Asked {
  return claimsOf(row) as Asked;
}

/** A result for a person: refusals in the form of DESIGN section 3. */
export function resultText(row: CommandRow, result: Result): string {
  const asked = askedOf(row);
  const cannot = subjectOf(asked);
  const { entry } = result;
  if (entry?.kind === "refused") return lines(...refusal(cannot, asked, entry));
  if (entry?.kind === "rejected")
    return lines(
      `error: Cannot ${cannot}: the agent refused these bytes. ${REMEDIES[entry.code].cause}`,
      facts(asked, { code: entry.code, entry: entry.index }),
      `hint: ${REMEDIES[entry.code].vendor}`,
    );
  if (entry?.kind === "waiting") return lines(...waiting(cannot, entry));
  if (entry?.kind === "considered")
    return lines(
      `would do: ${cannot}, by the customer's rule ${entry.allowed.rule}${entry.approval === undefined ? "" : `, once approved by ${peopleOf(entry.approval)}`}`,
      `  changed nothing   entry ${entry.index}`,
    );
  if (entry?.kind === "outcome" && entry.result === "succeeded")
    return lines(`done: ${cannot}`, ...changes(entry), `  entry ${entry.index}`);
  if (entry?.kind === "outcome") {
    const words = entry.result === "failed" ? "it failed" : "nobody can tell what became of it";
    return lines(
      `error: Cannot ${cannot}: ${words} (${entry.code ?? "no code"}).`,
      ...changes(entry),
      `  entry ${entry.index}`,
      "hint: The customer's log names each operation; `reeve audit show` there shows them.",
    );
  }
  return lines(
    `${result.state}: ${cannot}${result.code === null ? "" : ` (${result.code})`}`,
    `  command ${result.command}`,
  );
}

type Asks = { readonly by: readonly string[]; readonly need: number };
function peopleOf({ by, need }: Asks): string {
  return need === by.length ? by.join(" and ") : `${need} of ${by.join(", ")}`;
}

function waiting(cannot: string, entry: Extract<Entry, { kind: "waiting" }>): string[] {
  const until = timeText(entry.until * 1000);
  return [
    `waiting: ${cannot}, until ${until}, for the approval of ${peopleOf(entry.approval)}`,
    `  the customer's rule ${entry.allowed.rule}   changed nothing   entry ${entry.index}   command ${entry.command}`,
    `hint: They approve it by \`reeve approve ${entry.command}\`.`,
  ];
}

type Refused = Extract<Entry, { kind: "refused" }>;
function refusal(cannot: string, asked: Asked, entry: Refused): string[] {
  const more = { found: entry.found, limit: entry.limit, entry: entry.index, code: entry.code };
  return [
    `error: Cannot ${cannot}: ${entry.because}.`,
    facts(asked, more),
    // A hint that did not fit its entry.
    `hint: ${entry.hint || REMEDIES[entry.code].vendor}`,
  ];
}

function facts(
  asked: Asked,
  about: { found?: string | null; limit?: string | null; entry: number; code: string },
): string {
  return `  found ${about.found ?? "not read"}   asked ${wanted(asked)}   limit ${about.limit ?? "-"}   changed nothing   entry ${about.entry}   code ${about.code}`;
}

function wanted(asked: Asked): string {
  switch (asked.action) {
    case "scale":
      return String(asked.args.count);
    case "issue-certificate":
      return asked.args.usages.join(" ");
    case "update-dns":
      return asked.args.values.join(" ") || asked.args.change;
    case "deploy":
      return asked.args.manifest;
  }
}

function changes(entry: Extract<Entry, { kind: "outcome" }>): string[] {
  return entry.changed.map((one) => `  changed ${one.what} from ${one.from ?? "nothing"} to ${one.to ?? "nothing"}`);
}

function lines(...texts: string[]): string {
  return `${texts.map(printable).join("\n")}\n`;
}
