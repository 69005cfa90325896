import type { Command } from "commander";
import type { Config } from "../config.ts";
import { DiskError, type Host } from "../host/host.ts";
import type { Machine } from "../host/machine.ts";
import { MAX_COMMANDS_PER_HOUR } from "../limits.ts";
import { directoryFolder } from "../owner/folder.ts";
import { ownersDirectory } from "../owner/place.ts";
import { readSwitch, type Switch } from "../owner/switch.ts";
import { printable } from "../render.ts";
import type { Status } from "../status.ts";
import { Complaint, DEFAULT_CONFIG, readConfig } from "./config.ts";

const MAX_STATUS_BYTES = 1024 * 1024;
const WATCH_EVERY_MS = 1000;
/** ANSI: to the upper left corner, and clear what is below. */
const CLEAR = "\u001b[H\u001b[J";

type Options = { readonly config: string; readonly json?: true; readonly watch?: true };
export type StatusDeps = {
  readonly host: Host;
  readonly machine: Pick<Machine, "alive" | "stdout" | "screen">;
  exit(code: number): void;
};
type Shown = { readonly text: string; readonly exit: 0 | 1 };

/** `status`: reads the file that the agent keeps; there is no socket. Exit 0 when ready, 1 when not, 8 when it cannot be told. */
export function statusCommand(program: Command, deps: StatusDeps): void {
  program
    .command("status")
    .description("show what the agent does: state, policy, what waits, rates, the last commands, contact, log")
    .option("--config <file>", "the agent's config", DEFAULT_CONFIG)
    .option("--json", "print JSON")
    .option("--watch", "go on showing it until interrupted")
    .addHelpText("after", "\nExit codes: 0 ready · 1 not ready · 8 it cannot be told")
    .action((options: Options) => (options.watch ? watch(options, deps) : once(options, deps)));
}

function once(options: Options, deps: StatusDeps): void {
  const { config } = readConfig(deps.host.disk, options.config);
  const { text, exit } = look(config, options, deps);
  deps.machine.stdout(text);
  deps.exit(exit);
}

/** On a screen it is drawn over again; elsewhere each change is printed. */
async function watch(options: Options, deps: StatusDeps): Promise<void> {
  const { config } = readConfig(deps.host.disk, options.config);
  for (let last = ""; ; ) {
    const { text } = lookOrSay(config, options, deps);
    if (deps.machine.screen) deps.machine.stdout(`${CLEAR}${text}`);
    else if (text !== last) deps.machine.stdout(last === "" || options.json ? text : `\n${text}`);
    last = text;
    await deps.host.clock.sleep(WATCH_EVERY_MS);
  }
}

function lookOrSay(config: Config, options: Options, deps: StatusDeps): Shown {
  try {
    return look(config, options, deps);
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    return { text: `${printable(error.message)}\n`, exit: 1 };
  }
}

function look(config: Config, options: Options, { host, machine }: StatusDeps): Shown {
  const kept = readStatus(host, `${config.runtime}/status.json`);
  const alive = machine.alive(kept.pid);
  const owner = switchNow(host, config, kept);
  const exit = alive && kept.state === "ready" && owner.on ? 0 : 1;
  if (options.json) return { text: `${JSON.stringify({ ...kept, alive, switch: owner.on ? "on" : "off" })}\n`, exit };
  const lines = [...head(kept, alive, owner), ...waiting(kept), ...rates(kept), ...recent(kept)];
  return { text: lines.map((line) => `${printable(line)}\n`).join(""), exit };
}

/** The file says what the agent saw last; a switch on this machine is looked at now. */
function switchNow({ disk }: Host, config: Config, kept: Status): Pick<Switch, "on"> & { readonly why?: string } {
  const directory = ownersDirectory(config);
  if (directory !== null) return readSwitch(directoryFolder(disk, directory));
  return kept.state === "suspended" ? { on: false, why: kept.reason } : { on: true };
}

