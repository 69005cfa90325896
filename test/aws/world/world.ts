import { type Admin, GLOBAL_REGION, REGION } from "./admin.ts";
import { type Authority, type AuthoritySwitches, authority } from "./authority.ts";
import type { Structure } from "./codec.ts";
import type { Fault, Rule } from "./faults.ts";
import type { Issuer, KeyAlgorithm } from "./issuing.ts";
import { denial, judge } from "./judge.ts";
import { type Key, makeKeys } from "./keys.ts";
import type { Made } from "./made.ts";
import { type MetadataCall, type MetadataSwitches, startMetadata } from "./metadata.ts";
import { ACCOUNT, type Moto } from "./moto.ts";
import { type Behaviour, startProxy } from "./proxy.ts";
import { type Scaling, type ScalingSwitches, scaling } from "./scaling.ts";
import {
  assume,
  makeAdministrator,
  makeAuthority,
  makeGroup,
  makeNetwork,
  makeRole,
  makeTemplate,
  makeZone,
  policyOf,
  type Size,
  setPolicy,
  unique,
} from "./setup.ts";
import { type Document, simulator } from "./simulator.ts";
import { type Templates, templates } from "./templates.ts";
import { writeTrail } from "./trail.ts";
import { type Zone, type ZoneSwitches, zone } from "./zone.ts";

export type Served = "autoscaling" | "ec2" | "acm-pca" | "route53" | "sts" | "iam";
type Moment = "before" | "after";

export type WorldOptions = {
  /** moto's IAM judges each call by the role's policy. */
  readonly iam?: boolean;
  readonly policy?: unknown;
  readonly group?: Size;
  /** The agent's own machine is one of the group's; or the only one of another, which launches from a template of this version. */
  readonly own?: boolean | { readonly template: "same" | "another"; readonly version: string };
  readonly key?: KeyAlgorithm;
  readonly authorityDays?: number;
  readonly credentialsSeconds?: number;
};

/** An AWS account of its own, seen through the proxy. Everything in it can be changed while it runs. */
export type World = {
  readonly account: string;
  readonly region: string;
  readonly role: string;
  readonly instance: string;
  readonly group: { readonly name: string; readonly arn: string };
  /** What the group launches from. */
  readonly template: string;
  readonly authority: { readonly arn: string; readonly issuer: Issuer };
  readonly zone: { readonly id: string; readonly name: string };
  /** `http://127.0.0.1:PORT` of each service, and of the metadata service. */
  readonly endpoints: Readonly<Record<Exclude<Served, "iam"> | "metadata", string>>;
  /** The same of IAM, which no command needs: only its simulator answers there. */
  readonly iam: string;
  /** The role's permissions as IAM's simulator sees them; null: it knows no such role. moto's own copy is wider. */
  readonly simulated: { document: Document | null };
  readonly scaling: ScalingSwitches;
  readonly issuing: AuthoritySwitches;
  readonly syncing: ZoneSwitches;
  readonly metadata: MetadataSwitches;
  /** `endpointRegion`: another one answers. `judge`: an IAM of the tests' own, asked besides moto's. `role`: whose credentials are given out. */
  readonly switches: {
    endpointRegion: string;
    judge: ((made: Made) => boolean | Promise<boolean>) | null;
    role: string;
    credentialsSeconds: number;
  };
  /** Every call that came, oldest first. */
  readonly calls: readonly Made[];
  readonly metadataCalls: readonly MetadataCall[];
  /** The tests' own mistakes, and what the proxy does not know. Empty at the end of every test. */
  readonly problems: string[];
  readonly admin: Admin;
  readonly others: {
    scale(desired: number, group?: string): Promise<void>;
    /** Has the group launch from this version, at once and without replacing anything. */
    relaunch(version: string): Promise<void>;
    refresh(version: string): Promise<void>;
    cancel(): Promise<void>;
    /** A new version of the group's launch template, as the first with another image; `more` beside the data, `data` in it. */
    version(image: string, more?: Structure, data?: Structure): Promise<void>;
    changeRecords(...changes: readonly Structure[]): Promise<void>;
  };
  fault(operation: string, fault: Fault, how?: { skip?: number; times?: number }): Rule;
  /** Runs once, at the next such call. */
  at(operation: string, moment: Moment, then: (made: Made) => Promise<void>): void;
  /** The role's policy from now on. */
  allow(policy: unknown): Promise<void>;
  /** Credentials as the metadata service gives them now. */
  credentials(): Promise<Key>;
  expireCredentials(): void;
  more: {
    /** `launches`: a version of the world's template, or all that it launches from. */
    group(name: string, size: Size, launches?: string | Structure): Promise<string>;
    /** Another launch template; returns its id. */
    template(): Promise<string>;
    authority(key: KeyAlgorithm): Promise<string>;
    zone(name: string): Promise<string>;
    role(name: string): Promise<void>;
  };
  look: {
    group(name?: string): Promise<{ desired: number; instances: number; inService: number }>;
    /** The image of each machine, as EC2 has it; the version that the group launches from; the fewest that were in service. */
    images(): Promise<{ images: readonly string[]; version: string; fewest: number; refreshes: readonly string[] }>;
    issued(arn?: string): number;
    record(name: string, type: string): Promise<Structure | null>;
  };
  /** Writes CloudTrail's files; returns their paths. */
  trail(folder: string): readonly string[];
  stop(): Promise<void>;
};

