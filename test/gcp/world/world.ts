import { randomBytes } from "node:crypto";
import { type Fault, type Rule, striking } from "../../aws/world/faults.ts";
import { api, type Structure } from "./discovery.ts";
import { type Binding, holds, judge } from "./iam.ts";
import { type Made, type Service, ServiceError } from "./made.ts";
import { type MetadataSwitches, makeTokens, startMetadata, unsigned } from "./metadata.ts";
import { type PoolSwitches, pools } from "./pool.ts";
import { type Scaling, type ScalingSwitches, scaling } from "./scaling.ts";
import { type Identity, type Moment, startFront } from "./server.ts";
import { writeTrail } from "./trail.ts";
import { type RecordSet, type ZoneSwitches, type Zones, zones } from "./zone.ts";

export type WorldOptions = {
  /** The group is a regional one. */
  readonly regional?: boolean;
  readonly size?: number;
  readonly authorityDays?: number;
  /** Key and certificate of servers that speak TLS. */
  readonly identity?: Identity;
};
type Hook = { readonly operation: string; readonly moment: Moment; readonly then: (made: Made) => Promise<void> };

/** A project of its own. Everything in it can be changed while it runs. */
export type World = {
  readonly project: string;
  readonly region: string;
  readonly account: string;
  /** Resource names. */
  readonly group: string;
  readonly pool: string;
  readonly zone: string;
  readonly zoneName: string;
  readonly endpoints: Readonly<Record<Service | "metadata", string>>;
  readonly scaling: ScalingSwitches;
  readonly issuing: PoolSwitches;
  readonly syncing: ZoneSwitches;
  readonly metadata: MetadataSwitches;
  /** Every call that came, oldest first. */
  readonly calls: readonly Made[];
  readonly metadataCalls: readonly string[];
  /** The tests' own mistakes, and what Google does not know. Empty at the end of every test. */
  readonly problems: string[];
  readonly groups: Scaling;
  readonly zones: Zones;
  readonly pools: ReturnType<typeof pools>;
  fault(operation: string, fault: Fault, how?: { skip?: number; times?: number }): Rule;
  /** Runs once, at the next such call. */
  at(operation: string, moment: Moment, then: (made: Made) => Promise<void>): void;
  /** What IAM grants from now on; null: everything. */
  allow(bindings: readonly Binding[] | null): void;
  /** A token as the metadata server gives it now. */
  token(): string;
  expireTokens(): void;
  look: {
    group(path?: string): { readonly target: number; readonly running: number; readonly machines: number };
    issued(): number;
    record(name: string, type: string): RecordSet | null;
  };
  trail(folder: string, reads?: boolean): readonly string[];
  stop(): Promise<void>;
};