function head(kept: Status, alive: boolean, owner: ReturnType<typeof switchNow>): string[] {
  const state = alive
    ? `${kept.state}${kept.reason === "" ? "" : `: ${kept.reason}`}`
    : `not running (was ${kept.state})`;
  const lost = kept.out_of_contact;
  const last = kept.last_contact === null ? "" : `, last ${kept.last_contact}`;
  const lines: [string, string][] = [
    ["state", state],
    ["since", kept.since],
    ["cluster", `${kept.cluster}${kept.epoch === null ? "" : `, epoch ${kept.epoch}`}`],
    ["agent", kept.agent ?? "not enrolled"],
    ["switch", owner.on ? "on" : `off: ${owner.why ?? ""}`],
    ["policy", kept.policy === null ? "none in force" : `revision ${kept.policy.revision}, ${kept.policy.digest}`],
    ["contact", lost === null ? `yes${last}` : `none since ${lost.since}: ${lost.reason}${last}`],
    ["log", kept.log === null ? "none" : `${kept.log.size} entries, root ${kept.log.root}`],
    ...kept.witnesses.map((one): [string, string] => ["witness", witnessText(one)]),
    ["running", String(kept.running)],
    ["intake", intakeText(kept)],
    ["refused", refusedText(kept)],
    ["version", kept.version],
  ];
  return lines.map(([name, value]) => `${name.padEnd(8)} ${value}`);
}

function intakeText({ intake: { taken, of, full } }: Status): string {
  return `${taken} of ${of} commands in the last hour${!full ? "" : ": no more are asked for until some of them are older"}`;
}

function refusedText({ refused: { commands, unread, trust } }: Status): string {
  if (commands + trust === 0) return "nothing since the log began";
  const parts = [`${commands} commands`, ...(unread > 0 ? [`${unread} of them unreadable or by no key of ours`] : [])];
  return `${[...parts, ...(trust > 0 ? [`${trust} trust statements`] : [])].join(", ")}, since the log began`;
}

function witnessText({ name, required, size, at, failing }: Status["witnesses"][number]): string {
  const seen = at === null ? "nothing cosigned yet" : `cosigned ${size} entries, last ${at}`;
  const lost = failing === null ? "" : `; not since ${failing.since}: ${failing.reason}`;
  return `${name}${required ? " (required)" : ""}: ${seen}${lost}`;
}

function waiting({ waiting }: Status): string[] {
  if (waiting.length === 0) return ["waiting  nothing"];
  const lines = waiting.map(({ id, subject, rule, by, need, approved, until }) => {
    const people =
      need === by.length ? by.join(" and ") : `${need} of ${by.join(", ") || "nobody: the policy names no people"}`;
    const yes = approved.length === 0 ? "nobody yet" : `${approved.join(", ")} so far`;
    return `  ${id}  ${subject}${rule === null ? "" : `  rule ${rule}`}  for ${people}: ${yes}${until === null ? "" : `  until ${until}`}`;
  });
  return [`waiting  ${waiting.length}, for approval: reeve approve ID`, ...lines];
}

function rates({ rates }: Status): string[] {
  if (rates.length === 0) return ["rates    no rules"];
  return [
    "rates    used of allowed",
    ...rates.map(({ rule, used, times, per }) => `  ${rule}  ${used} of ${times} per ${per}`),
  ];
}

function recent({ recent }: Status): string[] {
  if (recent.length === 0) return ["commands none yet"];
  const rows = recent.toReversed().map(({ time, is, action, subject, rule, code, entry, command }) => {
    const what = code === null ? is : `${is} ${code}`;
    return `  ${time}  ${what.padEnd(12)}  ${action} ${subject}${rule === null ? "" : `  rule ${rule}`}  entry ${entry}  ${command}`;
  });
  return ["commands newest first", ...rows];
}

function readStatus(host: Host, path: string): Status {
  try {
    const kept = JSON.parse(new TextDecoder().decode(host.disk.read(path, MAX_STATUS_BYTES).bytes)) as Status;
    // A file that an older version left has less in it.
    const intake = { taken: 0, of: MAX_COMMANDS_PER_HOUR, full: false };
    const refused = { commands: 0, unread: 0, trust: 0 };
    return { ...{ waiting: [], rates: [], recent: [], witnesses: [], last_contact: null, intake, refused }, ...kept };
  } catch (error) {
    if (!(error instanceof DiskError) && !(error instanceof SyntaxError)) throw error;
    const because =
      error instanceof DiskError && error.code === "ENOENT" ? "the agent has never run here" : `${path} cannot be read`;
    throw new Complaint("show the status", because, "systemctl status reeve; or start it: reeve run", 8);
  }
}