const EVERYTHING = policyOf([
  { Effect: "Allow", Action: ["autoscaling:*", "ec2:*", "acm-pca:*", "route53:*"], Resource: "*" },
]);

/** Who am I: moto itself knows, asked as the caller. */
function identity(admin: Admin, find: (accessKey: string) => Key | null): Behaviour {
  return {
    async about() {
      return { resources: ["*"], context: {} };
    },
    async answer({ accessKey, operation, params, region }) {
      const key = find(accessKey);
      return key === null ? {} : admin.as(key.secret).call("sts", operation, params, region);
    },
  };
}

type Hook = { readonly operation: string; readonly moment: Moment; readonly then: (made: Made) => Promise<void> };

function makeBehaviours(admin: Admin, find: (accessKey: string) => Key | null) {
  const simulated: { document: Document | null } = { document: null };
  const scalingSwitches: ScalingSwitches = {
    launchMilliseconds: 0,
    terminateMilliseconds: 0,
    capacity: null,
    cooldown: false,
    unwell: new Set(),
    failMilliseconds: 0,
    failed: "rolls back",
  };
  const issuing: AuthoritySwitches = { issueMilliseconds: 0, tokenMilliseconds: 300_000, mistake: null, fails: false };
  const syncing: ZoneSwitches = { syncMilliseconds: 0, page: 300 };
  const behaviours: {
    autoscaling: Scaling;
    ec2: Templates;
    "acm-pca": Authority;
    route53: Zone;
    sts: Behaviour;
    iam: Behaviour;
  } = {
    autoscaling: scaling(admin, scalingSwitches),
    ec2: templates(admin),
    "acm-pca": authority(admin, issuing),
    route53: zone(admin, syncing),
    sts: identity(admin, find),
    iam: simulator(() => simulated.document),
  };
  return { behaviours, scaling: scalingSwitches, issuing, syncing, simulated };
}

/** One account's resources, named anew, so that many worlds can share one moto. */
async function makeAccount(admin: Admin, authorities: Authority, options: WorldOptions) {
  const name = unique();
  const network = await makeNetwork(admin);
  const group = { name: `brokers-${name}`, arn: "" };
  const arn = await makeGroup(admin, network, group.name, options.group ?? { min: 1, max: 9, desired: 2 }, "1");
  const made = await makeAuthority(
    admin,
    authorities,
    `authority ${name}`,
    options.key ?? "EC_prime256v1",
    options.authorityDays,
  );
  const zoneName = `z${name}.example.com`;
  const role = `reeve-${name}`;
  await makeRole(admin, role, options.policy ?? EVERYTHING);
  return {
    network,
    role,
    group: { ...group, arn },
    authority: made,
    zone: { id: await makeZone(admin, zoneName), name: zoneName },
  };
}

/** The group that the agent's own machine is in; null when it is in none. */
async function ownGroup(
  admin: Admin,
  { network, group }: Awaited<ReturnType<typeof makeAccount>>,
  own: WorldOptions["own"] = false,
): Promise<string | null> {
  if (typeof own === "boolean") return own ? group.name : null;
  const template = own.template === "same" ? network.template : await makeTemplate(admin);
  const name = `agent-${group.name}`;
  await makeGroup(admin, { ...network, template }, name, { min: 1, max: 1, desired: 1 }, own.version);
  return name;
}

