import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The compiled executables, started as their users would: with an environment of their own. */
const DIST = resolve(import.meta.dir, "../../dist");
export const REEVE = join(DIST, "reeve");
export const CONTROL = join(DIST, "reeve-control");
const CLEAN = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

export type Ran = { code: number | null; stdout: string; stderr: string };

export function ran(program: string, ...args: string[]): Ran {
  const done = spawnSync(program, args, { env: CLEAN, encoding: "utf8", timeout: 60_000 });
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

export type World = {
  readonly folder: string;
  readonly owner: string;
  readonly state: string;
  readonly config: string;
  readonly keys: string;
  readonly data: string;
  readonly root: string;
  control: ChildProcess;
  ports: { enrol: string; agents: string };
  startControl(): Promise<void>;
  startAgent(...before: string[]): ChildProcess;
  /** Runs `reeve-control VERB --dir D …`. */
  vendor(...args: string[]): Ran;
  reeve(verb: string[], ...more: string[]): Ran;
  entries(): Record<string, unknown>[];
  until(what: string, holds: () => boolean, seconds?: number): Promise<void>;
  pids(): number[];
  end(): Promise<void>;
};

const POLICY = (rules: string, revision: number): string => `version: 1
revision: ${revision}
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: allowed
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

export type WorldOptions = {
  readonly rules?: string;
  /** The control plane's name, which nobody but its certificate knows; it listens on loopback all the same. */
  readonly host?: string;
  /** More lines for the config. */
  readonly config?: string;
};

/** A vendor and a customer's machine in one scratch folder, over loopback. `end` leaves no process behind. */
export async function world(options: WorldOptions = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-"));
  const path = (name: string): string => join(folder, name);
  for (const name of ["owner", "authority", "zone", "csr"]) mkdirSync(path(name), { mode: 0o755 });
  chmodSync(folder, 0o755);
  const children: ChildProcess[] = [];
  const self: World = {
    folder,
    owner: path("owner"),
    state: path("state"),
    config: path("reeve.yaml"),
    keys: path("keys"),
    data: path("control"),
    root: path("control/ca/root.pem"),
    control: spawn("true"),
    ports: { enrol: `${options.host ?? "127.0.0.1"}:0`, agents: `${options.host ?? "127.0.0.1"}:0` },
    async startControl() {
      const child = spawn(
        CONTROL,
        [
          "serve",
          "--dir",
          path("control"),
          "--enrol",
          self.ports.enrol,
          "--agents",
          self.ports.agents,
          "--bind",
          "127.0.0.1",
        ],
        {
          env: CLEAN,
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      children.push(child);
      self.control = child;
      const line = await firstLine(child);
      const said = JSON.parse(line) as { enrol: string; agents: string; root_sha256: string };
      self.ports = { enrol: said.enrol, agents: said.agents };
    },
    startAgent(...before) {
      const [program = REEVE, ...args] = [...before, REEVE, "run", "--config", path("reeve.yaml")];
      const child = spawn(program, args, { env: CLEAN, stdio: ["ignore", "ignore", "pipe"] });
      child.stderr?.on("data", (chunk: Buffer) => {
        if (existsSync(folder)) writeFileSync(path("agent.err"), chunk, { flag: "a" });
      });
      children.push(child);
      return child;
    },
    vendor: (verb, ...args) => ran(CONTROL, ...(verb ?? "").split(" "), "--dir", path("control"), ...args),
    reeve: (verb, ...more) => ran(REEVE, ...verb, "--config", path("reeve.yaml"), ...more),
    entries() {
      const shown = self.reeve(["audit", "show"], "--json");
      if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
      return shown.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
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
      return ran("pgrep", "-f", path("workload")).stdout.split("\n").filter(Boolean).map(Number);
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
  writeFileSync(path("workload"), "#!/bin/sh\nwhile :; do sleep 1; done\n", { mode: 0o755 });
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
  const made = ran(CONTROL, "keys", "init", "--keys", path("keys"), "--json");
  if (made.code !== 0) throw new Error(`keys init: ${made.stderr}`);
  const pin = (JSON.parse(made.stdout) as { thumbprint: string }).thumbprint;
  await self.startControl();
  const token = ran(CONTROL, "token", "--dir", path("control"), "--cluster", "prod-eu-1");
  if (token.code !== 0) throw new Error(`token: ${token.stderr}`);
  writeFileSync(path("token"), token.stdout.trim(), { mode: 0o600 });
  writePolicy(self, options.rules ?? RULES, 1);
  writeFileSync(path("owner/on"), "on\n", { mode: 0o644 });
  writeFileSync(
    path("reeve.yaml"),
    `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://${self.ports.enrol}", trust_sha256: ${pin} }
state: ${path("state")}
runtime: ${path("runtime")}
owner: { directory: ${path("owner")}, uid: ${process.getuid?.() ?? 0} }
csr: ${path("csr")}
token: { file: ${path("token")} }
provider: local
local:
  groups: { brokers: { command: [${path("workload")}, "{n}"], stop_seconds: 2 } }
  authorities: { clients: { directory: ${path("authority")} } }
  zones: { example.com: { file: ${path("zone/example.com.zone")} } }
${options.config ?? ""}`,
    { mode: 0o644 },
  );
  return self;
}

export function writePolicy(where: { owner: string }, rules: string, revision: number): void {
  writeFileSync(join(where.owner, "policy.yaml"), POLICY(rules, revision), { mode: 0o644 });
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