const SERVICES = ["compute", "privateca", "dns", "cloudresourcemanager"] as const;
const DOCUMENT: Readonly<Record<Service, string>> = {
  compute: "compute.v1",
  privateca: "privateca.v1",
  dns: "dns.v1",
  cloudresourcemanager: "cloudresourcemanager.v3",
};

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const mark = randomBytes(4).toString("hex");
  const [project, region] = [`reeve-${mark}`, "europe-west1"];
  const account = `reeve-agent@${project}.iam.gserviceaccount.com`;
  const scalingSwitches: ScalingSwitches = {
    operationMilliseconds: 0,
    launchMilliseconds: 0,
    deleteMilliseconds: 0,
    staleMilliseconds: 0,
    settleMilliseconds: 0,
    capacity: null,
    operationError: null,
    page: 500,
    unwell: new Set(),
    failing: false,
  };
  const issuing: PoolSwitches = {
    issueMilliseconds: 0,
    staleMilliseconds: 0,
    tokenMilliseconds: 3_600_000,
    mistake: null,
  };
  const syncing: ZoneSwitches = { syncMilliseconds: 0, page: 100 };
  const groups = scaling(project, "https://www.googleapis.com", scalingSwitches);
  const allPools = pools(issuing);
  const allZones = zones(project, syncing);
  const where = options.regional === true ? `regions/${region}` : `zones/${region}-b`;
  const group = groups.make(where, `brokers-${mark}`, options.size ?? 2);
  const pool = await allPools.make(
    `projects/${project}/locations/${region}/caPools/pool-${mark}`,
    options.authorityDays ?? 3650,
  );
  const zoneName = `z${mark}.example.com`;
  const zone = allZones.make(`zone-${mark}`, zoneName);

  const tokens = makeTokens();
  const metadata: MetadataSwitches = {
    fault: "none",
    slowMilliseconds: 10_000,
    project,
    account,
    tokenSeconds: 3600,
    createdBy: null,
    instance: { id: "5012345678901234567", name: `agent-${mark}`, zone: `${region}-b`, projectNumber: "123456789012" },
    sign: unsigned,
  };
  const calls: Made[] = [];
  const metadataCalls: string[] = [];
  const problems: string[] = [];
  const rules: Rule[] = [];
  let hooks: readonly Hook[] = [];
  let bindings: readonly Binding[] | null = null;

  /** Whoever asks is told which of these permissions he has; it needs none itself. */
  const tested = (made: Made): Structure => {
    const resource = made.service === "cloudresourcemanager" ? `projects/${made.parts["projectsId"]}` : made.about;
    const wanted = (made.body["permissions"] ?? []) as readonly string[];
    const full = made.service === "dns" ? `projects/${made.parts["projectsId"]}/${resource}` : resource;
    return {
      permissions: wanted.filter(
        (permission) => bindings === null || holds(bindings, made.principal ?? "", permission, full),
      ),
    };
  };
  const answers: Readonly<Record<Service, (made: Made) => Structure | Promise<Structure>>> = {
    compute: (made) => groups.answer(made),
    privateca: (made) => allPools.answer(made),
    dns: (made) => allZones.answer(made),
    cloudresourcemanager: () => {
      throw new ServiceError(501, "UNIMPLEMENTED", "the world does not do that");
    },
  };
  const front = (service: Service) =>
    startFront(
      {
        service,
        api: api(DOCUMENT[service]),
        answer: (made) => (made.operation.endsWith(".testIamPermissions") ? tested(made) : answers[service](made)),
        account: (token) => tokens.account(token),
        authorize: (made) => judge(bindings, made),
        strike: (made) => striking(rules, made),
        async between(made, moment) {
          const due = hooks.find((hook) => hook.operation === made.operation && hook.moment === moment);
          if (due === undefined) return;
          hooks = hooks.filter((hook) => hook !== due);
          await due.then(made);
        },
        record: (made) => calls.push(made),
        problem: (words) => problems.push(words),
      },
      options.identity ?? null,
    );
  const told = await startMetadata(metadata, tokens, metadataCalls);
  const fronts = await Promise.all(SERVICES.map(async (service) => [service, await front(service)] as const));
  const endpoints = Object.fromEntries(
    [...fronts, ["metadata", told] as const].map(([name, { endpoint }]) => [name, endpoint]),
  );

  return {
    project,
    region,
    account,
    group,
    pool,
    zone,
    zoneName,
    endpoints: endpoints as World["endpoints"],
    scaling: scalingSwitches,
    issuing,
    syncing,
    metadata,
    calls,
    metadataCalls,
    problems,
    groups,
    zones: allZones,
    pools: allPools,
    fault(operation, fault, { skip = 0, times = 1 } = {}) {
      const rule: Rule = { operation, fault, skip, times, hits: 0 };
      rules.push(rule);
      return rule;
    },
    at(operation, moment, then) {
      hooks = [...hooks, { operation, moment, then }];
    },
    allow(wanted) {
      bindings = wanted;
    },
    token: () => tokens.give(account, 3600),
    expireTokens: () => tokens.expire(),
    look: {
      group: (path = group) => groups.look(path),
      issued: () => allPools.of(pool).certificates.size,
      record: (name, type) => allZones.look(zone, name, type),
    },
    trail: (folder, reads = true) => writeTrail(folder, calls, project, reads),
    async stop() {
      await Promise.all([told.stop(), ...fronts.map(([, one]) => one.stop())]);
    },
  };
}
