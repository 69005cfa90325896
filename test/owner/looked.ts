import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { CHECKS, type Level, type Line } from "../../agent/doctor/line.ts";
import { type Ran, REEVE, type World, type WorldOptions, world } from "../e2e/world.ts";

/** The agent's user in these tests; the owner is root. */
export const AGENT = 65534;
export const AS_AGENT = ["setpriv", `--reuid=${AGENT}`, `--regid=${AGENT}`, "--clear-groups"];

export type Report = {
  readonly code: number | null;
  readonly lines: readonly Line[];
  readonly text: string;
  readonly milliseconds: number;
};

/** A world whose agent has a user of its own, as the unit gives it one. */
export async function worldOfTwo(options: WorldOptions = {}): Promise<World> {
  const w = await world(options);
  for (const folder of ["state", "runtime", "inbox"])
    mkdirSync(join(w.folder, folder), { mode: folder === "runtime" ? 0o755 : 0o700 });
  // The agent unlinks its token: the folder must be its own.
  renameSync(join(w.folder, "token"), tokenOf(w));
  writeFileSync(w.config, readFileSync(w.config, "utf8").replace(join(w.folder, "token"), tokenOf(w)));
  for (const path of ["state", "runtime", "inbox", "inbox/token", "csr", "zone", "authority", "authority/ca.key"])
    chownSync(join(w.folder, path), AGENT, AGENT);
  return w;
}

export function tokenOf(w: World): string {
  return join(w.folder, "inbox/token");
}

/** Runs `reeve doctor --json`. `before`: words before it, such as AS_AGENT. */
export function doctor(w: World, before: readonly string[] = [], ...more: string[]): Report {
  return doctorOf(w.config, before, ...more);
}

export function doctorOf(config: string, before: readonly string[] = [], ...more: string[]): Report {
  const [program = "", ...args] = [...before, REEVE, "doctor", "--json", "--config", config, ...more];
  const began = performance.now();
  const done = spawnSync(program, args, {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    encoding: "utf8",
    timeout: 60_000,
  });
  const milliseconds = performance.now() - began;
  if (done.stdout === "") throw new Error(`doctor said nothing: ${done.stderr}`);
  const { lines } = JSON.parse(done.stdout) as { lines: Line[] };
  tidy(lines);
  return { code: done.status, lines, text: done.stdout + done.stderr, milliseconds };
}

/** What holds for every report: its order, and that whatever is not ok says what to do. */
function tidy(lines: readonly Line[]): void {
  const places = lines.map(({ check }) => CHECKS.indexOf(check));
  if (places.some((place, at) => place < 0 || place < (places[at - 1] ?? 0)))
    throw new Error("the lines are out of order");
  for (const { check, level, looked_at, found, hint } of lines) {
    if (looked_at === "" || found === "") throw new Error(`a line of ${check} says nothing`);
    if ((level === "ok") !== (hint === null || hint === ""))
      throw new Error(`a line of ${check}, ${level}, and its hint: ${hint}`);
  }
}

/** The line of a check that speaks of `part`. */
export function line(report: Report, check: Line["check"], part = ""): Line {
  const found = report.lines.find((one) => one.check === check && `${one.looked_at}: ${one.found}`.includes(part));
  if (found === undefined)
    throw new Error(
      `no line of ${check} about "${part}" in ${JSON.stringify(report.lines.filter((one) => one.check === check))}`,
    );
  return found;
}

export function levels(report: Report, level: Level): string[] {
  return report.lines.filter((one) => one.level === level).map(({ check }) => check);
}

/** Puts other content at a path for as long as `act` runs; null takes it away. Owner and mode stay. */
export async function having<T>(path: string, content: string | null, act: () => T | Promise<T>): Promise<T> {
  const kept = `${path}.kept-aside`;
  const before = existsSync(path) ? statSync(path) : null;
  if (before !== null) renameSync(path, kept);
  try {
    if (content !== null) {
      writeFileSync(path, content);
      chmodSync(path, before === null ? 0o644 : before.mode & 0o7777);
      if (before !== null) chownSync(path, before.uid, before.gid);
    }
    return await act();
  } finally {
    rmSync(path, { force: true });
    if (before !== null) renameSync(kept, path);
  }
}

/** Changes owner and mode for as long as `act` runs. */
export function asIf<T>(path: string, change: { uid?: number; mode?: number }, act: () => T): T {
  const { uid, gid, mode } = statSync(path);
  if (change.uid !== undefined) chownSync(path, change.uid, gid);
  if (change.mode !== undefined) chmodSync(path, change.mode);
  try {
    return act();
  } finally {
    chownSync(path, uid, gid);
    chmodSync(path, mode & 0o7777);
  }
}

/** Every path below a folder with owner, mode, size, times of change and content. */
export function snapshot(folder: string): string {
  const all = spawnSync("find", [folder, "-printf", "%p %U:%G %m %s %T@ %C@\n"], { encoding: "utf8" }).stdout;
  const sums = spawnSync("sh", ["-c", `find '${folder}' -type f -print0 | sort -z | xargs -0 sha256sum`], {
    encoding: "utf8",
  });
  return all.split("\n").sort().join("\n") + sums.stdout;
}

export function plain(w: World, ...more: string[]): Ran {
  return w.reeve(["doctor"], ...more);
}
