import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { CASES } from "../conform/cases.ts";
import { type Driver, programDriver } from "../conform/driver.ts";
import { unreachable } from "../conform/line.ts";
import { ownDriver } from "../conform/ownDriver.ts";
import { type Ended, openWorld, runCase } from "../conform/world.ts";
import { Complaint, printable, table } from "../terminal.ts";
import { out, withStore } from "./state.ts";

const CASE_MS = 120_000;
const CANNOT = "look at a control plane";
type Options = {
  driver?: string;
  dir?: string;
  keys?: string;
  agent?: string;
  only?: string[];
  list?: boolean;
  json?: boolean;
};

const HELP = `
Speaks the protocol to the control plane at URL, its enrolment address, and runs a real agent against it, each in a
cluster of its own. A control plane for trials only: it is left with the clusters, tokens and commands of the cases.
--driver CMD does what PROTOCOL.md leaves to an operator (see docs/CONFORMANCE.md); for this control plane,
--dir and --keys do. Cases that the control plane or its driver does not do are skipped; those of the core never.
The last line is \`N passed, N failed, N skipped\`; exit 1 when one failed.

Examples:
  reeve-control conform https://127.0.0.1:8443 --driver ./driver
  reeve-control conform https://127.0.0.1:8443 --dir D --keys K --only enrol-theft copy-process`;

export function addConform(top: Command): void {
  top
    .command("conform")
    .description("Hold a control plane to docs/PROTOCOL.md: a line for each of its claims, kept or not.")
    .argument("[url]", "its enrolment address, https://HOST:PORT, as join tokens write it")
    .option("--driver <command>", "what mints tokens and queues commands there")
    .option("--dir <folder>", "instead of a driver: the folder of `reeve-control serve`")
    .option("--keys <folder>", "with --dir: the folder of its command key")
    .option("--agent <program>", "the agent to run (default: `reeve` beside this program)")
    .option("--only <id...>", "these cases alone")
    .option("--list", "print the cases, and look at nothing")
    .option("--json", "print JSON: a line for each case, then the sum")
    .addHelpText("after", HELP)
    .action(async (url: string | undefined, options: Options) => {
      const cases = chosen(options.only);
      if (options.list === true) return list(cases, options.json === true);
      const at = { url: addressOf(url), program: programOf(options.agent), json: options.json === true };
      const { driver, dir, keys } = ways(options);
      const passed =
        driver === undefined
          ? await withStore(dir, (store) => look(cases, { ...at, driver: ownDriver(store, dir, keys) }))
          : await look(cases, { ...at, driver: programDriver(driver) });
      process.exitCode = passed ? 0 : 1;
    });
}

type At = { readonly url: string; readonly program: string; readonly driver: Driver; readonly json: boolean };
/** Whether no case failed. */
async function look(cases: typeof CASES, at: At): Promise<boolean> {
  await reached(at.url);
  const world = openWorld(at);
  const sum = { passed: 0, failed: 0, skipped: 0 };
  // What was not looked at is no yes; and no agent is left behind.
  const stop = (): void => void world.end().finally(() => process.exit(1));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  try {
    for (const one of cases) {
      const ended = await runCase(world, one, CASE_MS);
      sum[ended.result] += 1;
      out(at.json ? `${JSON.stringify(ended)}\n` : lineOf(ended));
    }
  } finally {
    await world.end();
  }
  const words = `${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`;
  out(`${at.json ? JSON.stringify(sum) : words}\n`);
  return sum.failed === 0;
}

/** Where nobody listens there is nothing to look at: said once, and not of each case. */
async function reached(url: string): Promise<void> {
  const trouble = await unreachable(url);
  if (trouble === null) return;
  const hint = "Start the control plane first; URL is its enrolment address.";
  throw new Complaint(5, CANNOT, `${url} cannot be reached (${trouble})`, hint);
}

function chosen(only: readonly string[] | undefined): typeof CASES {
  const unknown = only?.find((id) => !CASES.some((one) => one.id === id));
  if (unknown !== undefined)
    throw new Complaint(2, CANNOT, `there is no case ${unknown}`, "See `reeve-control conform --list`.");
  return only === undefined ? CASES : CASES.filter(({ id }) => only.includes(id));
}

function list(cases: typeof CASES, json: boolean): void {
  const shown = cases.map(({ id, section, expects, core }) => ({ id, section, expects, core }));
  const rows = shown.map(({ id, core, expects }) => [id, core ? "core" : "may be skipped", expects]);
  const text = table([["case", "", "expects"], ...rows], [`${cases.length} cases`]);
  out(json ? `${JSON.stringify({ cases: shown })}\n` : text);
}

function addressOf(url: string | undefined): string {
  if (url !== undefined && /^https:\/\/[a-zA-Z0-9.[\]:-]+:\d{1,5}$/.test(url)) return url;
  const words = url === undefined ? "none is named" : `${JSON.stringify(url)} is not its address`;
  throw new Complaint(2, CANNOT, words, "Write its enrolment address: https://HOST:PORT.");
}

type Ways = { driver: string; dir?: never; keys?: never } | { driver?: never; dir: string; keys: string };
function ways({ driver, dir, keys }: Options): Ways {
  if (driver !== undefined && dir === undefined && keys === undefined) return { driver };
  if (driver === undefined && dir !== undefined && keys !== undefined) return { dir, keys };
  const hint = "Give --driver CMD; for `reeve-control serve`, --dir and --keys.";
  throw new Complaint(2, CANNOT, "not exactly one way to drive it is named", hint);
}

function programOf(agent: string | undefined): string {
  const program = agent ?? join(dirname(process.execPath), "reeve");
  if (existsSync(program)) return program;
  throw new Complaint(2, CANNOT, `there is no agent at ${program}`, "Name one: --agent PROGRAM.");
}

const COLOURS = { passed: 32, failed: 31, skipped: 33 } as const;
function lineOf({ result, id, section, expects, seen }: Ended): string {
  const plain = !process.stdout.isTTY || (process.env["NO_COLOR"] ?? "") !== "";
  const word = plain ? result : `\u001b[${COLOURS[result]}m${result}\u001b[0m`;
  const first = `${word}  ${id}: ${printable(seen)}\n`;
  return result === "failed" ? `${first}        expected: ${expects} (PROTOCOL.md, ${section})\n` : first;
}
