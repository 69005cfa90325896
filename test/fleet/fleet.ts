import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AGENT, CONTROL, REEVE, running } from "../e2e/world.ts";
import { type Balancer, balancer } from "./balancer.ts";
import { type Postgres, placeDatabase, startPostgres } from "./postgres.ts";

/** Several replicas on one PostgreSQL behind one name, and customers' machines with the compiled agent and the local provider. */
const CLEAN = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
const MINUTE = 60_000;

export type Replica = { readonly dir: string; readonly host: string; child: ChildProcess };
export type Customer = {
  readonly cluster: string;
  readonly state: string;
  readonly config: string;
  /** A line for each process of the group that was ever started. */
  readonly started: string;
  agent: ChildProcess | null;
};
export type Fleet = {
  readonly postgres: Postgres;
  readonly folder: string;
  readonly keys: string;
  readonly replicas: readonly Replica[];
  readonly customers: readonly Customer[];
  startReplica(replica: Replica): Promise<void>;
  /** kill -9. */
  killReplica(replica: Replica): Promise<void>;
  startAgent(customer: Customer): void;
  killAgent(customer: Customer): Promise<void>;
  entries(customer: Customer): Promise<Record<string, unknown>[]>;
  end(): Promise<void>;
};

export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 2 * MINUTE): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it never came to be: ${what}`);
    await Bun.sleep(100);
  }
}

export async function fleetOf(clusters: readonly string[]): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-fleet-"));
  const path = (...names: string[]): string => join(folder, ...names);
  const ending: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const end = async (): Promise<void> => {
    for (const one of ending.splice(0).reverse()) await one();
  };
  try {
    const postgres = await startPostgres();
    ending.push(() => postgres.end());
    const database = await postgres.database();
    const replicas = [1, 2, 3].map(
      (n): Replica => ({ dir: path(`replica-${n}`), host: `127.0.0.${n + 1}`, child: none() }),
    );
    const living = (port: () => number) => () => replicas.map(({ host }) => ({ host, port: port() }));
    const enrol: Balancer = await balancer(living(() => enrol.port));
    const agents: Balancer = await balancer(living(() => agents.port));
    ending.push(enrol.end, agents.end);
    ending.push(async () => {
      for (const replica of replicas) await killed(replica.child);
    });

    async function startReplica(replica: Replica): Promise<void> {
      const at = ["--enrol", `127.0.0.1:${enrol.port}`, "--agents", `127.0.0.1:${agents.port}`, "--bind", replica.host];
      replica.child = spawn(CONTROL, ["serve", "--dir", replica.dir, ...at], {
        env: CLEAN,
        stdio: ["ignore", "pipe", "pipe"],
      });
      await firstLine(replica.child);
    }

    for (const [at, replica] of replicas.entries()) {
      placeDatabase(replica.dir, database);
      // The operator copies the keys of the first one.
      if (at > 0) cpSync(path("replica-1", "ca"), join(replica.dir, "ca"), { recursive: true });
      await startReplica(replica);
    }
    const keys = path("keys");
    const made = await must(CONTROL, "keys", "init", "--keys", keys, "--json");
    const { thumbprint } = JSON.parse(made) as { thumbprint: string };
    const customers: Customer[] = [];
    ending.push(async () => {
      for (const customer of customers) if (customer.agent !== null) await killed(customer.agent);
      for (const line of (await running("pgrep", "-f", `${folder}/.*/workload`)).stdout.split("\n"))
        if (line !== "") spawn("kill", ["-9", line]);
    });
    for (const cluster of clusters) {
      const dir = replicas[0]?.dir ?? "";
      const token = await must(CONTROL, "token", "--dir", dir, "--cluster", cluster, "--keys", keys);
      customers.push(customerOf(path(cluster), cluster, `127.0.0.1:${enrol.port}`, thumbprint, token.trim()));
    }
    const startAgent = (customer: Customer): void => {
      const child = spawn(AGENT, ["run", "--config", customer.config], {
        env: CLEAN,
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr?.on("data", (chunk: Buffer) => {
        if (existsSync(folder)) writeFileSync(join(folder, `${customer.cluster}.err`), chunk, { flag: "a" });
      });
      customer.agent = child;
    };
    return {
      postgres,
      folder,
      keys,
      replicas,
      customers,
      startReplica,
      killReplica: (replica) => killed(replica.child),
      startAgent,
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

function none(): ChildProcess {
  return spawn("true");
}

async function must(program: string, ...args: string[]): Promise<string> {
  const done = await running(program, ...args);
  if (done.code !== 0) throw new Error(`${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

function firstLine(child: ChildProcess): Promise<string> {
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

const POLICY = (cluster: string): string => `version: 1
revision: 1
cluster: ${cluster}
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: allowed
rules:
  - id: brokers
    why: More load, and less.
    allow: scale
    group: brokers
    count: { min: 0, max: 4 }
    change: { up: 4, down: 4 }
    rate: 1000 per hour
    when: always
    approval: none
tests: []
`;

function customerOf(folder: string, cluster: string, enrol: string, pin: string, token: string): Customer {
  const path = (name: string): string => join(folder, name);
  mkdirSync(path("owner"), { recursive: true, mode: 0o755 });
  writeFileSync(path("token"), token, { mode: 0o600 });
  writeFileSync(path("owner/policy.yaml"), POLICY(cluster), { mode: 0o644 });
  writeFileSync(path("owner/on"), "on\n", { mode: 0o644 });
  writeFileSync(path("started"), "");
  writeFileSync(path("workload"), `#!/bin/sh\necho "$$" >>${path("started")}\nwhile :; do sleep 1; done\n`, {
    mode: 0o755,
  });
  writeFileSync(
    path("reeve.yaml"),
    `version: 1
cluster: ${cluster}
control_plane: { enrol: "https://${enrol}", trust_sha256: ${pin} }
state: ${path("state")}
runtime: ${path("runtime")}
owner: { directory: ${path("owner")}, uid: ${process.getuid?.() ?? 0} }
csr: ${path("csr")}
token: { file: ${path("token")} }
provider: local
local:
  groups: { brokers: { command: [${path("workload")}, "{n}"], stop_seconds: 2 } }
`,
    { mode: 0o644 },
  );
  return { cluster, state: path("state"), config: path("reeve.yaml"), started: path("started"), agent: null };
}

export function lines(file: string): string[] {
  return readFileSync(file, "utf8").split("\n").filter(Boolean);
}
