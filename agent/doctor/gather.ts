import type { Rule } from "../../policy/policy.ts";
import { warnings } from "../../policy/sentences.ts";
import type { Config } from "../config.ts";
import { forbiddenNames } from "../environment.ts";
import { NAMES } from "../identity/store.ts";
import { DOCTOR_PROVIDER_SECONDS } from "../limits.ts";
import { directoryFolder } from "../owner/folder.ts";
import { ownersDirectory, ownersFolder } from "../owner/place.ts";
import { policyReader } from "../owner/policy.ts";
import { readSwitch } from "../owner/switch.ts";
import type { DoctorDeps } from "./deps.ts";
import type { ClockFact, ConfigFact, DiskFact, Facts, Installed, OwnerFact, ProviderFact, Ran } from "./facts.ts";
import { identityFact } from "./gatherIdentity.ts";
import { logFact } from "./gatherLog.ts";
import { networkFact } from "./gatherNetwork.ts";
import { statusFact } from "./gatherStatus.ts";
import { attempt, folderFacts, groupsHere, orLate, pathFact } from "./look.ts";
import type { AgentUser } from "./user.ts";

const TIMESYNC = "/run/systemd/timesync/synchronized";
const SERVICES: Readonly<Record<string, string>> = {
  chronyd: "chrony",
  // comm(5) holds 15 characters.
  "systemd-timesyn": "systemd-timesyncd",
  ntpd: "ntpd",
  ptp4l: "ptp4l",
};

/** `more`: looked at with the same rights, once the facts are there; null without a config. */
export type Gathered<T> = { readonly facts: Facts; readonly more: T };

/** Gathers everything. Changes nothing; takes the agent's user's rights while it looks, where it may. */
export async function gather<T>(deps: DoctorDeps, path: string, more: (facts: Facts) => T): Promise<Gathered<T>> {
  const { host, machine, survey } = deps;
  const { clock, disk } = host;
  const at = clock.now();
  const offset = at - clock.monotonic();
  const read = deps.config(path);
  const config = "config" in read ? read.config : null;
  const user = agentUser(deps, config);
  // Before another's rights are taken: the kernel then closes a process's own /proc to it, and may hide others' processes.
  const forbidden = forbiddenNames(machine.environ());
  const service = serviceFact(deps);
  const [rights, back] = takeRights(deps, user);
  try {
    const fact: ConfigFact = {
      path,
      stat: pathFact(disk, path).stat,
      complaint: "config" in read ? null : read,
      closed: config === null ? null : closedTo(deps, path),
      folders: folderFacts(disk, survey.realPath, path.replace(/\/[^/]*$/, "") || "/"),
    };
    const installed = config === null ? null : await lookAround(deps, config, user);
    const ran: Ran = {
      version: deps.version,
      runtime: machine.runtime,
      at,
      uid: machine.uid,
      user,
      rights,
      forbidden,
    };
    const jumpMs = Math.round(clock.now() - clock.monotonic() - offset);
    const facts = { ran, config: fact, clock: { ...service, jumpMs }, installed };
    return { facts, more: more(facts) };
  } finally {
    back();
  }
}

/** Whom the state folder belongs to: the agent refuses to run as anybody else. */
function agentUser({ host, machine }: DoctorDeps, config: Config | null): AgentUser {
  const groups = (uid: number): readonly number[] => groupsHere(host.disk, uid);
  const state = config === null ? null : pathFact(host.disk, config.state);
  if (state?.stat?.kind === "directory") {
    const { uid, gid } = state.stat;
    return { uid, gids: [...new Set([...groups(uid), gid])], by: `${state.path} belongs to it` };
  }
  const by =
    config === null
      ? "who else it may be stands in the config"
      : `there is no ${config.state} yet that would say who else it is`;
  return { uid: machine.uid, gids: groups(machine.uid), by };
}

function takeRights({ machine, survey }: DoctorDeps, user: AgentUser): [Ran["rights"], () => void] {
  const nothing = (): void => undefined;
  if (user.uid === machine.uid) return ["own", nothing];
  if (machine.uid !== 0) return ["other", nothing];
  const taken = survey.actAs(user.uid, user.gids);
  return typeof taken === "function" ? ["taken", taken] : [{ not: taken.code }, nothing];
}

