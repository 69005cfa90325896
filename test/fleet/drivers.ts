import { type ChildProcess, spawn } from "node:child_process";
import { CONTROL } from "../e2e/world.ts";
import type { Fleet } from "./fleet.ts";
import { CLEAN, killed } from "./processes.ts";

/** Compiled `reeve-control rollout run`, several at once, each of which may be killed. */
export type Drivers = {
  /** kill -9, and another one in its place. */
  replace(n: number): Promise<void>;
  /** Of each that ended without being killed: what it said. */
  readonly fallen: readonly string[];
  end(): Promise<void>;
};

export function driversOf({ plane, keys }: Fleet, count: number): Drivers {
  const fallen: string[] = [];
  const start = (): ChildProcess => {
    const child = spawn(CONTROL, ["rollout", "run", "--dir", plane.dir, "--keys", keys], {
      env: CLEAN,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once("exit", (code, signal) => {
      if (signal !== "SIGKILL") fallen.push(`exit ${code ?? signal}: ${said}`);
    });
    return child;
  };
  const running = Array.from({ length: count }, start);
  return {
    fallen,
    async replace(n) {
      const old = running[n % count];
      if (old === undefined) throw new Error("no driver");
      await killed(old);
      running[n % count] = start();
    },
    async end() {
      for (const child of running) await killed(child);
    },
  };
}
