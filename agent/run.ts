import { checkRevision } from "../policy/authorize.ts";
import type { Provider } from "../providers/provider.ts";
import type { EntryBody } from "./audit/entry.ts";
import { archiveEpoch, type Log, openLog } from "./audit/log.ts";
import { logKeyBinding } from "./audit/note.ts";
import { timeText } from "./audit/time.ts";
import { backoff } from "./backoff.ts";
import { watchClock } from "./clock.ts";
import { type Config, segmentBytes } from "./config.ts";
import { dispatcher } from "./dispatch.ts";
import type { Host } from "./host/host.ts";
import { type EnrolmentFault, isEnrolmentFault } from "./identity/fault.ts";
import type { Identity } from "./identity/identity.ts";
import { MAX_CANCELLED, MAX_REFUSED_TRUST_PER_HOUR } from "./limits.ts";
import type { Logger } from "./logger.ts";
import { approvalBody } from "./owner/approvals.ts";
import { ownersConsent } from "./owner/consent.ts";
import { policyReader, type ReadPolicy } from "./owner/policy.ts";
import { readSwitch, type Switch } from "./owner/switch.ts";
import { type Ended, type Poller, poll, type Reporter, reporter } from "./poll.ts";
import { recover } from "./recover.ts";
import { type Road, write } from "./road.ts";
import { sharer } from "./share.ts";
import { type Status, statusFile } from "./status.ts";
import { newApprovals, watchWaits } from "./waiting.ts";
import { logOrigin } from "./wire/names.ts";

const HOUR_MS = 3_600_000;

export type Started = {
  readonly host: Host;
  readonly config: Config;
  readonly configDigest: string;
  readonly version: string;
  readonly pid: number;
  /** The runtime's name and version, for the record. */
  readonly runtime: string;
  readonly provider: Provider;
  readonly say: Logger;
  /** SIGTERM: finish what runs, then stop. */
  readonly stop: AbortController;
  /** Joins, or loads what an earlier start joined. */
  identify(): Promise<Identity | EnrolmentFault>;
  /** Told when the agent is ready for commands (systemd's readiness). */
  ready(): void;
};

/** Runs the agent until it is told to stop. Returns the exit code; throws what ends the process: a broken log, our own mistakes. */
export async function run(agent: Started): Promise<number> {
  const { host, config, say } = agent;
  const status = statusFile(host.disk, `${config.runtime}/status.json`, () => host.clock.now());
  const base = { pid: agent.pid, version: agent.version, cluster: config.cluster, running: 0 };
  const nobody = { agent: null, epoch: null, policy: null, log: null, out_of_contact: null };
  status({ ...base, ...nobody, state: "enrolling", reason: "" });
  const identity = await identifyPatiently(agent);
  if (identity === null) return 0;
  if (isEnrolmentFault(identity)) {
    status({ ...base, ...nobody, state: identity.fault === "fenced" ? "fenced" : "stopped", reason: identity.message });
    say("error", identity.message, { code: identity.fault, hint: identity.hint });
    return identity.exit;
  }
  const log = openEpoch(agent, identity);
  try {
    return await serve(agent, identity, log, status);
  } finally {
    identity.session.close();
    log.close();
  }
}

/** Waits for a control plane that is away: the token and the key are kept. Null when told to stop meanwhile. */
async function identifyPatiently(agent: Started): Promise<Identity | EnrolmentFault | null> {
  const wait = backoff(agent.host.random);
  let said = "";
  while (!agent.stop.signal.aborted) {
    const identity = await agent.identify();
    if (!isEnrolmentFault(identity) || identity.exit !== 5) return identity;
    if (identity.message !== said) agent.say("warn", identity.message, { code: identity.fault, hint: identity.hint });
    said = identity.message;
    await agent.host.clock.sleep(wait.next(), agent.stop.signal).catch(() => undefined);
  }
  return null;
}