export async function startWorld(moto: Moto, options: WorldOptions = {}): Promise<World> {
  const keys = makeKeys();
  const admin = await makeAdministrator(moto);
  const parts = makeBehaviours(admin, (accessKey) => keys.find(accessKey));
  const { behaviours } = parts;
  const account = await makeAccount(admin, behaviours["acm-pca"], options);
  if (options.iam === true) await moto.judge(true);

  const calls: Made[] = [];
  const metadataCalls: MetadataCall[] = [];
  const problems: string[] = [];
  const rules: Rule[] = [];
  let hooks: readonly Hook[] = [];
  const inside = await ownGroup(admin, account, options.own);
  const [first] = inside === null ? [] : await behaviours.autoscaling.instances(inside);
  const instance = first ?? `i-${unique()}${unique().slice(0, 7)}`;
  const switches: World["switches"] = {
    endpointRegion: REGION,
    judge: null,
    role: account.role,
    credentialsSeconds: options.credentialsSeconds ?? 3600,
  };
  const metadata: MetadataSwitches = { fault: "none", slowMilliseconds: 10_000 };

  const authorize = async (made: Made): Promise<void> => {
    if (made.operation === "GetCallerIdentity") return;
    if (switches.judge !== null && !(await switches.judge(made))) throw denial(made, made.principal?.arn ?? "");
    if (options.iam === true) await judge(admin, keys, made);
  };
  const between = async (made: Made, moment: Moment): Promise<void> => {
    const due = hooks.find((hook) => hook.operation === made.operation && hook.moment === moment);
    if (due === undefined) return;
    hooks = hooks.filter((hook) => hook !== due);
    await due.then(made);
  };
  const proxyOf = (service: Served) =>
    startProxy({
      service,
      behaviour: behaviours[service],
      region: () => (service === "route53" || service === "iam" ? GLOBAL_REGION : switches.endpointRegion),
      keys,
      rules,
      authorize,
      record: (made) => calls.push(made),
      between,
      problem: (words) => problems.push(words),
    });
  let current: Key | null = null;
  const credentials = async (): Promise<Key> => {
    if (current !== null && current.expires > Date.now() + 1000 && current.principal.role === switches.role)
      return current;
    current = await assume(admin, switches.role, instance, switches.credentialsSeconds);
    keys.add(current);
    return current;
  };
  const told = await startMetadata({
    instance: { id: instance, account: ACCOUNT, region: REGION, tags: { Name: "reeve" } },
    switches: metadata,
    credentials,
    calls: metadataCalls,
  });
  const proxies = {
    autoscaling: await proxyOf("autoscaling"),
    ec2: await proxyOf("ec2"),
    "acm-pca": await proxyOf("acm-pca"),
    route53: await proxyOf("route53"),
    sts: await proxyOf("sts"),
    iam: await proxyOf("iam"),
  };

  return {
    account: ACCOUNT,
    region: REGION,
    role: account.role,
    instance,
    group: account.group,
    template: account.network.template,
    authority: account.authority,
    zone: account.zone,
    endpoints: {
      autoscaling: `http://${proxies.autoscaling.host}`,
      ec2: `http://${proxies.ec2.host}`,
      "acm-pca": `http://${proxies["acm-pca"].host}`,
      route53: `http://${proxies.route53.host}`,
      sts: `http://${proxies.sts.host}`,
      metadata: told.endpoint,
    },
    iam: `http://${proxies.iam.host}`,
    simulated: parts.simulated,
    scaling: parts.scaling,
    issuing: parts.issuing,
    syncing: parts.syncing,
    metadata,
    switches,
    calls,
    metadataCalls,
    problems,
    admin,
    others: {
      relaunch: (version) => behaviours.autoscaling.relaunchByOther(account.group.name, version),
      cancel: () => behaviours.autoscaling.cancelByOther(account.group.name),
      async version(image, more = {}, data = {}) {
        const LaunchTemplateData = { ImageId: image, InstanceType: "t3.micro", ...data };
        const LaunchTemplateId = account.network.template;
        await admin.call("ec2", "CreateLaunchTemplateVersion", { LaunchTemplateId, LaunchTemplateData, ...more });
      },
      refresh: (version) => behaviours.autoscaling.refreshByOther(account.group.name, version),
      scale: (desired, group = account.group.name) => behaviours.autoscaling.setByOther(group, desired),
      changeRecords: (...changes) => behaviours.route53.changeByOther(account.zone.id, changes),
    },
    fault(operation, fault, { skip = 0, times = 1 } = {}) {
      const rule: Rule = { operation, fault, skip, times, hits: 0 };
      rules.push(rule);
      return rule;
    },
    at(operation, moment, then) {
      hooks = [...hooks, { operation, moment, then }];
    },
    allow: (policy) => setPolicy(admin, account.role, policy),
    credentials,
    expireCredentials() {
      for (const key of keys.all()) key.expires = Date.now() - 1;
    },
    more: {
      group: (name, size, launches) => makeGroup(admin, account.network, name, size, launches),
      template: () => makeTemplate(admin),
      authority: async (key) => (await makeAuthority(admin, behaviours["acm-pca"], `authority ${unique()}`, key)).arn,
      zone: (name) => makeZone(admin, name),
      role: (name) => makeRole(admin, name, EVERYTHING),
    },
    look: {
      async group(name = account.group.name) {
        const { Instances, DesiredCapacity } = await behaviours.autoscaling.see(name);
        const instances = (Instances ?? []) as readonly Structure[];
        const inService = instances.filter((one) => one["LifecycleState"] === "InService").length;
        return { desired: Number(DesiredCapacity), instances: instances.length, inService };
      },
      async images() {
        const group = await behaviours.autoscaling.see(account.group.name);
        const ids = ((group["Instances"] ?? []) as readonly Structure[])
          .filter((one) => !String(one["LifecycleState"]).startsWith("Terminat"))
          .map((one) => String(one["InstanceId"]));
        const { Version: version } = group["LaunchTemplate"] as Structure;
        const images = await behaviours.ec2.images(ids);
        return { images, version: String(version), ...behaviours.autoscaling.refreshed(account.group.name) };
      },
      issued: (arn = account.authority.arn) => behaviours["acm-pca"].issued(arn),
      async record(name, type) {
        const all = await behaviours.route53.records(account.zone.id);
        return all.find((one) => one.Name === `${name}.` && one.Type === type) ?? null;
      },
    },
    trail: (folder) => writeTrail(folder, calls, ACCOUNT),
    async stop() {
      await Promise.all([told.stop(), ...Object.values(proxies).map((proxy) => proxy.stop())]);
      if (options.iam === true) await moto.judge(false);
    },
  };
}
