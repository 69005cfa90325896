import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cosign } from "../../agent/audit/cosignature.ts";
import { parseNote } from "../../agent/audit/note.ts";
import type { Json } from "../../agent/wire/canonical.ts";
import { PollRequest, ReportRequest, WitnessRequest } from "../../agent/wire/protocol.ts";
import { type Ran, REEVE, running } from "../e2e/world.ts";
import {
  AGENT,
  CLUSTER,
  type CommandKey,
  commandKey,
  DOMAIN,
  jws,
  pinOf,
  type Reply,
  startPlane,
  trustStatement,
} from "../identity/plane.ts";

/** The customer's word: two processes at most, two changes a day, one record, no certificate but in-cluster ones. */
const POLICY = `version: 1
revision: 1
cluster: ${CLUSTER}
vendor: ${DOMAIN}
place: { cloud: local }
people: { alice: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBxRRQS8vEhYZ4L6uvQ7xyFqY7J8cJxS1n4nLqv3v5sT }
signers: {}
share: [policy]
dry_run: allowed
rules:
  - id: brokers-scale
    why: Follow the load.
    allow: scale
    group: brokers
    count: { min: 0, max: 2 }
    change: { up: 1, down: 1 }
    rate: 2 per day
    when: always
    approval: none
  - id: broker-dns
    why: Clients find brokers by name.
    allow: update-dns
    zone: example.com
    changes: [create]
    names: { below: brokers.example.com }
    types: [A]
    values: { within: [10.20.0.0/16] }
    ttl: { min: 30s, max: 1h }
    rate: 1 per day
    when: always
    approval: { by: [alice], need: 1, within: 2h }
  - id: broker-certificates
    why: TLS for brokers.
    allow: issue-certificate
    authority: clients
    names: { below: prod-eu-1.example.com }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 5 per day
    when: always
    approval: none
tests: []
`;

export type Status = {
  readonly state: string;
  readonly reason: string;
  readonly out_of_contact: { readonly reason: string } | null;
  readonly intake: { readonly taken: number; readonly of: number; readonly full: boolean };
  readonly refused: { readonly commands: number; readonly unread: number; readonly trust: number };
  readonly waiting: readonly { readonly id: string }[];
};
export type Shown = Record<string, unknown> & { kind: string; code?: string; command?: string };
export type Actor = Awaited<ReturnType<typeof actor>>;