/** The log of this epoch: a former epoch's is put aside, entry 0 vouches for the log's key. */
function openEpoch(agent: Started, identity: Identity): Log {
  const { host, config } = agent;
  const folder = `${config.state}/audit`;
  const origin = logOrigin(identity.agentId, identity.epoch);
  const before = archiveEpoch(host, folder, identity.epoch);
  const key = Buffer.from(identity.logKey.x).toString("base64");
  const first = (): EntryBody => ({
    kind: "epoch",
    origin,
    log_keys: [{ key, from: 0 }],
    chain: [...identity.chain()],
    signature: Buffer.from(identity.sign(logKeyBinding(origin, key, 0))).toString("base64url"),
    before: before?.checkpoint ?? null,
    config: agent.configDigest,
  });
  return openLog(host, folder, {
    origin,
    cluster: identity.cluster,
    epoch: identity.epoch,
    logKey: { privateKey: identity.logKey.privateKey, publicKey: key },
    segmentBytes: segmentBytes(config),
    first,
    // A later epoch's machine has no memory: rates count as used up until their window has passed.
    since: identity.epoch === 1 ? null : identity.enrolledAtMs,
  });
}

async function serve(
  agent: Started,
  identity: Identity,
  log: Log,
  status: (status: Omit<Status, "since">) => void,
): Promise<number> {
  const { host, config, say, stop } = agent;
  let failure: { error: unknown } | null = null;
  let ended: Ended | null = null;
  let lost: { since: string; reason: string } | null = null;
  let reports: Reporter | null = null;
  const refusedTrust = new Map<string, number>();
  const clock = watchClock(host.clock);
  const readPolicy = policyReader(host.disk, config.owner);
  const road: Road = {
    host,
    config,
    provider: agent.provider,
    log,
    trustDomain: identity.trustDomain,
    agentId: identity.agentId,
    cluster: identity.cluster,
    epoch: identity.epoch,
    enrolledAt: Math.floor(identity.enrolledAtMs / 1000),
    commandKeys: () => identity.commandKeys(),
    readPolicy,
    suspended: () => suspendedBy(readSwitch(host.disk, config.owner)),
    clockAgrees: () => clock.agrees(),
    stopping: () => stop.signal.aborted,
    halted: () => ended !== null || failure !== null,
    cancelled: new Set(),
    appended: () => reports?.wake(),
  };
  const fail = (error: unknown): void => {
    failure ??= { error };
    stop.abort();
  };
  const processId = host.random.uuidv7();
  write(road, { kind: "started", version: agent.version, process: processId, runtime: agent.runtime });
  unfence(identity, road, say);
  const dispatch = dispatcher(road, fail);
  const owner = ownerWatch(road, clock, say);
  const waits = watchWaits(road);
  const contact = {
    host,
    log,
    say,
    stop: stop.signal,
    post: identity.session.post.bind(identity.session),
    contact(reason: string | null) {
      if (reason !== null && lost === null)
        say("warn", "no contact with the control plane; nothing is changed until there is", { reason });
      if (reason === null && lost !== null)
        say("info", "in contact with the control plane again", { since: lost.since });
      if (reason === null) lost = null;
      else lost ??= { since: timeText(host.clock.now()), reason };
    },
    end(how: Ended) {
      if (ended === null && how.why === "fenced")
        write(road, { kind: "fenced", digest: identity.markFenced(how.message), says: how.message.slice(0, 512) });
      ended ??= how;
      stop.abort();
    },
  };
  const handing = reporter(contact);
  reports = handing;
  const sharing = sharer(contact, road, handing);
  const show = (state: Status["state"], reason: string): void =>
    status({
      state,
      reason,
      pid: agent.pid,
      version: agent.version,
      cluster: identity.cluster,
      agent: identity.agentId,
      epoch: identity.epoch,
      policy: owner.policy(),
      out_of_contact: lost,
      log: { size: log.size, root: log.checkpoint().split("\n")[2] ?? "" },
      running: dispatch.running(),
    });
  const poller: Poller = {
    state: () => ({
      ...owner.state(),
      epoch: identity.epoch,
      process: processId,
      trust_version: identity.trustVersion(),
      version: agent.version,
    }),
    async before() {
      log.tick();
      owner.look();
      waits.end();
      sharing.wake();
      const { state, reason } = owner.state();
      show(state, reason);
      await renew(identity, road, say, contact.end);
    },
    async trust(statements) {
      if (statements.length > 0) await takeTrust(identity, statements, road, say, refusedTrust);
    },
    waits: () => log.memory.waiting.size > 0 || log.memory.trust !== null,
    approved: (most) => waits.due(most),
    cancel(ids) {
      for (const id of ids) road.cancelled.add(id);
      for (const oldest of road.cancelled) {
        if (road.cancelled.size <= MAX_CANCELLED) break;
        road.cancelled.delete(oldest);
      }
    },
  };
  owner.look();
  const recovering = [...log.memory.open.values()].map((intent) => recover(intent, road, stop.signal).catch(fail));
  say("info", "ready", { agent: identity.agentId, epoch: identity.epoch, entries: log.size });
  agent.ready();
  const loops = [handing.run(), sharing.run(), poll(contact, dispatch, handing, poller)].map((loop) =>
    loop.catch(fail),
  );
  await Promise.all(loops);
  await Promise.all([dispatch.idle(), ...recovering]);
  if (failure !== null) throw (failure as { error: unknown }).error;
  return finish(ended, road, say, show);
}

