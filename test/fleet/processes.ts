import { type ChildProcess, spawn } from "node:child_process";
import { running } from "../e2e/world.ts";

/** What the worlds of this folder start, wait for and kill. */
export const CLEAN = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
const MINUTE = 60_000;

export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 2 * MINUTE): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it never came to be: ${what}`);
    await Bun.sleep(100);
  }
}

/** A process that has just ended, where one is to be. */
export function none(): ChildProcess {
  return spawn("true");
}

/** Its output; throws where it does not end well. */
export async function must(program: string, ...args: string[]): Promise<string> {
  const done = await running(program, ...args);
  if (done.code !== 0) throw new Error(`${args.join(" ")}: ${done.stdout}${done.stderr}`);
  return done.stdout;
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let [text, said] = ["", ""];
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text);
    });
    child.once("exit", (code) => reject(new Error(`serve ended with ${code} before its first line: ${said}`)));
  });
}