/** A control plane that holds every key of its own, and a customer's agent, the compiled one, that has joined it. */
export async function actor() {
  const folder = mkdtempSync(join(tmpdir(), "reeve-hostile-"));
  const path = (name: string): string => join(folder, name);
  const plane = await startPlane();
  for (const name of ["owner", "authority", "zone", "csr"]) mkdirSync(path(name), { mode: 0o755 });
  const write = (name: string, text: string, mode = 0o644): void => writeFileSync(path(name), text, { mode });
  write("workload", "#!/bin/sh\nwhile :; do sleep 1; done\n", 0o755);
  write("owner/policy.yaml", POLICY);
  write("owner/on", "on\n");
  write("token", await plane.token(), 0o600);
  write("root.pem", plane.ca.pem);
  const soa = "@ 300 IN SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 300\n";
  write("zone/example.com.zone", `$ORIGIN example.com.\n$TTL 300\n${soa}@ 300 IN NS ns.example.com.\n`);
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const ca = [
    "-keyout",
    path("authority/ca.key"),
    "-out",
    path("authority/ca.crt"),
    "-days",
    "400",
    "-subj",
    "/CN=clients",
  ];
  const made = await running("openssl", "req", "-x509", ...ec, ...ca);
  if (made.code !== 0) throw new Error(made.stderr);
  write(
    "reeve.yaml",
    `version: 1
cluster: ${CLUSTER}
control_plane: { enrol: "${plane.url}", trust_sha256: ${pinOf(plane.first)} }
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
`,
  );
  let child: ChildProcess | null = null;
  let said = "";
  const queue: string[][] = [];
  const witness = commandKey("cp-1");
  const statements = [trustStatement(1, plane.first, [plane.first], [plane.ca.der], [witness])];
  plane.trust = [];
  const self = {
    folder,
    plane,
    said: () => said,
    path,
    /** Instead of an honest answer, by path. */
    poison: new Map<string, (body: string) => Reply | null>(),
    /** The first statement, which the config pins; nobody was told of it at the enrolment. */
    statements,
    /** The key that cosigns, named by that statement. */
    witness,
    trust: [] as string[],
    cancel: [] as string[],
    polls: 0,
    reported: 0,
    /** The next polls bring these, one list each, whatever the agent asked for. */
    waiting: () => queue.length,
    hand: (...lists: string[][]) => queue.push(...lists),
    start(): void {
      child = spawn(REEVE, ["run", "--config", path("reeve.yaml")], {
        env: { PATH: "/usr/bin:/bin" },
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr?.on("data", (part: Buffer) => {
        said = `${said}${part}`.slice(-20_000);
      });
    },
    pid: () => child?.pid ?? 0,
    exit: () => child?.exitCode ?? null,
    async until(what: string, holds: () => boolean | Promise<boolean>, seconds = 120): Promise<void> {
      const end = Date.now() + seconds * 1000;
      while (!(await holds())) {
        if (Date.now() > end) throw new Error(`it never came to be: ${what}\n${said.slice(-2000)}`);
        await Bun.sleep(100);
      }
    },
    reeve: (...words: string[]): Promise<Ran> => running(REEVE, ...words, "--config", path("reeve.yaml")),
    async status(): Promise<Status> {
      const done = await self.reeve("status", "--json");
      if (done.stdout === "") throw new Error(done.stderr);
      return JSON.parse(done.stdout) as Status;
    },
    async entries(): Promise<Shown[]> {
      const shown = await self.reeve("audit", "show", "--json");
      if (shown.code !== 0) throw new Error(shown.stderr);
      return shown.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Shown);
    },
    /** Bytes of the log's segments. */
    logBytes: () =>
      readdirSync(path("state/audit"))
        .filter((name) => name.endsWith(".jsonl"))
        .reduce((sum, name) => sum + statSync(path(`state/audit/${name}`)).size, 0),
    /** What the agent could change, as others see it. Processes apart: the policy permits two. */
    world: (): string =>
      [
        readFileSync(path("zone/example.com.zone"), "utf8"),
        readdirSync(path("csr")).join(" "),
        readdirSync(path("authority")).join(" "),
        readdirSync(path("owner")).join(" "),
        readFileSync(path("owner/policy.yaml"), "utf8"),
        readFileSync(path("reeve.yaml"), "utf8"),
      ].join("\n"),
    processes: async () =>
      (await running("pgrep", "-f", `^/bin/sh ${path("workload")}`)).stdout.split("\n").filter(Boolean).length,
    /** The most that the agent ever held, in MB, as the kernel counts it. */
    peak: () => Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${self.pid()}/status`, "utf8"))?.[1]) / 1024,
    async end(): Promise<void> {
      child?.kill("SIGKILL");
      const pids = (await running("pgrep", "-f", path("workload"))).stdout.split("\n").filter(Boolean);
      for (const pid of pids) process.kill(Number(pid), "SIGKILL");
      plane.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  plane.script = async (at, body) => {
    const poisoned = self.poison.get(at)?.(body) ?? null;
    if (poisoned !== null) return poisoned;
    if (at === "/v1/reports") {
      const { from, entries } = ReportRequest.parse(JSON.parse(body));
      self.reported = Math.max(self.reported, from + entries.length);
      return { status: 200, body: { next: self.reported } };
    }
    if (at === "/v1/shared") return { status: 200, body: {} };
    if (at === "/v1/witness") {
      const text = parseNote(WitnessRequest.parse(JSON.parse(body)).checkpoint)?.text ?? "";
      const line = cosign(text, witness.kid, witness.privateKey, Math.floor(Date.now() / 1000));
      return { status: 200, body: { cosignature: line, receipts: 1_000_000 } };
    }
    if (at !== "/v1/commands") return null;
    self.polls++;
    const { hold } = PollRequest.parse(JSON.parse(body));
    // Held for a moment at most: what is to be said next comes at once.
    for (let waited = 0; waited < Math.min(hold * 1000, 200) && queue.length === 0; waited += 20) await Bun.sleep(20);
    return { status: 200, body: { commands: queue.shift() ?? [], cancel: self.cancel, trust: self.trust } };
  };
  self.start();
  await self.until("the agent is ready", async () => (await self.reeve("status")).code === 0);
  return self;
}

/** A command as the vendor's key signs it; `change` takes the place of claims. */
export function command(key: CommandKey, change: Record<string, Json> = {}): string {
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    iss: DOMAIN,
    aud: AGENT,
    jti: Bun.randomUUIDv7(),
    iat,
    exp: iat + 3600,
    epoch: 1,
    by: "mallory@vendor.example",
    why: "because I can",
    action: "scale",
    args: { group: "brokers", count: 1 },
    dry_run: false,
  };
  return jws({ alg: "Ed25519", kid: key.kid, typ: "reeve-command+jwt" }, { ...claims, ...change }, key.privateKey);
}

export function idOf(text: string): string {
  return JSON.parse(Buffer.from(text.split(".")[1] ?? "", "base64url").toString()).jti;
}
