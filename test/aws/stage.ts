/** A vendor and a customer's machine, both compiled, with the provider for AWS on an account of the world that stands for it. */
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cloudRules } from "../e2e/cloud.ts";
import { releases } from "../e2e/releases.ts";
import { CONTROL, type World as Machine, world as machineWorld, type Ran, REEVE, ran, running } from "../e2e/world.ts";
import type { Moto } from "./world/moto.ts";
import { makeRequest } from "./world/requests.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

type Statement = { readonly Effect: string; readonly Action: string | readonly string[] };
export type Document = { readonly Version: string; readonly Statement: readonly Statement[] };

/** An entry of the log, as far as these tests look at it. */
export type Shown = {
  readonly kind: string;
  readonly index: number;
  readonly command?: string;
  readonly intent?: number;
  readonly result?: string;
  readonly code?: string | null;
  readonly known_by?: string;
  readonly changed?: readonly { what: string; from: string | null; to: string | null }[];
  readonly operations?: readonly { operation: string; request: string | null; status: string; changes: boolean }[];
  readonly certificate?: readonly string[] | null;
};

export type Stage = {
  readonly cloud: World;
  readonly machine: Machine;
  readonly policy: string;
  /** What `policy permissions` renders for it. */
  readonly permissions: Document;
  agent: ChildProcess;
  start(): Promise<void>;
  kill(): Promise<void>;
  send(wait: boolean, action: string, ...flags: string[]): Promise<Ran & { readonly command: string }>;
  scale(count: number, wait?: boolean): ReturnType<Stage["send"]>;
  certificate(wait?: boolean): ReturnType<Stage["send"]>;
  record(change: "create" | "replace" | "delete", value: string, wait?: boolean): ReturnType<Stage["send"]>;
  /** Sends a deploy of the group to the image and does not wait; only on a stage that takes releases. */
  deploy(image: string): ReturnType<Stage["send"]>;
  readonly recordName: string;
  entries(): readonly Shown[];
  outcomeOf(command: string): Shown | null;
  end(): Promise<void>;
};

export function rulesFor({ group, authority, zone }: World): string {
  return cloudRules({ group: group.name, authority: authority.arn, zone: zone.id, below: zone.name });
}

export function providerLines({ account, role, region, endpoints }: World, more: object = {}): string {
  return `provider: aws
aws:
  account: "${account}"
  role: ${role}
  region: ${region}
  partition: aws
  endpoints: ${JSON.stringify({ ...endpoints, ...more })}
`;
}

/** moto's IAM judges actions only: a copy for it, whose every statement is about everything and under no condition. */
export function widened({ Version, Statement }: Document, without: readonly string[] = []): unknown {
  const actions = Statement.flatMap(({ Action }) => (typeof Action === "string" ? [Action] : [...Action]));
  const kept = [...new Set(actions)].filter((action) => !without.includes(action));
  // A statement without an action is none that moto reads.
  const Action = kept.length === 0 ? ["none:Nothing"] : kept;
  return { Version, Statement: [{ Effect: "Allow", Action, Resource: "*" }] };
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** The owner's folder as a bucket: the config's word, the flag for `policy permissions`, and what puts the policy there before the start. */
export type StageBucket = {
  readonly owner: string;
  /** Lines at the end of the config. */
  readonly config: string;
  readonly url: string;
  put(policy: string): Promise<void>;
};

const GROUP = { min: 1, max: 9, desired: 2 };

export async function stage(
  moto: Moto,
  options: WorldOptions & { readonly bucket?: StageBucket; readonly releases?: true } = {},
): Promise<Stage> {
  const cloud = await startWorld(moto, { iam: true, group: GROUP, ...options });
  const place = `{ cloud: aws, account: "${cloud.account}", region: ${cloud.region} }`;
  const { bucket } = options;
  const named = { cloud: "aws", account: cloud.account, region: cloud.region };
  const count = (options.group ?? GROUP).desired;
  const vendor = options.releases === true ? await releases(named, cloud.group.name, count) : null;
  const rules = [rulesFor(cloud), ...(vendor === null ? [] : [vendor.options.rules])].join("\n");
  const machine = await machineWorld({
    ...vendor?.options,
    rules,
    place,
    provider: providerLines(cloud),
    ...(bucket === undefined ? {} : { owner: bucket.owner, config: bucket.config }),
  });
  const policy = join(machine.owner, "policy.yaml");
  await bucket?.put(readFileSync(policy, "utf8"));
  const flags = bucket === undefined ? [] : ["--owner", bucket.url];
  const rendered = ran(REEVE, "policy", "permissions", policy, "--format", "iam", ...flags);
  if (rendered.code !== 0) throw new Error(rendered.stderr);
  const permissions = JSON.parse(rendered.stdout.slice(rendered.stdout.indexOf("{"))) as Document;
  await cloud.allow(widened(permissions));
  const recordName = `b1.${cloud.zone.name}`;
  let requests = 0;
  const self: Stage = {
    cloud,
    machine,
    policy,
    permissions,
    recordName,
    agent: machine.startAgent(),
    async start() {
      self.agent = machine.startAgent();
      await machine.until("the agent is ready", () => machine.reeve(["status"], "--json").code === 0, 60);
    },
    async kill() {
      if (self.agent.exitCode !== null || self.agent.signalCode !== null) return;
      const gone = new Promise((done) => self.agent.once("exit", done));
      self.agent.kill("SIGKILL");
      await gone;
    },
    async send(wait, action, ...flags) {
      const who = ["--keys", machine.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-1"];
      const control = ["send", "--dir", machine.data, ...who, ...(wait ? ["--wait"] : []), "--json", action, ...flags];
      const done = await running(CONTROL, ...control);
      return { ...done, command: UUID.exec(done.stdout)?.[0] ?? "" };
    },
    scale: (count, wait = true) => self.send(wait, "scale", "--group", cloud.group.name, "--count", String(count)),
    certificate(wait = true) {
      const { csr } = makeRequest([`b${++requests}.prod-eu-1.example.com`]);
      writeFileSync(join(machine.folder, `csr/b${requests}.csr`), csr, { mode: 0o644 });
      const digest = createHash("sha256").update(csr).digest("hex");
      const flags = ["--csr-sha256", digest, "--usage", "server", "--validity", "1h"];
      return self.send(wait, "issue-certificate", "--authority", cloud.authority.arn, ...flags);
    },
    record(change, value, wait = true) {
      const named = ["--zone", cloud.zone.id, "--name", recordName, "--type", "A", "--change", change];
      const valued = change === "delete" ? [] : ["--value", value];
      return self.send(wait, "update-dns", ...named, ...valued, "--ttl", "60s");
    },
    async deploy(image) {
      if (vendor === null) throw new Error("this stage takes no releases");
      return self.send(false, "deploy", "--group", cloud.group.name, "--manifest", await vendor.of(image));
    },
    entries: () => machine.entries() as Shown[],
    outcomeOf: (command) =>
      self.entries().find((entry) => entry.kind === "outcome" && entry.command === command) ?? null,
    async end() {
      await machine.end();
      vendor?.end();
      await cloud.stop();
    },
  };
  await machine.until("the agent is ready", () => machine.reeve(["status"], "--json").code === 0, 60);
  return self;
}
