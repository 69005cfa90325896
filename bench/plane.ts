import { Database } from "bun:sqlite";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Compiled agents beside a compiled control plane on this machine, to be measured. */

const DIST = join(import.meta.dirname, "..", "dist");
/** The agent refuses an environment that could change what it runs; the control plane needs nothing either. */
const CLEAN = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const PATIENCE_MS = 30_000;

export type Plane = {
  /**
   * A customer's machine that joins as `cluster`. `place`: of its policy, which has no rules. `provider`: lines of the config.
   * `before`: the words of a program that starts the agent.
   */
  customer(cluster: string, place: string, provider: string, before?: readonly string[]): Customer;
  /** Ends everything that was started. */
  end(): Promise<void>;
};
export type Customer = {
  /** Starts the agent; milliseconds until its first poll is durable at the control plane. */
  start(): Promise<number>;
  stop(): Promise<void>;
  /** Of the agent that runs. */
  residentMegabytes(): number;
};

function vendor(...args: string[]): string {
  const done = spawnSync(join(DIST, "reeve-control"), args, { env: CLEAN, encoding: "utf8", timeout: PATIENCE_MS });
  if (done.status !== 0) throw new Error(`reeve-control ${args[0]} ended with ${done.status}: ${done.stderr}`);
  return done.stdout;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once("exit", (code) => reject(new Error(`reeve-control serve ended with ${code}`)));
  });
}

/** Ends it as systemd would; SIGKILL when it does not go. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  await gone;
  clearTimeout(late);
}

/** A config, an owner's folder with no rules, and a token, all in `folder`. Returns the config's path. */
function write(folder: string, cluster: string, place: string, plane: string, token: string, provider: string): string {
  const owner = join(folder, "owner");
  mkdirSync(owner, { recursive: true, mode: 0o755 });
  writeFileSync(join(owner, "on"), "on\n", { mode: 0o644 });
  const policy = `version: 1
revision: 1
cluster: ${cluster}
vendor: vendor.example
place: ${place}
people: {}
signers: {}
share: []
dry_run: refused
rules: []
tests: []
`;
  writeFileSync(join(owner, "policy.yaml"), policy, { mode: 0o644 });
  writeFileSync(join(folder, "token"), token, { mode: 0o600 });
  const config = join(folder, "reeve.yaml");
  const text = `version: 1
cluster: ${cluster}
control_plane: ${plane}
state: ${join(folder, "state")}
runtime: ${join(folder, "runtime")}
owner: { directory: ${owner}, uid: ${process.getuid?.() ?? 0} }
token: { file: ${join(folder, "token")} }
${provider}
`;
  writeFileSync(config, text, { mode: 0o644 });
  return config;
}

function run(config: string, log: string, before: readonly string[]): ChildProcess {
  const [program = "", ...words] = [...before, join(DIST, "reeve"), "run", "--config", config];
  const child = spawn(program, words, {
    env: CLEAN,
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr?.on("data", (chunk: Buffer) => writeFileSync(log, chunk, { flag: "a" }));
  return child;
}

/** Each poll carries the id of the process that sends it: its change in the control plane's state is the first poll, received. */
function pollingProcess(state: Database, cluster: string): string | null {
  const row = state.query("select process from clusters where cluster = ?").get(cluster);
  return (row as { process: string | null } | null)?.process ?? null;
}

export function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error("/proc does not say how much memory the agent has");
  return Number(kilobytes) / 1024;
}

export async function startPlane(scratch: string): Promise<Plane> {
  const [keys, data] = [join(scratch, "keys"), join(scratch, "control")];
  const made = vendor("keys", "init", "--keys", keys, "--json");
  const pin = /"([A-Za-z0-9_-]{43})"/.exec(made)?.[1];
  if (pin === undefined) throw new Error(`keys init says no thumbprint: ${made}`);
  const serve = ["serve", "--dir", data, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  const control = spawn(join(DIST, "reeve-control"), serve, { env: CLEAN, stdio: ["ignore", "pipe", "ignore"] });
  const { enrol } = JSON.parse(await firstLine(control)) as { enrol: string };
  const state = new Database(join(data, "state.db"), { readonly: true });
  const agents = new Set<ChildProcess>();
  return {
    customer(cluster, place, provider, before = []) {
      const token = vendor("token", "--dir", data, "--cluster", cluster).trim();
      const folder = join(scratch, cluster);
      const plane = `{ enrol: "https://${enrol}", trust_sha256: ${pin} }`;
      const config = write(folder, cluster, place, plane, token, provider);
      const log = join(folder, "agent.log");
      let agent: ChildProcess | null = null;
      return {
        async start() {
          const earlier = pollingProcess(state, cluster);
          const began = performance.now();
          agent = run(config, log, before);
          agents.add(agent);
          while (pollingProcess(state, cluster) === earlier) {
            if (agent.exitCode !== null || performance.now() - began > PATIENCE_MS)
              throw new Error(`the agent did not poll: ${readFileSync(log, "utf8").slice(-2000)}`);
            await Bun.sleep(1);
          }
          return performance.now() - began;
        },
        async stop() {
          if (agent !== null) await end(agent);
        },
        residentMegabytes: () => residentMegabytes(agent?.pid ?? 0),
      };
    },
    async end() {
      state.close();
      await Promise.all([...agents, control].map(end));
    },
  };
}
