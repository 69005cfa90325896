import { Command, InvalidArgumentError } from "commander";
import { timeText } from "../../policy/duration.ts";
import type { RefusalCode } from "../../policy/refusal.ts";
import { REMEDIES } from "../../policy/remedies.ts";
import type { Entry } from "../audit/entry.ts";
import { COULD_NOT_LOOK, type Verdict, verifyLog } from "../audit/verify.ts";
import { type Disk, DiskError } from "../host/host.ts";
import { realHost } from "../host/real.ts";
import { printable, refusalLines } from "../render.ts";
import { Complaint, DEFAULT_CONFIG } from "./config.ts";
import { beginning, folderOf, read, type Shown, type Where } from "./readLog.ts";
import { reconcileCommand } from "./reconcile.ts";

const MAX_CA_BYTES = 256 * 1024;
const FOLLOW_EVERY_MS = 500;
const NAME_WIDTH = 13;

type ShowOptions = Where & {
  readonly follow?: true;
  readonly json?: true;
  readonly verbose?: true;
  readonly last?: number;
  readonly command?: string;
};
type VerifyOptions = Where & { readonly ca?: string; readonly json?: true };

/** `audit`: reads the log without its lock, so that it works beside a running agent and on a copy. */
export function auditCommand(): Command {
  const audit = new Command("audit").description("read the log, and check that it is whole");
  audit
    .command("show")
    .description("print the log's entries, a line each")
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("-f, --follow", "go on with new entries until interrupted")
    .option("--json", "print the entries as they are on disk")
    .option("--verbose", "print refusals in full, with what the owner can do")
    .option("--last <n>", "only the last N entries", count)
    .option("--command <id>", "only entries of this command")
    .action(show);
  audit
    .command("verify")
    .description("check every entry, and say how far the log can be relied on")
    .option("--config <file>", "the agent's config, which says where the log is", DEFAULT_CONFIG)
    .option("--log <folder>", "the log's folder, instead of the config's")
    .option("--ca <file>", "the vendor's root CA as PEM, from elsewhere than this machine")
    .option("--json", "print the verdict as JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 whole, witnessed beyond the control plane · 10 witnessed by the control plane only · 11 whole, but the newest could have been cut · 12 incomplete · 13 damaged · 14 could not look",
    )
    .action(verify);
  audit.addCommand(reconcileCommand());
  return audit;
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("a number of 1 and more.");
  return Number(text);
}

async function show(options: ShowOptions): Promise<void> {
  const { disk, clock } = realHost();
  const { folder } = folderOf(disk, options);
  const wanted = (entry: Entry): boolean =>
    options.command === undefined || ("command" in entry && entry.command === options.command);
  let place = beginning(disk, folder);
  let shown: Shown[] = [];
  const print = ({ line, entry }: Shown): void => {
    if (options.json) console.log(line);
    else for (const text of linesFor(entry, options.verbose === true)) console.log(text);
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
      return `${entry.code}  ${entry.operation} on ${entry.resource}  command ${entry.command}`;
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

async function verify(options: VerifyOptions): Promise<void> {
  const { disk } = realHost();
  const { folder, state } = folderOf(disk, options);
  const beside = state === null ? null : `${state}/identity/root.pem`;
  const ca = options.ca === undefined ? null : readCa(disk, options.ca);
  const verdict = await verifyLog(disk, folder, { ca });
  process.exitCode = verdict.exit;
  if (options.json) console.log(JSON.stringify(verdict));
  else for (const line of verdictLines(folder, verdict, beside)) console.log(printable(line));
}

function readCa(disk: Disk, path: string): string {
  try {
    return Buffer.from(disk.read(path, MAX_CA_BYTES).bytes).toString("utf8");
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(
      "verify the log",
      `${path} cannot be read (${error.code})`,
      "Give the CA's PEM file.",
      COULD_NOT_LOOK,
    );
  }
}

function verdictLines(folder: string, verdict: Verdict, beside: string | null): string[] {
  const { checkpoints, vouched, damage } = verdict;
  const kinds = Object.entries(verdict.kinds).map(([kind, number]) => `${number} ${kind}`);
  const head = checkpoints.newest;
  const lines = [
    `log        ${verdict.origin ?? folder}`,
    `looked at  ${verdict.size - verdict.from} entries in ${verdict.segments} segments, ${verdict.bytes} bytes: ${kinds.join(", ") || "none"}`,
    `time       ${verdict.oldest ?? "-"} to ${verdict.newest ?? "-"}`,
    `root       ${verdict.root ?? "unknown, for entries are missing"}`,
    `heads      ${checkpoints.checked} checkpoints signed by the log's key hold${head === null ? "" : `, the newest of size ${head.size} at ${head.time}`}`,
    `key        ${vouched === null ? `${verdict.key ?? "unknown"}: vouched for by nobody (${verdict.unvouched ?? "-"})` : `${verdict.key}: vouched for by ${vouched.by}, SHA-256 ${vouched.sha256}`}`,
    "witnesses  none",
    ...verdict.open.map(({ command, intent }) => `open       command ${command}: intent ${intent} has no outcome yet`),
    ...verdict.remarks.map((remark) => `remark     ${remark}`),
    `verdict    ${verdict.says}`,
  ];
  if (damage !== null)
    return [
      ...lines,
      `hint: Compare entry ${damage.index} with what was handed to the control plane, and with a copy.`,
    ];
  if (verdict.exit !== COULD_NOT_LOOK) return lines;
  const where =
    beside === null ? "" : ` The one in ${beside} lies in the same state folder, and proves nothing to a third party.`;
  return [...lines, `hint: Give the vendor's root CA, from elsewhere than this machine: --ca FILE.${where}`];
}
