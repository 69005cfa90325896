/**
 * What the demo shows with: headings, commands with their real output, claims that end it when they do not hold, and a cleaning up
 * that happens however it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMMAND_TIMEOUT_SECONDS = 40;
const STOP_TIMEOUT_SECONDS = 10;
const WIDTH = 130;
const EXIT_CANNOT_RUN = 127;
const MAX_LAST_WORDS = 4000;

/** All that a child is given of our environment: nothing that could bend how the executables start or whom they trust. */
export const CLEAN_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8",
};

/** Something did not go as the demo says. */
export class DemoFailed extends Error {}

export type Done = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
export type RunOptions = {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take; COMMAND_TIMEOUT_SECONDS without it. */
  readonly seconds?: number;
};
export type Background = {
  readonly child: ChildProcess;
  /** Everything written so far, both streams. */
  said(): string;
  firstLine(): Promise<string>;
  ended(): Promise<number | null>;
};

const colours = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
const bold = (text: string): string => (colours ? `\x1b[1m${text}\x1b[22m` : text);
const dim = (text: string): string => (colours ? `\x1b[2m${text}\x1b[22m` : text);

let headings = 0;
export function heading(text: string): void {
  headings += 1;
  print(`\n${bold(`${headings}. ${text}`)}`);
}

export function say(text: string): void {
  print(text);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A demo step's claim. */
export function must(holds: boolean, claim: string, instead = ""): void {
  if (!holds) throw new DemoFailed(`This should be so and is not: ${claim}${instead === "" ? "" : `\n${instead}`}`);
  print(`  -> ${claim}`);
}

/** Shows words of others: indented, control characters out, long lines folded. */
export function show(text: string, scratch: string): void {
  for (const line of text.replace(/\n+$/, "").split("\n")) {
    if (line !== "") print(fold(readable(line, scratch), "  "));
  }
}

/** The scratch folder's name is long and says nothing. */
function readable(text: string, scratch: string): string {
  return text
    .replaceAll(scratch, "DEMO")
    .replaceAll("\t", "  ")
    .replace(/[\p{Cc}\p{Cf}]/gu, "");
}

/** Breaks at spaces; what has none is cut. */
function fold(line: string, indent: string): string {
  const folded: string[] = [];
  let rest = line;
  while (rest.length > WIDTH) {
    const at = rest.lastIndexOf(" ", WIDTH);
    if (at <= WIDTH / 2) break;
    folded.push(rest.slice(0, at));
    rest = `  ${rest.slice(at + 1)}`;
  }
  folded.push(rest.length > WIDTH ? `${rest.slice(0, WIDTH - 1)}…` : rest);
  return folded.map((part) => `${indent}${part}`).join("\n");
}

export function showCommand(argv: readonly string[], scratch: string): void {
  const [program, ...rest] = argv;
  const words = [(program ?? "").split("/").at(-1) ?? "", ...rest].map((word) =>
    /[ ;{}']/.test(word) ? JSON.stringify(word) : word,
  );
  print(dim(fold(readable(`$ ${words.join(" ")}`, scratch), "")));
}

/** Runs a command to its end in the clean environment. An exit code is the caller's to judge, 127 when it cannot be run; a command that hangs ends the demo. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Done> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error("no program");
  const seconds = options.seconds ?? COMMAND_TIMEOUT_SECONDS;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { env: options.env ?? CLEAN_ENVIRONMENT, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new DemoFailed(`no end after ${seconds} s: ${argv.join(" ")}\n${stdout}${stderr}`));
    }, seconds * 1000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ code: EXIT_CANNOT_RUN, stdout, stderr: `cannot run ${program}: ${error.message}` });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    // A program that does not read its input may have closed it: that is its right.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.stdin ?? "");
  });
}

const background = new Set<ChildProcess>();
const spoken: { readonly name: string; said(): string }[] = [];

/** The last words of everything that was started, for whoever must find out why a step failed. */
export function lastWords(): string {
  return spoken.map(({ name, said }) => `--- ${name} said last:\n${said().slice(-MAX_LAST_WORDS)}`).join("\n");
}

/** Starts what stays: killed when the demo ends, however it ends. */
export function start(argv: readonly string[], env: Readonly<Record<string, string>> = CLEAN_ENVIRONMENT): Background {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error("no program");
  const child = spawn(program, rest, { env, stdio: ["ignore", "pipe", "pipe"] });
  background.add(child);
  let said = "";
  let stdout = "";
  spoken.push({ name: argv.slice(0, 2).join(" "), said: () => said });
  const ended = new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      said += `${error.message}\n`;
      background.delete(child);
      resolve(null);
    });
    child.on("close", (code) => {
      background.delete(child);
      resolve(code);
    });
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return {
    child,
    said: () => said,
    firstLine: () =>
      until(
        () => (stdout.includes("\n") ? (stdout.split("\n")[0] ?? null) : null),
        `a first line of ${program}`,
        () => said,
      ),
    ended: () => ended,
  };
}

/** Sends a signal and waits for the end; SIGKILL when it does not come. */
export async function stop(what: Background, signal: NodeJS.Signals): Promise<number | null> {
  what.child.kill(signal);
  const timer = setTimeout(() => what.child.kill("SIGKILL"), STOP_TIMEOUT_SECONDS * 1000);
  const code = await what.ended();
  clearTimeout(timer);
  return code;
}

/** Asks until there is an answer; ends the demo when there is none in time. */
export async function until<T>(
  ask: () => T | null | Promise<T | null>,
  what: string,
  said: () => string = () => "",
  seconds = 20,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const answer = await ask();
    if (answer !== null) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new DemoFailed(`waited ${seconds} s in vain for ${what}\n${said()}`);
}

/** Plays a demo in a folder of its own, from beginning to end; ends the process. `cleanedUp`: nothing of it is left, however it ended. */
export async function play(
  name: string,
  demo: (scratch: string) => Promise<void>,
  cleanedUp: (scratch: string) => void,
): Promise<never> {
  const started = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), `reeve-${name}-`));
  process.on("exit", () => cleanedUp(scratch));
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.on(signal, () => process.exit(code));
  try {
    await demo(scratch);
    say(`\ndemo: every step went as it says, in ${Math.round((performance.now() - started) / 1000)} s`);
    process.exit(0);
  } catch (error) {
    const words =
      error instanceof DemoFailed
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    process.stderr.write(`\nerror: the demo did not go as it says.\n${words}\n${lastWords()}\n`);
    process.exit(1);
  }
}

/** Nothing of the demo is left: children, workload, folder. Synchronous, so that it also works in an exit handler. */
export function cleanUp(scratch: string): void {
  for (const child of background) child.kill("SIGKILL");
  stopWorkload(scratch, "SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
}

/** The workload's processes outlive the agent by design; each wrote its pid down. Returns how many it signalled. */
export function stopWorkload(scratch: string, signal: NodeJS.Signals): number {
  const alive = workloadPids(scratch);
  for (const pid of alive) process.kill(pid, signal);
  return alive.length;
}

/** Pids whose process still is the demo's: a number alone may have been given to somebody else. */
export function workloadPids(scratch: string): number[] {
  const folder = `${scratch}/pids`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map(Number)
    .filter((pid) => pid > 1 && commandLine(pid).includes(scratch));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It is gone.
    return "";
  }
}
