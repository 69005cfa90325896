import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { configText, GROUP, policyText, type Wiring } from "./fleetFiles.ts";
import { type Background, DemoFailed, run, start, until } from "./stage.ts";

/** The customers of the fleet: each a folder, an agent and a group of real processes. */
export type Customer = { readonly cluster: string; readonly config: string; readonly agent: Background };

export type Vendor = { readonly reeve: string; readonly control: string; readonly dir: string; readonly keys: string };

/** Begins one: its files, its token, its agent. Ready when its agent says so. */
export async function join(vendor: Vendor, at: Wiring, signer: string): Promise<Customer> {
  const folder = `${at.scratch}/${at.cluster}`;
  mkdirSync(`${folder}/owner`, { recursive: true, mode: 0o755 });
  writeFileSync(`${folder}/owner/policy.yaml`, policyText(at.cluster, signer), { mode: 0o644 });
  writeFileSync(`${folder}/owner/on`, "on\n", { mode: 0o644 });
  const config = `${folder}/reeve.yaml`;
  writeFileSync(config, configText(at), { mode: 0o644 });
  const token = await run([vendor.control, "token", "--dir", vendor.dir, "--cluster", at.cluster, "--ttl", "1h"]);
  if (token.code !== 0) throw new DemoFailed(`no token for ${at.cluster}: ${token.stderr}`);
  writeFileSync(`${folder}/token`, token.stdout.trim(), { mode: 0o600 });
  const agent = start([vendor.reeve, "run", "--config", config]);
  await until(
    async () => ((await run([vendor.reeve, "status", "--config", config, "--json"])).code === 0 ? true : null),
    `${at.cluster} to be ready`,
    agent.said,
    60,
  );
  return { cluster: at.cluster, config, agent };
}

/** Starts the group's two processes, by a command as any other. */
export async function scaleUp(vendor: Vendor, cluster: string): Promise<void> {
  const send = [vendor.control, "send", "--dir", vendor.dir, "--keys", vendor.keys, "--cluster", cluster];
  const done = await run([
    ...send,
    "--by",
    "maria@vendor.example",
    "--why",
    "first machines",
    "--wait",
    "scale",
    "--group",
    GROUP,
    "--count",
    "2",
  ]);
  if (done.code !== 0) throw new DemoFailed(`${cluster} was not scaled: ${done.stdout}${done.stderr}`);
}

/** Pids whose program lies in the demo's folder, the agents' own apart: the workload, wherever it was started from. */
export function workload(scratch: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => programOf(pid).startsWith(`${scratch}/`));
}

function programOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    // It is gone, or somebody else's.
    return "";
  }
}

export function endWorkload(scratch: string): void {
  for (const pid of workload(scratch)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
}

/** Runs `work` for each, `width` at a time. */
export async function each<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const lane = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
