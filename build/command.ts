/** What the scripts of build/ share. Only Node's own modules: setup.ts runs before anything is installed. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** The folder that package.json lies in. */
export const ROOT = join(import.meta.dirname, "..");

/**
 * The environment of every tool we start: this one's, less what changes what Bun does or builds,
 * and less the colours, so that what is printed reads the same in a file.
 */
export function toolEnvironment(): Record<string, string> {
  const kept: Record<string, string> = { NO_COLOR: "1" };
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined || /^(?:BUN_|FORCE_COLOR$|NODE_ENV$|NODE_OPTIONS$)/.test(name)) continue;
    kept[name] = value;
  }
  return kept;
}

/** Runs a program with our own output; true when it ended with exit code 0. Throws when it cannot be started. */
export function run(
  command: readonly [string, ...string[]],
  options: { folder?: string; seconds?: number } = {},
): boolean {
  const [program, ...rest] = command;
  const ended = spawnSync(program, rest, {
    cwd: options.folder ?? ROOT,
    env: toolEnvironment(),
    stdio: ["ignore", "inherit", "inherit"],
    ...(options.seconds === undefined ? {} : { timeout: options.seconds * 1000, killSignal: "SIGKILL" as const }),
  });
  if (ended.error !== undefined && (ended.error as NodeJS.ErrnoException).code !== "ETIMEDOUT") throw ended.error;
  return ended.status === 0;
}

/** Runs a tool with nothing of our environment but the path, and what is given; true when it ended with exit code 0. */
export function runWith(command: readonly string[], given: Readonly<Record<string, string>>): boolean {
  const [program = "", ...rest] = command;
  const env = { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8", TZ: "UTC", ...given };
  const ended = spawnSync(program, rest, { cwd: ROOT, env, stdio: ["ignore", "ignore", "inherit"] });
  return ended.status === 0;
}

/** The path of a program that an npm package brings. */
export function packageProgram(name: string): string {
  return join(ROOT, "node_modules", ".bin", name);
}

/** Says why on stderr, in the form of every refusal of ours, and ends the process with exit code 1. */
export function fail(error: string, hint: string): never {
  process.stderr.write(`error: ${error}\nhint: ${hint}\n`);
  process.exit(1);
}
