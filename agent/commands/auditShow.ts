import { type Command, InvalidArgumentError } from "commander";
import { timeText } from "../../policy/duration.ts";
import type { RefusalCode } from "../../policy/refusal.ts";
import { REMEDIES } from "../../policy/remedies.ts";
import type { Entry } from "../audit/entry.ts";
import { intents, matches } from "../audit/filter.ts";
import type { Machine } from "../host/machine.ts";
import { realHost } from "../host/real.ts";
import { printable, refusalLines } from "../render.ts";
import { DEFAULT_CONFIG } from "./config.ts";
import { type FilterOptions, filterOf, withFilterFlags } from "./filterFlags.ts";
import { beginning, folderOf, read, type Shown, type Where } from "./readLog.ts";

const FOLLOW_EVERY_MS = 500;
const NAME_WIDTH = 13;

type ShowOptions = Where &
  FilterOptions & {
    readonly follow?: true;
    readonly json?: true;
    readonly verbose?: true;
    readonly last?: number;
  };

/** `audit show`: the entries, a line each. Reads without the log's lock, so that it works beside a running agent and on a copy. */
export function showCommand(audit: Command, machine: Machine): void {
  const command = audit
    .command("show")
    .description("print the log's entries, a line each")
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("-f, --follow", "go on with new entries until interrupted")
    .option("--json", "print the entries as they are on disk")
    .option("--verbose", "print refusals in full, with what the owner can do")
    .option("--last <n>", "only the last N entries", count);
  withFilterFlags(command).action((options: ShowOptions) => show(options, machine));
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("a number of 1 and more.");
  return Number(text);
}

async function show(options: ShowOptions, { stdout }: Machine): Promise<void> {
  const { disk, clock } = realHost();
  const { folder } = folderOf(disk, options);
  const filter = filterOf(options);
  const intentOf = intents();
  const wanted = (entry: Entry): boolean => matches(filter, entry, intentOf(entry));
  let place = beginning(disk, folder);
  let shown: Shown[] = [];
  const print = ({ line, entry }: Shown): void => {
    if (options.json) stdout(`${line}\n`);
    else for (const text of linesFor(entry, options.verbose === true)) stdout(`${text}\n`);
  };
  place = read(disk, folder, place, (one) => {
    if (!wanted(one.entry)) return;
    if (options.last === undefined) return print(one);
    shown.push(one);
    if (shown.length > 2 * options.last) shown = shown.slice(-options.last);
  });
  if (options.last !== undefined) shown.slice(-options.last).forEach(print);
  while (options.follow) {
    await clock.sleep(FOLLOW_EVERY_MS);
    place = read(disk, folder, place, (one) => wanted(one.entry) && print(one));
  }
}

function linesFor(entry: Entry, verbose: boolean): string[] {
  const head = `${entry.time}  ${String(entry.index).padStart(6)}  ${entry.kind.padEnd(NAME_WIDTH)}`;
  const line = `${head} ${printable(summaryOf(entry))}`.trimEnd();
  const code = verbose ? refusalCodeOf(entry) : null;
  if (code === null) return [line];
  const { cause, owner } = REMEDIES[code];
  const words = entry.kind === "refused" ? refusalLines(wishOf(entry), entry) : [`cause: ${cause}`];
  return [line, ...[...words, `owner: ${owner}`].map((text) => `    ${text}`)];
}

/** An outcome's code is the provider's word, no refusal. */
function refusalCodeOf(entry: Entry): RefusalCode | null {
  switch (entry.kind) {
    case "refused":
    case "rejected":
    case "policy":
    case "trust-refused":
    case "approval":
    case "gate":
      return entry.code;
    default:
      return null;
  }
}

type Asking = Extract<Entry, { kind: "refused" | "considered" | "waiting" | "intent" }>;

