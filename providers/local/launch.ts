import { type StdioOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { getegid, geteuid } from "node:process";
import { CallFailed } from "../provider.ts";
import type { GroupConfig } from "./probe.ts";
import { type ProcessId, processAt } from "./processes.ts";

/** All that a started program gets to know: nothing of the agent's own environment. */
export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SETPRIV = "/usr/bin/setpriv";
const SYSTEMD_RUN = "/usr/bin/systemd-run";
/** There exactly where systemd is the init system (sd_booted(3)). */
const SYSTEMD_RUNS = "/run/systemd/system";

export type Launch = {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** An open descriptor: what is executed is the very file that was judged on it, whatever lies under any name. Null: the command's own. */
  readonly program: number | null;
  readonly user: string | undefined;
  readonly env: Readonly<Record<string, string>>;
};

/** Program and arguments of process `n`. */
export function commandOf(group: GroupConfig, n: number): string[] {
  return group.command.map((part, index) => (index === 0 ? part : part.replaceAll("{n}", String(n))));
}

/** The descriptor in the child, and the name by which the kernel executes it. */
const PROGRAM_FD = 3;
const PROGRAM = `/proc/self/fd/${PROGRAM_FD}`;

/** How the program is started on this machine. Each wrapper becomes the next by exec, so the pid is the program's own. */
function wrapped({ command, program, user }: Launch): string[] {
  const uid = geteuid?.() ?? -1;
  const own = `${uid}:${getegid?.() ?? -1}`;
  let words = program === null ? [...command] : [PROGRAM, ...command.slice(1)];
  if (user !== undefined && user !== own) {
    if (uid !== 0)
      throw new CallFailed(
        "needs-root",
        `the group's processes run as ${user}, and only root can start them; the agent runs as ${own}`,
        "none",
      );
    const [reuid, regid] = user.split(":");
    words = [SETPRIV, `--reuid=${reuid}`, `--regid=${regid}`, "--clear-groups", "--no-new-privs", "--", ...words];
  }
  // In a scope of its own it is no part of the agent's unit and outlives it.
  if (uid === 0 && existsSync(SYSTEMD_RUNS)) words = [SYSTEMD_RUN, "--scope", "--collect", "--quiet", "--", ...words];
  return words;
}

/** What setresuid(2) takes for "leave it as it is". */
const NO_UID = 0xffff_ffff;

/** What an outcome's details say then. */
export const SHARES_USER = "the group's processes run under the agent's own user or as root: the config names no other";

/** Whether the group's processes have the agent's own rights, or root's: the config names no other user for them. */
export function sharesUser(user: string | undefined): boolean {
  const own = geteuid?.();
  if (user === undefined || own === undefined) return true;
  const uid = Number(user.split(":")[0]);
  return uid === own || uid === 0 || uid >= NO_UID;
}

/**
 * Starts one program in a session of its own, without the agent's environment and descriptors but the program's own, which is read only. `leave` is called right before.
 * Null when it ended at once. Throws CallFailed when it could not be started.
 */
export async function launch(what: Launch, leave: () => void): Promise<ProcessId | null> {
  const [program, ...rest] = wrapped(what);
  if (program === undefined) throw new Error("an empty command passed the config's schema");
  leave();
  const stdio = ["ignore", "ignore", "ignore", ...(what.program === null ? [] : [what.program])] as StdioOptions;
  const child = spawn(program, rest, { detached: true, stdio, cwd: "/", env: { PATH, ...what.env } });
  child.unref();
  const error = await new Promise<Error | null>((resolve) => {
    child.once("error", resolve);
    child.once("spawn", () => resolve(null));
  });
  if (error !== null || child.pid === undefined) {
    const code = error !== null && "code" in error ? String(error.code) : "not-started";
    throw new CallFailed(code, error?.message ?? "no process id", "none");
  }
  const found = processAt(child.pid);
  return found === null ? null : { pid: found.pid, start: found.start };
}
