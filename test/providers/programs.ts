/** Groups of processes that a deploy takes to another program: /usr/bin/sleep, with bytes behind it that make each a program of its own. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import { processAt } from "../../providers/local/processes.ts";

export type Program = { readonly image: string; readonly path: string };
export type Artifacts = { readonly directory: string; readonly uid: number };

/** Lies where a deploy looks for it, under its digest. */
export function addProgram({ directory }: Artifacts, words: string, of = "/usr/bin/sleep"): Program {
  const bytes = Buffer.concat([readFileSync(of), Buffer.from(words)]);
  const hex = createHash("sha256").update(bytes).digest("hex");
  const path = join(directory, hex);
  writeFileSync(path, bytes, { mode: 0o755 });
  chmodSync(path, 0o755);
  return { image: `sha256:${hex}`, path };
}

/** `first`: what the config's command starts, outside of the artifacts. `state`: of the provider's bookkeeping. */
export type Premises = {
  readonly artifacts: Artifacts;
  readonly state: string;
  readonly config: LocalConfig;
  readonly first: Program;
};

export function premises(folder: string, more: Partial<LocalConfig["groups"][string]> = {}): Premises {
  const artifacts = { directory: join(folder, "artifacts"), uid: process.getuid?.() ?? 0 };
  mkdirSync(artifacts.directory, { recursive: true, mode: 0o755 });
  mkdirSync(join(folder, "first"), { recursive: true });
  const first = addProgram({ ...artifacts, directory: join(folder, "first") }, "first");
  const group = {
    command: [first.path, "600"],
    health: { probe: "none" as const },
    ready_seconds: 0,
    stop_seconds: 5,
    deploy_as_agent: true as const,
    ...more,
  };
  return {
    artifacts,
    state: join(folder, "state"),
    config: { groups: { web: group }, authorities: {}, zones: {} },
    first,
  };
}

/** Images of the processes that run a program of this folder, by the kernel, sorted; of each the pid. */
export function livingIn(folder: string): { readonly pid: number; readonly image: string }[] {
  const found: { pid: number; image: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const exe = readlinkSync(`/proc/${name}/exe`).replace(/ \(deleted\)$/, "");
      if (exe.startsWith(`${folder}/`) && processAt(Number(name)) !== null)
        found.push({ pid: Number(name), image: `sha256:${basename(exe)}` });
    } catch {
      // It ended while we looked.
    }
  }
  return found.sort((a, b) => (a.image < b.image ? -1 : a.image > b.image ? 1 : a.pid - b.pid));
}

export function imagesIn(folder: string): string[] {
  return livingIn(folder).map(({ image }) => image);
}

export function killAll(folder: string): void {
  for (const { pid } of livingIn(folder)) process.kill(pid, "SIGKILL");
}
