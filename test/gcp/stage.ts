/** A vendor and a customer's machine, both compiled, with the provider for Google Cloud on a project of the world that stands for it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Shown } from "../aws/stage.ts";
import { makeRequest } from "../aws/world/requests.ts";
import { releases } from "../e2e/releases.ts";
import { CONTROL, type World as Machine, world as machineWorld, type Ran, REEVE } from "../e2e/world.ts";
import { groupOf, zoneOf } from "./account.ts";
import type { Binding } from "./world/iam.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

/** What `policy permissions` renders, as a program reads it. */
export type Rendered = {
  readonly roles: readonly { readonly name: string; readonly includedPermissions: readonly string[] }[];
  readonly bindings: readonly { readonly resource: string; readonly role: string }[];
};
export type Stage = {
  readonly cloud: World;
  readonly machine: Machine;
  readonly policy: string;
  readonly rendered: Rendered;
  agent: ChildProcess;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Runs the agent's executable without blocking: the world that stands for Google answers out of this very process. */
  reeve(...args: string[]): Promise<Ran>;
  send(wait: boolean, action: string, ...flags: string[]): Promise<Ran & { readonly command: string }>;
  scale(count: number, wait?: boolean): ReturnType<Stage["send"]>;
  certificate(wait?: boolean): ReturnType<Stage["send"]>;
  record(change: "create" | "replace" | "delete", value: string, wait?: boolean): ReturnType<Stage["send"]>;
  /** Sends a deploy of the group to the image and does not wait; only on a stage that takes releases. */
  deploy(image: string): ReturnType<Stage["send"]>;
  readonly recordName: string;
  entries(): readonly Shown[];
  outcomeOf(command: string): Shown | null;
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  end(): Promise<void>;
};

export function rulesFor(cloud: World): string {
  return `  - id: brokers
    why: More or less load.
    allow: scale
    group: ${groupOf(cloud)}
    count: { min: 1, max: 9 }
    change: { up: 5, down: 5 }
    rate: 1000 per hour
    when: always
    approval: none
  - id: certificates
    why: TLS for brokers.
    allow: issue-certificate
    authority: ${cloud.pool}
    names: { below: prod-eu-1.example.com }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 1000 per day
    when: always
    approval: none
  - id: records
    why: Clients find brokers by name.
    allow: update-dns
    zone: ${zoneOf(cloud)}
    changes: [create, replace, delete]
    names: { below: ${cloud.zoneName} }
    types: [A]
    values: { within: [10.20.0.0/16] }
    ttl: { min: 30s, max: 1h }
    rate: 1000 per hour
    when: always
    approval: none`;
}

export function providerLines({ project, account, region, endpoints }: World): string {
  return `provider: gcp
gcp:
  project: ${project}
  account: ${account}
  region: ${region}
  endpoints: ${JSON.stringify(endpoints)}
`;
}

export function running(program: string, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: { PATH: "/usr/bin:/bin" }, stdio: ["ignore", "pipe", "pipe"] });
    const out: Record<"stdout" | "stderr", string> = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].on("data", (chunk: Buffer) => {
        out[name] += chunk.toString();
      });
    // `send --wait` waits for as long as the agent is silent.
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, ...out });
    });
  });
}

/** The rendered roles, bound to the agent's account as they say. `without`: one permission is left out. */
export function granted(cloud: World, { roles, bindings }: Rendered, without: string | null = null): Binding[] {
  return bindings.map(({ resource, role }) => ({
    member: `serviceAccount:${cloud.account}`,
    resource,
    permissions: (roles.find(({ name }) => name === role)?.includedPermissions ?? []).filter((one) => one !== without),
  }));
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;
const PATIENCE_MS = 90_000;

export async function stage(options: WorldOptions & { readonly releases?: true } = {}): Promise<Stage> {
  const cloud = await startWorld(options);
  const place = `{ cloud: gcp, project: ${cloud.project}, region: ${cloud.region} }`;
  const named = { cloud: "gcp", account: cloud.project, region: cloud.region };
  const count = cloud.look.group().machines;
  const vendor = options.releases === true ? await releases(named, groupOf(cloud), count) : null;
  const rules = [rulesFor(cloud), ...(vendor === null ? [] : [vendor.options.rules])].join("\n");
  const machine = await machineWorld({ ...vendor?.options, rules, place, provider: providerLines(cloud) });
  const policy = join(machine.owner, "policy.yaml");
  const printed = await running(REEVE, "policy", "permissions", policy, "--format", "gcp");
  if (printed.code !== 0) throw new Error(printed.stderr);
  const rendered = JSON.parse(printed.stdout) as Rendered;
  cloud.allow(granted(cloud, rendered));
  const recordName = `b1.${cloud.zoneName}`;
  let requests = 0;
  const self: Stage = {
    cloud,
    machine,
    policy,
    rendered,
    recordName,
    agent: machine.startAgent(),
    async start() {
      self.agent = machine.startAgent();
      await ready();
    },
    async kill() {
      if (self.agent.exitCode !== null || self.agent.signalCode !== null) return;
      const gone = new Promise((done) => self.agent.once("exit", done));
      self.agent.kill("SIGKILL");
      await gone;
    },
    reeve: (...args) => running(REEVE, ...args, "--config", machine.config),
    async send(wait, action, ...flags) {
      const who = ["--keys", machine.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-1"];
      const control = ["send", "--dir", machine.data, ...who, ...(wait ? ["--wait"] : []), "--json", action, ...flags];
      const done = await running(CONTROL, ...control);
      return { ...done, command: UUID.exec(done.stdout)?.[0] ?? "" };
    },
    scale: (count, wait = true) => self.send(wait, "scale", "--group", groupOf(cloud), "--count", String(count)),
    certificate(wait = true) {
      const { csr } = makeRequest([`b${++requests}.prod-eu-1.example.com`]);
      writeFileSync(join(machine.folder, `csr/b${requests}.csr`), csr, { mode: 0o644 });
      const digest = createHash("sha256").update(csr).digest("hex");
      const flags = ["--csr-sha256", digest, "--usage", "server", "--validity", "1h"];
      return self.send(wait, "issue-certificate", "--authority", cloud.pool, ...flags);
    },
    record(change, value, wait = true) {
      const named = ["--zone", zoneOf(cloud), "--name", recordName, "--type", "A", "--change", change];
      const valued = change === "delete" ? [] : ["--value", value];
      return self.send(wait, "update-dns", ...named, ...valued, "--ttl", "60s");
    },
    async deploy(image) {
      if (vendor === null) throw new Error("this stage takes no releases");
      return self.send(false, "deploy", "--group", groupOf(cloud), "--manifest", await vendor.of(image));
    },
    entries: () => machine.entries() as Shown[],
    outcomeOf: (command) =>
      self.entries().find((entry) => entry.kind === "outcome" && entry.command === command) ?? null,
    async until(what, holds) {
      const end = Date.now() + PATIENCE_MS;
      while (!(await holds())) {
        if (Date.now() > end) throw new Error(`never: ${what}`);
        await Bun.sleep(50);
      }
    },
    async end() {
      await machine.end();
      vendor?.end();
      await cloud.stop();
    },
  };
  const ready = () => self.until("the agent is ready", async () => (await self.reeve("status", "--json")).code === 0);
  await ready();
  return self;
}
