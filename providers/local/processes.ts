import { readdirSync, readFileSync } from "node:fs";
import { kill } from "node:process";
import { CallFailed } from "../provider.ts";

/** A process for good: a pid is used again, a pid with its start time (proc(5), stat field 22, clock ticks since boot) is not. */
export type ProcessId = { readonly pid: number; readonly start: string };
export type SeenProcess = ProcessId & { readonly session: number };

/** Names this boot: pids and start times begin anew with the next. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function gone(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return code === "ENOENT" || code === "ESRCH";
}

/**
 * The process that has this pid now; null for none, and for one that is dead but not yet waited for. Throws CallFailed when /proc hides one
 * that we may signal, as a unit with ProtectProc= or PrivateUsers= does: taken for dead, it would be started once more.
 */
export function processAt(pid: number): SeenProcess | null {
  const stat = statOf(pid) ?? (signalable(pid) ? statOf(pid) : null);
  if (stat === null) {
    if (signalable(pid))
      throw new CallFailed("hidden", `process ${pid} lives, and the agent's unit hides it: local-groups.conf`, "none");
    return null;
  }
  // The name (field 2) may hold anything, also spaces and brackets: the fields begin after the last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, session, start] = [fields[0], fields[3], fields[19]];
  if (session === undefined || start === undefined) throw new Error("/proc/PID/stat has another form");
  if (state === "Z" || state === "X") return null;
  return { pid, start, session: Number(session) };
}

function statOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (gone(error)) return null;
    throw error;
  }
}

/** Another user's process that has the pid by now is none of ours: EPERM. */
function signalable(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    if (gone(error) || (error instanceof Error && "code" in error && error.code === "EPERM")) return false;
    throw error;
  }
}

export function lives(process: ProcessId): boolean {
  return processAt(process.pid)?.start === process.start;
}

/** Every process whose environment holds exactly this `NAME=value`. One that may not be read is not ours: ours run under us or under root. */
export function processesWith(marker: string): SeenProcess[] {
  const found: SeenProcess[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    let environ: string;
    try {
      environ = readFileSync(`/proc/${name}/environ`, "latin1");
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (gone(error) || code === "EACCES" || code === "EPERM") continue;
      throw error;
    }
    if (!environ.split("\0").includes(marker)) continue;
    const process = processAt(Number(name));
    if (process !== null) found.push(process);
  }
  return found;
}

/** Signals exactly this process, compared right before; false when it is gone. */
export function signalExactly(process: ProcessId, signal: "SIGTERM" | "SIGKILL"): boolean {
  if (!lives(process)) return false;
  try {
    kill(process.pid, signal);
    return true;
  } catch (error) {
    if (gone(error)) return false;
    throw error;
  }
}
