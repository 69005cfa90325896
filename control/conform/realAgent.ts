import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ed25519Public } from "../../agent/audit/note.ts";
import { Unmet } from "./case.ts";
import { jsonOf } from "./line.ts";

const UNTIL_MS = 60_000;
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

export type EntryRead = Readonly<Record<string, unknown>>;
/** `reeve run` in a scratch folder, with the local provider and a policy of its own: groups `grows` (up to 3) and `asks` (a person must agree). */
export type RealAgent = {
  readonly cluster: string;
  /** The log, as it lies there. */
  entries(): readonly EntryRead[];
  /** Processes of its groups that run. */
  running(): number;
  /** Its exit code; null while it runs. */
  readonly exit: number | null;
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  kill(): Promise<void>;
  start(): void;
  end(): Promise<void>;
};
type Start = {
  readonly program: string;
  readonly url: string;
  readonly cluster: string;
  readonly token: string;
  readonly pin: string;
  readonly trustDomain: string;
};

export function startAgent(at: Start): RealAgent {
  const folder = mkdtempSync(join(tmpdir(), "reeve-conform-"));
  writeFolder(folder, at);
  let said = "";
  let over = false;
  let child = run();
  function run(): ChildProcess {
    const started = spawn(at.program, ["run", "--config", join(folder, "reeve.yaml")], {
      env: ENVIRONMENT,
      stdio: ["ignore", "ignore", "pipe"],
    });
    started.on("error", (error) => {
      said += String(error);
    });
    started.stderr?.on("data", (part: Buffer) => {
      said = (said + part.toString()).slice(-4000);
    });
    return started;
  }
  const agent: RealAgent = {
    cluster: at.cluster,
    entries: () => entriesOf(join(folder, "state", "audit")),
    running: () => workloads(folder).length,
    get exit() {
      return child.exitCode;
    },
    async until(what, holds) {
      for (const end = Date.now() + UNTIL_MS; !(await holds()); await wait(100))
        if (Date.now() > end) throw new Unmet(`it never came to be that ${what}; the agent says ${lastLine(said)}`);
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
    start() {
      if (over) throw new Unmet("it was told to end");
      child = run();
    },
    async end() {
      over = true;
      await agent.kill();
      for (const pid of workloads(folder)) kill(pid);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return agent;
}

function lastLine(said: string): string {
  return JSON.stringify(said.trim().split("\n").at(-1)?.slice(0, 300) ?? "");
}

function writeFolder(folder: string, { url, cluster, token, pin, trustDomain }: Start): void {
  const path = (name: string): string => join(folder, name);
  const uid = process.getuid?.() ?? 0;
  mkdirSync(path("owner"), { mode: 0o755 });
  writeFileSync(path("token"), token, { mode: 0o600 });
  writeFileSync(path("owner/on"), "on\n", { mode: 0o644 });
  writeFileSync(path("owner/policy.yaml"), policyOf(cluster, trustDomain, personsKey()), { mode: 0o644 });
  writeFileSync(path("workload"), "#!/bin/sh\nwhile :; do sleep 1; done\n", { mode: 0o755 });
  const config = `version: 1
cluster: ${cluster}
control_plane: { enrol: "${url}", trust_sha256: ${pin} }
state: ${path("state")}
runtime: ${path("runtime")}
owner: { directory: ${path("owner")}, uid: ${uid} }
token: { file: ${path("token")} }
key_rotation: automatic
provider: local
local:
  groups:
    grows: { command: [${path("workload")}, "{n}"], stop_seconds: 2 }
    asks: { command: [${path("workload")}, "{n}"], stop_seconds: 2 }
  authorities: {}
  zones: {}
`;
  writeFileSync(path("reeve.yaml"), config, { mode: 0o644 });
}

function policyOf(cluster: string, vendor: string, person: string): string {
  const rule = (group: string, approval: string): string => `  - id: ${group}
    why: The conformance cases.
    allow: scale
    group: ${group}
    count: { min: 0, max: 3 }
    change: { up: 3, down: 3 }
    rate: 1000 per hour
    when: always
    approval: ${approval}
`;
  return `version: 1
revision: 1
cluster: ${cluster}
vendor: ${vendor}
place: { cloud: local }
people: { alice: ${person} }
signers: {}
share: []
dry_run: allowed
rules:
${rule("grows", "none")}${rule("asks", "{ by: [alice], need: 1, within: 1h }")}tests: []
`;
}

/** An OpenSSH public key (RFC 8709) whose private half nobody keeps. */
function personsKey(): string {
  const field = (bytes: Uint8Array): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const key = ed25519Public(generateKeyPairSync("ed25519").privateKey);
  return `ssh-ed25519 ${Buffer.concat([field(Buffer.from("ssh-ed25519")), field(key)]).toString("base64")}`;
}

function entriesOf(folder: string): readonly EntryRead[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
    .map((line) => jsonOf(line) as EntryRead | undefined)
    .filter((entry) => entry !== undefined);
}

/** Processes whose command line names the folder's workload, and which lead a session of their own. */
function workloads(folder: string): number[] {
  const workload = join(folder, "workload");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => read(`/proc/${pid}/cmdline`).includes(workload))
    .filter((pid) => read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ")[3] === String(pid));
}

/** A process that has just ended has no text. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ESRCH") throw error;
  }
}