function closedTo({ host }: DoctorDeps, path: string): string | null {
  const read = attempt(() => host.disk.range(path, 0, 1));
  return "value" in read ? null : read.code;
}

function serviceFact({ survey, host }: DoctorDeps): Omit<ClockFact, "jumpMs"> {
  const names = survey.processNames();
  const services = Object.entries(SERVICES).flatMap(([comm, name]) => (names.has(comm) ? [name] : []));
  return { services, synchronized: services.includes("systemd-timesyncd") ? host.disk.exists(TIMESYNC) : null };
}

/** Everything that the config names. What waits for others goes side by side. */
async function lookAround(deps: DoctorDeps, config: Config, user: AgentUser): Promise<Installed> {
  const { host, machine } = deps;
  const { fact: identity, pins } = await identityFact(host, config, machine.credentials, user);
  const network = networkFact(deps, config, identity, pins, user.uid);
  const owner = await ownerFact(deps, config, user.uid);
  const provider = providerFact(deps, config, user.uid, "policy" in owner.policy ? owner.policy.policy.rules : []);
  const log = logFact(host.disk, config, identity, pins.logKeys);
  return {
    config,
    owner,
    disk: diskFact(deps, config),
    paths: wantedPaths(config).map(({ path, want }) => ({ ...pathFact(host.disk, path), want })),
    identity,
    log,
    status: statusFact(host.disk, config, machine.alive),
    network: await network,
    provider: await provider,
  };
}

async function ownerFact({ host, survey, provider }: DoctorDeps, config: Config, uid: number): Promise<OwnerFact> {
  const { disk } = host;
  const own = ownersDirectory(config);
  const owner = own === null ? ownersFolder(host, config, await provider(config, uid)) : directoryFolder(disk, own);
  await owner.refresh();
  const policy = policyReader(owner)("act");
  return {
    path: owner.at.directory,
    policy,
    warnings: "policy" in policy ? warnings(policy.policy).length : 0,
    switch: readSwitch(owner),
    lies:
      own === null
        ? "in-bucket"
        : {
            uid: own.uid,
            folder: pathFact(disk, own.directory),
            folders: folderFacts(disk, survey.realPath, own.directory.replace(/\/[^/]+\/?$/, "") || "/"),
            approvals: pathFact(disk, `${own.directory}/approvals`),
          },
  };
}

function diskFact({ host, survey }: DoctorDeps, config: Config): DiskFact {
  const { disk } = host;
  let path = config.state;
  while (path !== "/" && pathFact(disk, path).code === "ENOENT") path = path.replace(/\/[^/]+\/?$/, "") || "/";
  const space = attempt(() => survey.space(path));
  const audit = `${config.state}/audit`;
  const names = attempt(() => disk.list(audit));
  const begun = "value" in names && names.value.includes("lock");
  const reserve = ["ballast", "ballast-outcomes"].map((name) => {
    const { stat } = pathFact(disk, `${audit}/${name}`);
    return { name, bytes: stat?.size ?? null };
  });
  return { path, space: "value" in space ? space.value : space, reserve: begun ? reserve : null };
}

function wantedPaths(config: Config) {
  const folder = (path: string, mode = 0o700) => ({ path, want: { kind: "directory" as const, mode } });
  const file = (path: string) => ({ path, want: { kind: "file" as const, mode: 0o600 } });
  const { state } = config;
  return [
    folder(state),
    folder(`${state}/identity`),
    ...Object.values(NAMES).map((name) => file(`${state}/identity/${name}`)),
    folder(`${state}/audit`),
    folder(`${state}/details`),
    ...(config.csr === undefined ? [folder(`${state}/csr`)] : []),
    folder(config.runtime, 0o755),
  ];
}

async function providerFact(
  { host, provider }: DoctorDeps,
  config: Config,
  uid: number,
  rules: readonly Rule[],
): Promise<ProviderFact> {
  const name = config.provider;
  const enough = new AbortController();
  const late: ProviderFact = { name, unknown: `it did not say within ${DOCTOR_PROVIDER_SECONDS} s` };
  const probing = provider(config, uid)
    .then((made) => made.probe(rules, enough.signal))
    .then((parts): ProviderFact => ({ name, parts }));
  const fact = await orLate(probing, DOCTOR_PROVIDER_SECONDS * 1000, host.clock.sleep, late);
  enough.abort();
  return fact;
}
