import { Database } from "bun:sqlite";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Effort, type Figure, median } from "./figure.ts";
import { CLUSTER } from "./log.ts";

const DIST = join(import.meta.dirname, "..", "dist");
/** The agent refuses an environment that could change what it runs; the control plane needs nothing either. */
const CLEAN = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const TARGET_FIRST_POLL_MS = 150;
const TARGET_IDLE_MB = 70;
const PATIENCE_MS = 30_000;

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

type Customer = { readonly config: string; readonly log: string };

/** A config, an owner's folder with no rules, and a token, all in `scratch`. */
function customer(scratch: string, enrol: string, pin: string, token: string): Customer {
  const owner = join(scratch, "owner");
  mkdirSync(owner, { mode: 0o755 });
  writeFileSync(join(owner, "on"), "on\n", { mode: 0o644 });
  const policy = `version: 1
revision: 1
cluster: ${CLUSTER}
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: refused
rules: []
tests: []
`;
  writeFileSync(join(owner, "policy.yaml"), policy, { mode: 0o644 });
  writeFileSync(join(scratch, "token"), token, { mode: 0o600 });
  const config = join(scratch, "reeve.yaml");
  const text = `version: 1
cluster: ${CLUSTER}
control_plane: { enrol: "https://${enrol}", trust_sha256: ${pin} }
state: ${join(scratch, "state")}
runtime: ${join(scratch, "runtime")}
owner: { directory: ${owner}, uid: ${process.getuid?.() ?? 0} }
token: { file: ${join(scratch, "token")} }
provider: local
`;
  writeFileSync(config, text, { mode: 0o644 });
  return { config, log: join(scratch, "agent.log") };
}

function agent(of: Customer): ChildProcess {
  const child = spawn(join(DIST, "reeve"), ["run", "--config", of.config], {
    env: CLEAN,
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr?.on("data", (chunk: Buffer) => writeFileSync(of.log, chunk, { flag: "a" }));
  return child;
}

/** Each poll carries the id of the process that sends it: its change in the control plane's state is the first poll, received. */
function pollingProcess(state: Database): string | null {
  const row = state.query("select process from clusters where cluster = ?").get(CLUSTER);
  return (row as { process: string | null } | null)?.process ?? null;
}

/** Milliseconds from starting the agent until its first poll is durable at the control plane. */
async function firstPoll(of: Customer, state: Database): Promise<{ child: ChildProcess; milliseconds: number }> {
  const before = pollingProcess(state);
  const start = performance.now();
  const child = agent(of);
  while (pollingProcess(state) === before) {
    if (child.exitCode !== null || performance.now() - start > PATIENCE_MS) {
      child.kill("SIGKILL");
      throw new Error(`the agent did not poll: ${readFileSync(of.log, "utf8").slice(-2000)}`);
    }
    await Bun.sleep(1);
  }
  return { child, milliseconds: performance.now() - start };
}

function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error("/proc does not say how much memory the agent has");
  return Number(kilobytes) / 1024;
}

/** The compiled agent beside a compiled control plane on this machine: start to first poll when enrolled, and idle memory. */
export async function agentFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const [keys, data] = [join(scratch, "keys"), join(scratch, "control")];
  const made = vendor("keys", "init", "--keys", keys, "--json");
  const pin = /"([A-Za-z0-9_-]{43})"/.exec(made)?.[1];
  if (pin === undefined) throw new Error(`keys init says no thumbprint: ${made}`);
  const serve = ["serve", "--dir", data, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  const control = spawn(join(DIST, "reeve-control"), serve, { env: CLEAN, stdio: ["ignore", "pipe", "ignore"] });
  const children: ChildProcess[] = [control];
  try {
    const { enrol } = JSON.parse(await firstLine(control)) as { enrol: string };
    const token = vendor("token", "--dir", data, "--cluster", CLUSTER).trim();
    const of = customer(scratch, enrol, pin, token);
    const state = new Database(join(data, "state.db"), { readonly: true });
    const joined = await firstPoll(of, state);
    children.push(joined.child);
    await end(joined.child);
    const starts: number[] = [];
    for (let round = 0; round < (quick ? 3 : 9); round++) {
      const started = await firstPoll(of, state);
      children.push(started.child);
      starts.push(started.milliseconds);
      await end(started.child);
    }
    const idle = await firstPoll(of, state);
    children.push(idle.child);
    const seconds = quick ? 5 : 60;
    await Bun.sleep(seconds * 1000);
    const megabytes = residentMegabytes(idle.child.pid ?? 0);
    state.close();
    const [poll, spread] = [
      median(starts),
      `${Math.min(...starts).toFixed(0)} to ${Math.max(...starts).toFixed(0)} ms`,
    ];
    return [
      {
        what: "start to first poll, enrolled",
        ours: `${poll.toFixed(0)} ms`,
        beside: `${starts.length} starts: ${spread}`,
        ratio: "",
        target: `under ${TARGET_FIRST_POLL_MS} ms`,
        reached: poll < TARGET_FIRST_POLL_MS,
      },
      {
        what: `resident memory after ${seconds} s idle`,
        ours: `${megabytes.toFixed(0)} MB`,
        beside: "",
        ratio: "",
        target: `under ${TARGET_IDLE_MB} MB`,
        reached: megabytes < TARGET_IDLE_MB,
      },
    ];
  } finally {
    await Promise.all(children.map(end));
  }
}
