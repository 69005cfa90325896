import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runHardened } from "../../build/hardened/hardened.ts";

/** The compiled executables, started as their users would: with an environment of their own. */
const DIST = resolve(import.meta.dir, "../../dist");
export const REEVE = join(DIST, "reeve");
/** The agent in the mode that its unit gives it: without memory that becomes executable, so without the runtime's JIT. */
export const AGENT = runHardened(REEVE);
export const CONTROL = join(DIST, "reeve-control");
const CLEAN = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

export type Ran = { code: number | null; stdout: string; stderr: string };

export function ran(program: string, ...args: string[]): Ran {
  const done = spawnSync(program, args, { env: CLEAN, encoding: "utf8", timeout: 60_000 });
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** The same without blocking, for a process that answers meanwhile. */
export function running(program: string, ...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: CLEAN, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** A customer's machine, with an owner's folder, a state and a config of its own. */
export type Machine = {
  readonly owner: string;
  readonly state: string;
  readonly config: string;
  /** The file that a join token is put into. */
  readonly token: string;
  startAgent(...before: string[]): ChildProcess;
  reeve(verb: string[], ...more: string[]): Ran;
  entries(): Record<string, unknown>[];
};
export type World = Machine & {
  readonly folder: string;
  readonly keys: string;
  readonly data: string;
  readonly root: string;
  readonly trace: string;
  control: ChildProcess;
  ports: { enrol: string; agents: string };
  startControl(): Promise<void>;
  stopControl(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Runs `reeve-control VERB --dir D …`. */
  vendor(...args: string[]): Ran;
  /** A join token for prod-eu-1. */
  newToken(): string;
  /** Another machine of the same customer, with this token. */
  newMachine(name: string, token: string): Machine;
  until(what: string, holds: () => boolean, seconds?: number): Promise<void>;
  pids(): number[];
  end(): Promise<void>;
};

/** A process of a group leads a session of its own; what it has just forked has its command line too, for a moment. */
function leads(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? ran("cat", `/proc/${pid}/stat`).stdout : "";
  return stat.split(") ").at(-1)?.split(" ")[3] === String(pid);
}

/** What a policy says beside its rules. */
export type Says = {
  people?: Readonly<Record<string, string>>;
  /** Release signers, as verifier keys. */
  signers?: Readonly<Record<string, string>>;
  share?: string;
  dryRun?: "allowed" | "refused";
  /** The policy's place in one line; this machine where none is given. */
  place?: string;
};
const POLICY = (rules: string, revision: number, says: Says): string => `version: 1
revision: ${revision}
cluster: prod-eu-1
vendor: vendor.example
place: ${says.place ?? "{ cloud: local }"}
people: ${JSON.stringify(says.people ?? {})}
signers: ${JSON.stringify(says.signers ?? {})}
share: [${says.share ?? ""}]
dry_run: ${says.dryRun ?? "allowed"}
rules:
${rules}
tests: []
`;

export const RULES = `  - id: brokers-grow
    why: More load. Adds machines.
    allow: scale
    group: brokers
    count: { min: 0, max: 4 }
    change: { up: 2, down: 4 }
    rate: 1000 per hour
    when: always
    approval: none
  - id: broker-certificates
    why: TLS for brokers.
    allow: issue-certificate
    authority: clients
    names: { below: prod-eu-1.example.com }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 100 per day
    when: always
    approval: none
  - id: broker-dns
    why: Clients find brokers by name.
    allow: update-dns
    zone: example.com
    changes: [create, replace, delete]
    names: { below: brokers.example.com }
    types: [A]
    values: { within: [10.20.0.0/16] }
    ttl: { min: 30s, max: 1h }
    rate: 60 per hour
    when: always
    approval: none`;

export type WorldOptions = Says & {
  readonly rules?: string;
  /** Lines at the end of the config. */
  readonly config?: string;
  /** The control plane's name, which nobody but its certificate knows; it listens on loopback all the same. */
  readonly host?: string;
  /** What a process of the group runs. */
  readonly workload?: string;
  readonly rotation?: "approve" | "automatic";
  /** The config's word for the owner's folder, where it is not the directory. */
  readonly owner?: string;
  /** The config's lines of another provider than the local one. */
  readonly provider?: string;
  /** What the control plane's executable is started under, such as another time of day. Looked at each time. */
  under?: readonly string[];
  /** Flags that name the first command key where it is no file in `keys`, and its thumbprint. */
  readonly signer?: { readonly flags: readonly string[]; readonly thumbprint: string };
  /** The control plane runs under this uid, and every system call of its that names a file goes into `trace`. */
  readonly serveAs?: number;
  /** More flags of `serve`. */
  readonly serveFlags?: readonly string[];
  /** The config names the root CA, as it must where a platform alone enrols. */
  readonly rootPinned?: boolean;
};

/** A vendor and a customer's machine in one scratch folder, over loopback. `end` leaves no process behind. */
export async function world(options: WorldOptions = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-"));
  const path = (name: string): string => join(folder, name);
  for (const name of ["authority", "zone", "csr"]) mkdirSync(path(name), { mode: 0o755 });
  chmodSync(folder, 0o755);
  const children: ChildProcess[] = [];
  const machine = (prefix: string): Machine => {
    const mine = (name: string): string => path(`${prefix}${name}`);
    const one: Machine = {
      owner: mine("owner"),
      state: mine("state"),
      config: mine("reeve.yaml"),
      token: mine("token"),
      startAgent(...before) {
        const [program = AGENT, ...args] = [...before, AGENT, "run", "--config", one.config];
        const child = spawn(program, args, { env: CLEAN, stdio: ["ignore", "ignore", "pipe"] });
        child.stderr?.on("data", (chunk: Buffer) => {
          if (existsSync(folder)) writeFileSync(mine("agent.err"), chunk, { flag: "a" });
        });
        children.push(child);
        return child;
      },
      reeve: (verb, ...more) => ran(REEVE, ...verb, "--config", one.config, ...more),
      entries() {
        const shown = one.reeve(["audit", "show"], "--json");
        if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
        return shown.stdout
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Record<string, unknown>);
      },
    };
    return one;
  };
  const configured = (one: Machine, runtime: string, token: string): Machine => {
    mkdirSync(one.owner, { mode: 0o755 });
    writeFileSync(one.token, token, { mode: 0o600 });
    writePolicy(one, options.rules ?? RULES, 1, options);
    writeFileSync(join(one.owner, "on"), "on\n", { mode: 0o644 });
    writeFileSync(one.config, configOf(one, path, runtime, { ...self.ports, pin, rootSha256 }, options), {
      mode: 0o644,
    });
    return one;
  };
  const under = (): string[] => [...(options.under ?? []), CONTROL];
  const serving = options.serveAs === undefined ? under : () => served;
  const served = options.serveAs === undefined ? [] : underUser(options.serveAs, path);
  let pin = options.signer?.thumbprint ?? "";
  let rootSha256 = "";
  const self: World = {
    ...machine(""),
    folder,
    keys: path("keys"),
    data: path("control"),
    root: path("control/ca/root.pem"),
    trace: path("served/trace"),
    control: spawn("true"),
    ports: { enrol: `${options.host ?? "127.0.0.1"}:0`, agents: `${options.host ?? "127.0.0.1"}:0` },
    async startControl() {
      const [program = CONTROL, ...before] = serving();
      const at = ["--enrol", self.ports.enrol, "--agents", self.ports.agents, "--bind", "127.0.0.1"];
      const flags = [...at, ...(options.serveFlags ?? [])];
      const child = spawn(program, [...before, "serve", "--dir", path("control"), ...flags], {
        env: CLEAN,
        stdio: ["ignore", "pipe", "pipe"],
      });
      children.push(child);
      self.control = child;
      const line = await firstLine(child);
      const said = JSON.parse(line) as { enrol: string; agents: string; root_sha256: string };
      self.ports = { enrol: said.enrol, agents: said.agents };
      rootSha256 = said.root_sha256;
    },
    async stopControl(signal = "SIGTERM") {
      const gone = new Promise((done) => self.control.once("exit", done));
      self.control.kill(signal);
      await gone;
    },
    vendor(verb, ...args) {
      const [program = CONTROL, ...before] = under();
      return ran(program, ...before, ...(verb ?? "").split(" "), "--dir", path("control"), ...args);
    },
    newToken() {
      const made = self.vendor("token", "--cluster", "prod-eu-1");
      if (made.code !== 0) throw new Error(`token: ${made.stderr}`);
      return made.stdout.trim();
    },
    newMachine: (name, token) => configured(machine(`${name}-`), path(`${name}-runtime`), token),
    async until(what, holds, seconds = 20) {
      const end = Date.now() + seconds * 1000;
      while (!holds()) {
        if (Date.now() > end)
          throw new Error(
            `it never came to be: ${what}\n${existsSync(path("agent.err")) ? readFileSync(path("agent.err"), "utf8").slice(-2000) : ""}`,
          );
        await Bun.sleep(50);
      }
    },
    pids() {
      return ran("pgrep", "-f", path("workload")).stdout.split("\n").filter(Boolean).map(Number).filter(leads);
    },
    async end() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(
        children.map((child) =>
          child.exitCode === null && child.signalCode === null
            ? new Promise((done) => child.once("exit", done))
            : undefined,
        ),
      );
      for (const pid of self.pids()) process.kill(pid, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  writeFileSync(path("workload"), options.workload ?? "#!/bin/sh\nwhile :; do sleep 1; done\n", { mode: 0o755 });
  ran(
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    path("authority/ca.key"),
    "-out",
    path("authority/ca.crt"),
    "-days",
    "400",
    "-subj",
    "/CN=clients",
  );
  chmodSync(path("authority/ca.key"), 0o600);
  writeFileSync(
    path("zone/example.com.zone"),
    "$ORIGIN example.com.\n$TTL 300\n@ 300 IN SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 300\n@ 300 IN NS ns.example.com.\n",
  );
  if (options.signer === undefined) {
    const made = ran(CONTROL, "keys", "init", "--keys", path("keys"), "--json");
    if (made.code !== 0) throw new Error(`keys init: ${made.stderr}`);
    pin = (JSON.parse(made.stdout) as { thumbprint: string }).thumbprint;
  }
  await self.startControl();
  const token = self.vendor("token", "--cluster", "prod-eu-1", ...(options.signer?.flags ?? []));
  if (token.code !== 0) throw new Error(`token: ${token.stderr}`);
  configured(self, path("runtime"), token.stdout.trim());
  return self;
}

/** The control plane's own copy of the executable, its folder and its trace, for a user who may read nothing else here. */
function underUser(uid: number, path: (name: string) => string): string[] {
  const copy = path("served/reeve-control");
  mkdirSync(path("served"), { mode: 0o755 });
  copyFileSync(CONTROL, copy);
  chmodSync(copy, 0o755);
  mkdirSync(path("control"), { mode: 0o700 });
  const trace = path("served/trace");
  writeFileSync(trace, "");
  for (const name of [path("control"), trace]) chownSync(name, uid, uid);
  const user = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  // -D: the traced process is our child, so that killing it kills no tracer in its place.
  return [...user, "strace", "-D", "-f", "-qq", "-s", "512", "-e", "trace=%file", "-o", trace, copy];
}

function configOf(
  of: Machine,
  path: (name: string) => string,
  runtime: string,
  control: { readonly enrol: string; readonly pin: string; readonly rootSha256: string },
  options: WorldOptions,
): string {
  const root = options.rootPinned === true ? `, root_sha256: ${control.rootSha256}` : "";
  return `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://${control.enrol}", trust_sha256: ${control.pin}${root} }
state: ${of.state}
runtime: ${runtime}
owner: ${options.owner ?? `{ directory: ${of.owner}, uid: ${process.getuid?.() ?? 0} }`}
csr: ${path("csr")}
token: { file: ${of.token} }
${options.rotation === undefined ? "" : `key_rotation: ${options.rotation}\n`}${options.provider ?? localProvider(path)}${options.config ?? ""}`;
}

function localProvider(path: (name: string) => string): string {
  return `provider: local
local:
  groups: { brokers: { command: [${path("workload")}, "{n}"], stop_seconds: 2 } }
  authorities: { clients: { directory: ${path("authority")} } }
  zones: { example.com: { file: ${path("zone/example.com.zone")} } }
`;
}

export function writePolicy(where: { owner: string }, rules: string, revision: number, says: Says = {}): void {
  writeFileSync(join(where.owner, "policy.yaml"), POLICY(rules, revision, says), { mode: 0o644 });
}

/** `send`, waiting for the outcome. Flags of the action follow. */
export function send(of: World, action: string, ...args: string[]): Ran {
  return of.vendor(
    "send",
    "--keys",
    of.keys,
    "--cluster",
    "prod-eu-1",
    "--by",
    "maria@vendor.example",
    "--why",
    "INC-4312",
    "--wait",
    "--json",
    action,
    ...args,
  );
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text.split("\n")[0] ?? "");
    });
    child.once("exit", (code) => reject(new Error(`ended with ${code} before its first line: ${said}`)));
  });
}