function wishOf(entry: Asking): string {
  const asked = Object.entries(entry.asked).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : value}`,
  );
  return `${entry.action} ${asked.join(" ")}`;
}

function asksOf({ by, need }: { by: readonly string[]; need: number }): string {
  return need === by.length ? by.join(" and ") : `${need} of ${by.join(", ")}`;
}

function byOf(entry: Asking): string {
  return `by "${entry.by.says.operator}" (key ${entry.by.key})`;
}

/** What an entry says, in a line. */
function summaryOf(entry: Entry): string {
  switch (entry.kind) {
    case "epoch":
      return `epoch ${entry.epoch} begins; log ${entry.origin}`;
    case "segment":
      return `a segment begins; log key ${entry.key} from here on, after ${entry.before.key}`;
    case "started":
      return `reeve ${entry.version} on ${entry.runtime}`;
    case "stopped":
      return entry.why;
    case "trust":
      return `statement ${entry.version} in force; command keys ${entry.keys.join(", ")}`;
    case "trust-refused":
      return `${entry.code}  ${entry.bytes} bytes ${entry.digest}`;
    case "trust-waiting":
      return `statement ${entry.version} waits for the owner: reeve approve trust-${entry.version}  ${entry.changes.join("; ")}`;
    case "renewed":
      return `certificate ${entry.serial}, valid until ${entry.until}`;
    case "policy":
      return entry.code === null
        ? `revision ${entry.revision} in force  ${entry.policy}`
        : `refuses everything: ${entry.code}  ${entry.policy}`;
    case "switch":
      return entry.on ? "on" : `off: ${entry.why}`;
    case "clock":
      return entry.agrees ? "agrees again" : `jumped by ${entry.jumped} s: commands are refused`;
    case "torn":
      return `${entry.bytes} bytes of an unfinished write were moved to ${entry.name}`;
    case "gate":
      return `${entry.code}  ${entry.operation} on ${entry.resource}  ${entry.command === null ? "of no command" : `command ${entry.command}`}`;
    case "rejected":
      return `${entry.code}  ${entry.bytes} bytes ${entry.digest}`;
    case "refused":
      return `${wishOf(entry)}  ${entry.rule === null ? "" : `rule ${entry.rule}  `}${entry.code}  ${byOf(entry)}`;
    case "considered": {
      const once = entry.approval === undefined ? "" : `, once ${asksOf(entry.approval)} approved`;
      return `${wishOf(entry)}  rule ${entry.allowed.rule}  dry run: would be permitted${once}  ${byOf(entry)}`;
    }
    case "waiting":
      return `${wishOf(entry)}  rule ${entry.allowed.rule}  for ${asksOf(entry.approval)}, until ${timeText(entry.until * 1000)}  ${byOf(entry)}  command ${entry.command}`;
    case "approval": {
      const who = entry.person ?? (entry.key === null ? "nobody" : "a key of nobody's");
      return `${entry.approves}  ${entry.code === null ? `by ${who}` : `${entry.code}  ${who}`}`;
    }
    case "fenced":
      return `another agent acts: ${entry.says}  to go on: reeve approve fencing-${entry.epoch}`;
    case "unfenced":
      return `the fencing was ended by ${entry.person}`;
    case "intent": {
      const yes = (entry.approved ?? []).map(({ person, entry: at }) => `${person} (entry ${at})`).join(", ");
      return `${wishOf(entry)}  rule ${entry.allowed.rule}  ${yes === "" ? "" : `approved by ${yes}  `}${byOf(entry)}  command ${entry.command}`;
    }
    case "outcome": {
      const changes = entry.changed.map(({ what, from, to }) => `${what} ${from ?? "-"} -> ${to ?? "-"}`);
      const code = entry.code === null ? "" : ` ${entry.code}`;
      const known = entry.known_by === "answer" ? "" : `  known by ${entry.known_by}`;
      return `${entry.result}${code}  of entry ${entry.intent}${known}  ${changes.join("; ") || "changed nothing"}`;
    }
    case "cancelled":
      return `command ${entry.command}`;
  }
}