function finish(
  ended: Ended | null,
  road: Road,
  say: Logger,
  show: (state: Status["state"], reason: string) => void,
): number {
  if (ended === null) {
    write(road, { kind: "stopped", why: "told to" });
    show("stopped", "told to");
    say("info", "stopped");
    return 0;
  }
  write(road, { kind: "stopped", why: ended.why });
  show(ended.why === "fenced" ? "fenced" : "stopped", ended.message);
  if (ended.why === "fenced") {
    say("error", "Cannot go on: the control plane has fenced this agent.", {
      said: ended.message,
      hint: "If another machine was enrolled for this cluster, this one has done its work; else run `reeve leave` and join with a new token.",
    });
    return 6;
  }
  say("error", "Cannot go on: this log is shorter than what was handed in.", {
    said: ended.message,
    hint: "Restore the state folder that belongs to this machine, or `reeve leave`.",
  });
  return 7;
}

function suspendedBy(owner: Switch): string | null {
  return owner.on ? null : owner.why;
}

/** What the owner's folder says, and each change of it on record. */
function ownerWatch(road: Road, clock: ReturnType<typeof watchClock>, say: Logger) {
  let last: { inode: number | null; policy: string } = { inode: null, policy: "" };
  let refusing: string | null = null;
  let policy: Status["policy"] = null;
  let why: string | null = null;
  return {
    policy: () => policy,
    state(): { state: "ready" | "suspended" | "refusing"; reason: string } {
      if (why !== null) return { state: "suspended", reason: why.slice(0, 256) };
      if (refusing !== null) return { state: "refusing", reason: refusing.slice(0, 256) };
      return { state: "ready", reason: "" };
    },
    look() {
      const now = readSwitch(road.host.disk, road.config.owner);
      why = now.on ? null : now.why;
      if (road.log.memory.switchOn !== now.on) {
        write(road, { kind: "switch", on: now.on, why: why ?? "" });
        say(
          now.on ? "info" : "warn",
          now.on ? "the owner's switch is on" : "suspended by the customer: every command is refused",
          { why: why ?? "" },
        );
      }
      // Only a switch that was really taken away and put back is the owner's resume; one that could not be read is not.
      const inode = now.on ? now.inode : now.missing ? null : last.inode;
      if (inode !== null && inode !== last.inode) clock.accept();
      const seen = clock.look();
      if (seen.changed) {
        write(road, { kind: "clock", jumped: seen.jumped, agrees: seen.agrees });
        say("warn", seen.agrees ? "the clock agrees again" : "the clock jumped: commands are refused", {
          seconds: seen.jumped,
        });
      }
      const file = road.readPolicy("act");
      const older = "policy" in file ? checkRevision(file.policy, road.log.memory.history, "act") : null;
      const read: ReadPolicy = older === null ? file : { refusal: older, digest: file.digest };
      const digest = read.digest ?? `sha256:${"0".repeat(64)}`;
      const code = "refusal" in read ? read.refusal.code : null;
      const revision = "policy" in read ? read.policy.revision : 0;
      const told = `${digest} ${code}`;
      policy = "policy" in read ? { digest, revision } : null;
      refusing =
        "refusal" in read ? `${read.refusal.code}: ${read.refusal.because}` : seen.agrees ? null : "the clock jumped";
      if (told !== last.policy) {
        const recorded = road.log.memory.policy;
        if (recorded?.digest !== digest || recorded.code !== code)
          write(road, { kind: "policy", policy: digest, revision, code });
        if ("refusal" in read)
          say("error", `the policy refuses everything: ${read.refusal.because}`, {
            code: read.refusal.code,
            hint: read.refusal.hint,
          });
        else say("info", "the policy is in force", { revision, digest });
      }
      last = { inode, policy: told };
    },
  };
}

