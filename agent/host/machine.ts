import { readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { notifier } from "./notify.ts";

/** The process's surroundings: what only main hands out. */
export type Machine = {
  readonly uid: number;
  readonly pid: number;
  readonly terminal: boolean;
  /** Standard output is one. */
  readonly screen: boolean;
  readonly runtime: string;
  readonly execArguments: readonly string[];
  /** systemd's credentials folder, or null. */
  readonly credentials: string | null;
  /** The environment as the kernel holds it: what a preload cannot have tidied away. */
  environ(): string;
  stdout(text: string): void;
  /** All of standard input, as text. */
  stdin(): string;
  /** Asks on the terminal; no where there is none. */
  confirm(question: string): Promise<boolean>;
  /** The person's home folder, for their own tools; null when it is not said. The agent never asks. */
  home(): string | null;
  stderr(text: string): void;
  /** SIGTERM and SIGINT. */
  onTerminate(then: () => void): void;
  /** Tells systemd, where it asked to be told. */
  notify(...words: string[]): void;
  /** Milliseconds within which systemd wants to hear `WATCHDOG=1`; null when it does not watch. */
  readonly watchdogMs: number | null;
  /** Collects what is not used any more, at once, and gives the memory back to the kernel. */
  giveBack(): void;
  /** Whether a process lives; true also when it is another user's. */
  alive(pid: number): boolean;
};

const PAUSE_MS = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes every byte. A pipe that does not block, as a parent may have left it, says EAGAIN while it is full: then we wait. A reader who has
 * gone, as `head` does, is told nothing more: standard output ends the command with the code that it has come to, standard error goes on.
 */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at, bytes.length - at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") Atomics.wait(pause, 0, 0, PAUSE_MS);
      else if (code !== "EPIPE") throw error;
      else if (descriptor === 1) process.exit();
      else return;
    }
  }
}

/** sd_watchdog_enabled(3). What is no positive number is not heard: systemd then ends the unit. */
function watchdogMs(microseconds: string | undefined): number | null {
  return microseconds !== undefined && /^[1-9]\d{3,15}$/.test(microseconds) ? Number(microseconds) / 1000 : null;
}

export function realMachine(): Machine {
  const out = (descriptor: number) => (text: string) => writeAll(descriptor, Buffer.from(text));
  return {
    uid: process.getuid?.() ?? -1,
    pid: process.pid,
    terminal: process.stderr.isTTY === true,
    screen: process.stdout.isTTY === true,
    runtime: `bun ${Bun.version}`,
    execArguments: process.execArgv,
    credentials: process.env["CREDENTIALS_DIRECTORY"] ?? null,
    environ: () => readFileSync("/proc/self/environ", "utf8"),
    stdout: out(1),
    stdin: () => readFileSync(0, "utf8"),
    async confirm(question) {
      if (process.stdin.isTTY !== true) return false;
      const asking = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return /^y(?:es)?$/i.test((await asking.question(question)).trim());
      } finally {
        asking.close();
      }
    },
    home: () => process.env["HOME"] ?? null,
    stderr: out(2),
    onTerminate(then) {
      process.once("SIGTERM", then);
      process.once("SIGINT", then);
    },
    notify: notifier(process.env["NOTIFY_SOCKET"], out(2)),
    watchdogMs: watchdogMs(process.env["WATCHDOG_USEC"]),
    giveBack: () => {
      Bun.gc(true);
      Bun.shrink();
    },
    alive(pid) {
      try {
        process.kill(pid, 0);
        return true;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM";
      }
    },
  };
}
