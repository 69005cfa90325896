/**
 * A vendor and a customer's machine, both compiled, with the provider for Azure on the world that stands for it. The world answers out of
 * this very process: nothing here may block it once the agent runs.
 */
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeRequest } from "../aws/world/requests.ts";
import { cloudRules } from "../e2e/cloud.ts";
import { releases } from "../e2e/releases.ts";
import { CONTROL, type World as Machine, world as machineWorld, type Ran, REEVE, running } from "../e2e/world.ts";
import type { Assignment } from "./world/rights.ts";
import { GROUP, LOCATION, SUBSCRIPTION, startWorld, TENANT, type World, type WorldOptions } from "./world/world.ts";

type Definition = {
  readonly Name: string;
  readonly Actions: readonly string[];
  readonly DataActions: readonly string[];
};
/** As `policy permissions --format azure` prints it. */
export type Document = {
  readonly roleDefinitions: readonly Definition[];
  readonly roleAssignments: readonly { readonly role: string; readonly scope: string }[];
};

/** An entry of the log, as far as these tests look at it. */
export type Shown = {
  readonly kind: string;
  readonly index: number;
  readonly command?: string;
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
  readonly permissions: Document;
  agent: ChildProcess;
  start(): Promise<void>;
  kill(): Promise<void>;
  reeve(verb: readonly string[], ...more: string[]): Promise<Ran>;
  send(wait: boolean, action: string, ...flags: string[]): Promise<Ran & { readonly command: string }>;
  scale(count: number, wait?: boolean): ReturnType<Stage["send"]>;
  certificate(wait?: boolean): ReturnType<Stage["send"]>;
  record(change: "create" | "replace" | "delete", value: string, wait?: boolean): ReturnType<Stage["send"]>;
  /** Sends a deploy of the set to the image and does not wait; only on a stage that takes releases. */
  deploy(image: string): ReturnType<Stage["send"]>;
  entries(): Promise<readonly Shown[]>;
  outcomeOf(command: string): Promise<Shown | null>;
  until(what: string, holds: () => Promise<boolean> | boolean): Promise<void>;
  end(): Promise<void>;
};

/** Where the CA's certificates lie: beside the world's other files, which are known only later. */
function providerLines({ identity, vault, url }: World, chain: string): string {
  return `provider: azure
azure:
  environment: public
  tenant: ${TENANT}
  subscription: ${SUBSCRIPTION}
  resource_group: ${GROUP}
  location: ${LOCATION}
  principal: ${identity.principal}
  identity: system
  authorities: { ${vault.authority}: { version: "${vault.version}", chain: ${chain} } }
  endpoints: { arm: "${url}", vault: "${url}", metadata: "${url}" }
`;
}

/** The rendered roles as they are assigned; `without`: of no role any more. */
export function assigned(
  { roleDefinitions, roleAssignments }: Document,
  without: readonly string[] = [],
): readonly Assignment[] {
  const kept = (list: readonly string[]) => list.filter((action) => !without.includes(action));
  return roleAssignments.map(({ role, scope }) => {
    const found = roleDefinitions.find(({ Name }) => Name === role);
    if (found === undefined) throw new Error(`no role ${role}`);
    const { Actions, DataActions } = found;
    return {
      scope,
      role: { actions: kept(Actions), notActions: [], dataActions: kept(DataActions), notDataActions: [] },
    };
  });
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;

export async function stage(options: WorldOptions & { readonly releases?: true } = {}): Promise<Stage> {
  const cloud = await startWorld(options);
  const place = `{ cloud: azure, subscription: ${SUBSCRIPTION}, resource_group: ${GROUP} }`;
  const chain = join(process.env["TMPDIR"] ?? "/tmp", `reeve-azure-ca-${cloud.vault.version}.pem`);
  writeFileSync(chain, cloud.vault.certificate);
  const names = { group: "brokers", authority: cloud.vault.authority, zone: cloud.zone.name, below: cloud.zone.name };
  const named = { cloud: "azure", account: SUBSCRIPTION, region: GROUP };
  const vendor = options.releases === true ? await releases(named, names.group, cloud.group.set.capacity) : null;
  const rules = [cloudRules(names), ...(vendor === null ? [] : [vendor.options.rules])].join("\n");
  const machine = await machineWorld({ ...vendor?.options, rules, place, provider: providerLines(cloud, chain) });
  const policy = join(machine.owner, "policy.yaml");
  const rendered = await running(REEVE, "policy", "permissions", policy, "--format", "azure");
  if (rendered.code !== 0) throw new Error(rendered.stderr);
  const permissions = JSON.parse(rendered.stdout) as Document;
  cloud.assignments = assigned(permissions);
  let requests = 0;
  const self: Stage = {
    ...{ cloud, machine, policy, permissions },
    agent: machine.startAgent(),
    async start() {
      self.agent = machine.startAgent();
      await self.until("the agent is ready", async () => (await self.reeve(["status"], "--json")).code === 0);
    },
    async kill() {
      if (self.agent.exitCode !== null || self.agent.signalCode !== null) return;
      const gone = new Promise((done) => self.agent.once("exit", done));
      self.agent.kill("SIGKILL");
      await gone;
    },
    reeve: (verb, ...more) => running(REEVE, ...verb, "--config", machine.config, ...more),
    async send(wait, action, ...flags) {
      const who = ["--keys", machine.keys, "--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-1"];
      const control = ["send", "--dir", machine.data, ...who, ...(wait ? ["--wait"] : []), "--json", action, ...flags];
      const done = await running(CONTROL, ...control);
      return { ...done, command: UUID.exec(done.stdout)?.[0] ?? "" };
    },
    scale: (count, wait = true) => self.send(wait, "scale", "--group", "brokers", "--count", String(count)),
    certificate(wait = true) {
      const { csr } = makeRequest([`b${++requests}.prod-eu-1.example.com`]);
      writeFileSync(join(machine.folder, `csr/b${requests}.csr`), csr, { mode: 0o644 });
      const digest = createHash("sha256").update(csr).digest("hex");
      const flags = ["--csr-sha256", digest, "--usage", "server", "--validity", "1h"];
      return self.send(wait, "issue-certificate", "--authority", cloud.vault.authority, ...flags);
    },
    record(change, value, wait = true) {
      const named = ["--zone", cloud.zone.name, "--name", `b1.${cloud.zone.name}`, "--type", "A", "--change", change];
      const valued = change === "delete" ? [] : ["--value", value];
      return self.send(wait, "update-dns", ...named, ...valued, "--ttl", "60s");
    },
    async deploy(image) {
      if (vendor === null) throw new Error("this stage takes no releases");
      return self.send(false, "deploy", "--group", names.group, "--manifest", await vendor.of(image));
    },
    async entries() {
      const shown = await self.reeve(["audit", "show"], "--json");
      if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
      return shown.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Shown);
    },
    async outcomeOf(command) {
      return (await self.entries()).find((entry) => entry.kind === "outcome" && entry.command === command) ?? null;
    },
    async until(what, holds) {
      const end = Date.now() + 90_000;
      while (!(await holds())) {
        if (Date.now() > end) throw new Error(`it never came to be: ${what}\n${cloud.problems.join("\n")}`);
        await Bun.sleep(100);
      }
    },
    async end() {
      await machine.end();
      vendor?.end();
      await cloud.stop();
      rmSync(chain, { force: true });
    },
  };
  await self.until("the agent is ready", async () => (await self.reeve(["status"], "--json")).code === 0);
  return self;
}