async function renew(identity: Identity, road: Road, say: Logger, end: (how: Ended) => void): Promise<void> {
  const renewal = await identity.renewIfDue();
  if ("renewed" in renewal) {
    const until = timeText(renewal.renewed.untilMs);
    write(road, { kind: "renewed", serial: renewal.renewed.serial, until });
    say("info", "the certificate was renewed", { until });
  }
  if ("fault" in renewal) {
    if (renewal.fault.fault === "fenced") end({ why: "fenced", message: renewal.fault.message });
    else say("error", renewal.fault.message, { code: renewal.fault.fault, hint: renewal.fault.hint });
  }
}

/** The owner's approval is on record before the fencing is gone; if we stop between the two, the next start does both again. */
function unfence(identity: Identity, road: Road, say: Logger): void {
  const digest = identity.fencing();
  if (digest === null) return;
  const what = { kind: "fencing", epoch: identity.epoch, digest } as const;
  const { person, judged } = ownersConsent(road.host.disk, road.config.owner, what);
  if (person === null) throw new Error("a fenced agent was started without the owner's approval");
  write(road, ...judged.map((one) => approvalBody(what, one)), { kind: "unfenced", digest, person });
  identity.endFencing();
  say("warn", "the owner ended the fencing; the control plane's operator must agree", { person });
}

/**
 * Trust statements that the control plane hands out. A refused one is recorded once, however often it is sent, and few of them an hour:
 * the vendor cannot fill the owner's disk. One that waits for the owner is recorded once, whole; it is sent again with each poll.
 */
async function takeTrust(
  identity: Identity,
  statements: readonly string[],
  road: Road,
  say: Logger,
  known: Map<string, number>,
): Promise<void> {
  const taken = await identity.acceptTrust(statements, (statement) => {
    const { version, digest } = statement;
    if (road.log.memory.trust?.digest !== digest) {
      if (!mayRecord(digest, known, road.host.clock.monotonic())) return false;
      const changes = statement.changes.slice(0, 64).map((change) => change.slice(0, 512));
      write(road, { kind: "trust-waiting", version, digest, statement: statement.statement, changes });
      say("warn", `trust statement ${version} waits for the owner: reeve approve trust-${version}`, { digest });
    }
    const what = { kind: "trust", version, digest } as const;
    const { person, judged } = ownersConsent(road.host.disk, road.config.owner, what);
    const fresh = newApprovals(what, road.log.memory.trust?.signatures ?? new Map(), judged);
    if (fresh.length > 0) write(road, ...fresh);
    return person !== null;
  });
  for (const { version, digest, keys } of taken.accepted) {
    write(road, { kind: "trust", version, digest, keys: [...keys] });
    say("info", "a trust statement is in force", { version });
  }
  if (taken.refused === null) return;
  const { refusal, digest, bytes } = taken.refused;
  if (!mayRecord(digest, known, road.host.clock.monotonic())) return;
  write(road, { kind: "trust-refused", code: refusal.code, digest, bytes });
  say("error", `a trust statement was refused: ${refusal.because}`, { code: refusal.code, hint: refusal.hint });
}

/** Once an hour for one digest, and few of them an hour. */
function mayRecord(digest: string, known: Map<string, number>, now: number): boolean {
  for (const [old, at] of known) if (at <= now - HOUR_MS && old !== digest) known.delete(old);
  if (known.has(digest) || known.size >= MAX_REFUSED_TRUST_PER_HOUR) return false;
  known.set(digest, now);
  return true;
}
