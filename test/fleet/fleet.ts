import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endWorkload } from "../demo/fleetCustomers.ts";
import { AGENT, CONTROL, REEVE, running } from "../e2e/world.ts";
import { type Engine, type Plane, planeOf } from "./plane.ts";
import { CLEAN, killed, must } from "./processes.ts";

/** A control plane whose processes may be killed, and customers' machines with the compiled agent and the local provider. */
export type Customer = {
  readonly cluster: string;
  readonly folder: string;
  readonly config: string;
  agent: ChildProcess | null;
};
/** What a customer writes is made of this. `folder`: of the whole fleet; a customer's own is named by its cluster in it. */
export type Wiring = {
  readonly folder: string;
  readonly cluster: string;
  /** HOST:PORT. */
  readonly enrol: string;
  readonly trust: string;
  readonly root: string;
};
export type CustomerFiles = { readonly config: string; readonly policy: string };
export type Fleet = {
  readonly plane: Plane;
  readonly folder: string;
  readonly keys: string;
  readonly customers: readonly Customer[];
  startAgent(customer: Customer): void;
  killAgent(customer: Customer): Promise<void>;
  entries(customer: Customer): Promise<Record<string, unknown>[]>;
  end(): Promise<void>;
};

/** `files`: what each customer writes, once there are keys in the folder `keys`. */
export async function fleetOf(
  engine: Engine,
  clusters: readonly string[],
  files: (at: Wiring, keys: string) => CustomerFiles | Promise<CustomerFiles>,
): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-fleet-"));
  const ending: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const end = async (): Promise<void> => {
    for (const one of ending.splice(0).reverse()) await one();
  };
  try {
    const plane = await planeOf(engine, folder, ending);
    const keys = join(folder, "keys");
    const made = await must(CONTROL, "keys", "init", "--keys", keys, "--json");
    const { thumbprint: trust } = JSON.parse(made) as { thumbprint: string };
    const customers: Customer[] = [];
    ending.push(async () => {
      for (const customer of customers) if (customer.agent !== null) await killed(customer.agent);
      endWorkload(folder);
      for (const line of (await running("pgrep", "-f", `${folder}/.*/workload`)).stdout.split("\n"))
        if (line !== "") spawn("kill", ["-9", line]);
    });
    for (const cluster of clusters) {
      const token = await must(CONTROL, "token", "--dir", plane.dir, "--cluster", cluster, "--keys", keys);
      const at = { folder, cluster, enrol: plane.enrol, trust, root: plane.root };
      customers.push(placed(at, await files(at, keys), token.trim()));
    }
    return {
      plane,
      folder,
      keys,
      customers,
      startAgent(customer) {
        const child = spawn(AGENT, ["run", "--config", customer.config], {
          env: CLEAN,
          stdio: ["ignore", "ignore", "pipe"],
        });
        child.stderr?.on("data", (chunk: Buffer) => {
          if (existsSync(folder)) writeFileSync(join(folder, `${customer.cluster}.err`), chunk, { flag: "a" });
        });
        customer.agent = child;
      },
      async killAgent(customer) {
        if (customer.agent !== null) await killed(customer.agent);
        customer.agent = null;
      },
      async entries(customer) {
        const shown = await must(REEVE, "audit", "show", "--config", customer.config, "--json");
        return shown
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Record<string, unknown>);
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function placed(at: Wiring, { config, policy }: CustomerFiles, token: string): Customer {
  const folder = join(at.folder, at.cluster);
  mkdirSync(join(folder, "owner"), { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, "token"), token, { mode: 0o600 });
  writeFileSync(join(folder, "owner/policy.yaml"), policy, { mode: 0o644 });
  writeFileSync(join(folder, "owner/on"), "on\n", { mode: 0o644 });
  writeFileSync(join(folder, "reeve.yaml"), config, { mode: 0o644 });
  return { cluster: at.cluster, folder, config: join(folder, "reeve.yaml"), agent: null };
}
