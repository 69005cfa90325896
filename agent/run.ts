import { GateBreach, type Provider } from "../providers/provider.ts";
import { manifestSource, patient } from "./artifacts/source.ts";
import { cosignedWriter } from "./audit/cosigned.ts";
import type { EntryBody } from "./audit/entry.ts";
import { segmentName } from "./audit/folder.ts";
import { archiveEpoch, type Log, openLog } from "./audit/log.ts";
import { logKeyBinding } from "./audit/note.ts";
import { timeText } from "./audit/time.ts";
import { backoff } from "./backoff.ts";
import { recordBreach } from "./breach.ts";
import { watchClock } from "./clock.ts";
import { type Config, milliseconds, segmentBytes } from "./config.ts";
import { dispatcher } from "./dispatch.ts";
import type { Clock, Host } from "./host/host.ts";
import { type EnrolmentFault, isEnrolmentFault } from "./identity/fault.ts";
import type { Identity } from "./identity/identity.ts";
import { inventorist } from "./inventory.ts";
import { BUCKET_LOOK_SECONDS, HEAD_INTENTS_MS, LOOK_SECONDS, MAX_CANCELLED, MAX_COMMANDS_PER_HOUR } from "./limits.ts";
import type { Logger } from "./logger.ts";
import { type MetricsFile, metricsFile } from "./metrics.ts";
import { observeGroup } from "./observe.ts";
import type { OwnersFolder } from "./owner/folder.ts";
import { NO_KEEPER, segmentKeeper } from "./owner/keepSegments.ts";
import { policyReader } from "./owner/policy.ts";
import { readSwitch, type Switch } from "./owner/switch.ts";
import { headBefore, openOwnersHead } from "./ownersLog.ts";
import { type Ended, type Poller, poll, type Reporter, reporter } from "./poll.ts";
import { keepAlive, pulse, type Watchdog } from "./pulse.ts";
import { recover } from "./recover.ts";
import { renew } from "./renewOften.ts";
import { resting } from "./rest.ts";
import { type Road, write } from "./road.ts";
import { sharer } from "./share.ts";
import { knowsSince } from "./since.ts";
import { remembered, type Status, statusFile } from "./status.ts";
import { recordTrust, takeTrust, trustIntake, unfence } from "./takeTrust.ts";
import { watchWaits } from "./waiting.ts";
import { watchOwner } from "./watchOwner.ts";
import { logOrigin } from "./wire/names.ts";
import type { AskWitness } from "./witness/follow.ts";
import { type Witnesses, watchWitnesses } from "./witness/witnesses.ts";

export type Started = {
  readonly host: Host;
  readonly config: Config;
  readonly configDigest: string;
  readonly version: string;
  readonly pid: number;
  /** The runtime's name and version, for the record. */
  readonly runtime: string;
  readonly provider: Provider;
  readonly owner: OwnersFolder;
  /** Asks a witness, as the config's `egress` wants it. */
  readonly askWitness: AskWitness;
  readonly say: Logger;
  /** SIGTERM: finish what runs, then stop. */
  readonly stop: AbortController;
  /** Joins, or loads what an earlier start joined. */
  identify(): Promise<Identity | EnrolmentFault>;
  /** Told when the agent is ready for commands (systemd's readiness). */
  ready(): void;
  /** systemd's watchdog; null where there is none. */
  readonly watchdog: Watchdog | null;
  /** Gives memory back that is not used any more. */
  giveBack(): void;
};

/** Runs the agent until it is told to stop. Returns the exit code; throws what ends the process: a broken log, our own mistakes. */
export async function run(agent: Started): Promise<number> {
  const { host, config, say } = agent;
  const now = (): number => host.clock.now();
  const keep = statusFile(host.disk, `${config.runtime}/status.json`, now);
  const metrics = metricsFile(host.disk, `${config.runtime}/metrics.prom`, now, say);
  const status = (of: Omit<Status, "since">): void => {
    keep(of);
    metrics.take(of);
  };
  const base = { pid: agent.pid, version: agent.version, cluster: config.cluster, running: 0 };
  const nobody = {
    agent: null,
    epoch: null,
    policy: null,
    log: null,
    witnesses: [],
    intake: { taken: 0, of: MAX_COMMANDS_PER_HOUR, full: false },
    refused: { commands: 0, unread: 0, trust: 0 },
    out_of_contact: null,
    last_contact: null,
    waiting: [],
    rates: [],
    recent: [],
  };
  status({ ...base, ...nobody, state: "enrolling", reason: "" });
  const identity = await identifyPatiently(agent, (reason) =>
    status({ ...base, ...nobody, state: "enrolling", reason }),
  );
  if (identity === null) return 0;
  if (isEnrolmentFault(identity)) {
    status({ ...base, ...nobody, state: identity.fault === "fenced" ? "fenced" : "stopped", reason: identity.message });
    say("error", identity.message, { code: identity.fault, hint: identity.hint });
    return identity.exit;
  }
  const before = await leftByEpochBefore(agent, identity, (reason) =>
    status({ ...base, ...nobody, state: "enrolling", reason }),
  );
  if (before === STOPPED) return 0;
  const log = openEpoch(agent, identity, before);
  try {
    return await serve(agent, identity, log, status, metrics);
  } catch (error) {
    if (error instanceof GateBreach) recordBreach(error, null, { log, appended: () => undefined });
    throw error;
  } finally {
    identity.session.close();
    log.close();
  }
}

/** Waits for a control plane that is away: the token and the key are kept. Null when told to stop meanwhile. */
async function identifyPatiently(
  agent: Started,
  waits: (reason: string) => void,
): Promise<Identity | EnrolmentFault | null> {
  const wait = backoff(agent.host.random);
  let said = "";
  while (!agent.stop.signal.aborted) {
    await agent.owner.refresh();
    const identity = await agent.identify();
    if (!isEnrolmentFault(identity) || identity.exit !== 5) return identity;
    // The time that a message may hold is another at each try.
    const same = identity.message.replace(/\d/g, "");
    if (same !== said) agent.say("warn", identity.message, { code: identity.fault, hint: identity.hint });
    said = same;
    waits(identity.message);
    await agent.host.clock.sleep(wait.next(), agent.stop.signal);
  }
  return null;
}

const STOPPED = Symbol("stopped");

/**
 * The head that entry 0 names: of the epoch whose log lies on this disk, or of a newer one that left its head in the owner's bucket. A bucket
 * that does not answer is waited for: what is written once cannot be made good, and without it nothing would be permitted anyway.
 */
async function leftByEpochBefore(
  agent: Started,
  identity: Identity,
  waiting: (reason: string) => void,
): Promise<string | null | typeof STOPPED> {
  const { host, config, say, stop } = agent;
  const folder = `${config.state}/audit`;
  const here = archiveEpoch(host, folder, identity.epoch);
  const { bucket } = agent.provider;
  if (bucket === null || identity.epoch === 1 || host.disk.exists(`${folder}/${segmentName(0)}`))
    return here?.checkpoint ?? null;
  const wait = backoff(host.random);
  let said = "";
  while (!stop.signal.aborted) {
    const there = await headBefore(bucket, { host, identity });
    if (there === null || "epoch" in there)
      return there !== null && there.epoch > (here?.epoch ?? 0) ? there.checkpoint : (here?.checkpoint ?? null);
    const reason = `the log of epoch ${identity.epoch} begins with the head of the epoch before, and ${there.away}`;
    if (reason !== said) say("warn", reason, { hint: there.hint });
    said = reason;
    waiting(reason);
    await host.clock.sleep(wait.next(), stop.signal);
  }
  return STOPPED;
}

/** The log of this epoch: a former epoch's was put aside, entry 0 vouches for the log's key. */
function openEpoch(agent: Started, identity: Identity, before: string | null): Log {
  const { host, config, say } = agent;
  const folder = `${config.state}/audit`;
  const origin = logOrigin(identity.agentId, identity.epoch);
  const since = knowsSince(identity, config);
  if (identity.epoch === 1 && since !== null && host.clock.now() - since < HEAD_INTENTS_MS)
    say("warn", "rates count as used up until their window has passed since this machine joined", {
      hint: "It joined by its platform alone, without a join token. If no machine of this cluster acted before it, write first_until into the config (OPERATIONS, The config), and start again.",
    });
  const key = identity.logKeys.current;
  const vouch = (binding: Uint8Array) => ({
    chain: identity.chain(),
    signature: Buffer.from(identity.sign(binding)).toString("base64url"),
  });
  const { chain, signature } = vouch(logKeyBinding(origin, key, 0));
  const first = (): EntryBody => ({
    kind: "epoch",
    origin,
    log_keys: [{ key, from: 0 }],
    chain: [...chain],
    signature,
    before,
    config: agent.configDigest,
  });
  return openLog(host, folder, {
    origin,
    cluster: identity.cluster,
    epoch: identity.epoch,
    keys: identity.logKeys,
    vouch,
    segmentBytes: segmentBytes(config),
    segmentAgeMs: milliseconds(config.log.segment_age),
    retentionMs: milliseconds(config.log.retention),
    first,
    since,
  });
}

async function serve(
  agent: Started,
  identity: Identity,
  log: Log,
  status: (status: Omit<Status, "since">) => void,
  metrics: MetricsFile,
): Promise<number> {
  const { host, config, say, stop } = agent;
  let failure: { error: unknown } | null = null;
  let ended: Ended | null = null;
  let lost: { since: string; reason: string } | null = null;
  let lastContact: string | null = null;
  let reports: Reporter | null = null;
  let witnesses: Witnesses | null = null;
  const intake = trustIntake();
  const clock = watchClock(host.clock);
  const readPolicy = policyReader(agent.owner);
  const folder = `${config.state}/audit`;
  const head = await openOwnersHead(agent.provider.bucket, { host, identity, log }, (because) =>
    end({ why: "fenced", message: because }),
  );
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
    owner: agent.owner,
    head,
    history: () => head.history(log.memory.history),
    readPolicy,
    suspended: () => suspendedBy(readSwitch(agent.owner)),
    clockAgrees: () => clock.agrees(),
    cleared: () => witnesses?.cleared() ?? Promise.resolve(),
    heard: (index) => reports?.holds(index) ?? Promise.resolve("this agent has not started"),
    stopping: () => stop.signal.aborted,
    stop: stop.signal,
    manifests: patient(manifestSource(config.artifacts, host, identity.session), host.clock),
    halted: () => ended !== null || failure !== null,
    cancelled: new Set(),
    appended(bodies) {
      metrics.count(bodies);
      reports?.wake();
      witnesses?.wake();
    },
  };
  const { promise: broken, resolve: breakOff } = Promise.withResolvers<void>();
  const fail = (error: unknown): void => {
    failure ??= { error };
    stop.abort();
    breakOff();
  };
  function end(how: Ended): void {
    if (ended === null && how.why === "fenced")
      identity.markFenced(how.message, (digest) => {
        log.append([{ kind: "fenced", digest, says: how.message.slice(0, 512) }]);
        reports?.wake();
      });
    ended ??= how;
    stop.abort();
  }
  metrics.know(() => ({ certificateUntil: identity.certificateUntilMs(), roomy: log.roomy }));
  const processId = host.random.uuidv7();
  write(road, { kind: "started", version: agent.version, process: processId, runtime: agent.runtime });
  // The owner's bucket said so.
  const atOnce = ended as Ended | null;
  if (atOnce !== null) return finish(atOnce, road, say, () => undefined);
  recordTrust(identity, road);
  if (!unfence(identity, road, say))
    return finish({ why: "fenced", message: "the owner's approval does not hold" }, road, say, () => undefined);
  const dispatch = dispatcher(road, fail);
  const { bucket } = agent.provider;
  const another = (because: string): void => end({ why: "fenced", message: because });
  const keeper =
    bucket === null
      ? NO_KEEPER
      : segmentKeeper(bucket, {
          host,
          folder,
          file: `${config.state}/bucket.json`,
          epoch: identity.epoch,
          say,
          head,
          size: () => log.size,
          another,
        });
  const owner = watchOwner(road, clock, say);
  const waits = watchWaits(road);
  const heart = pulse(() => host.clock.monotonic());
  const contact = {
    host,
    log,
    say,
    stop: stop.signal,
    post: identity.session.post.bind(identity.session),
    // Only what lies in the owner's bucket too may be dropped once its retention is over.
    handedIn: (next: number) => log.handedIn(Math.min(next, keeper.next() ?? next)),
    reporting: (works: boolean) => (works ? heart.beat("report") : heart.rest("report")),
    contact(reason: string | null) {
      if (reason !== null && lost === null)
        say("warn", "no contact with the control plane; nothing is begun until there is", { reason });
      if (reason === null && lost !== null)
        say("info", "in contact with the control plane again", { since: lost.since });
      if (reason === null) lastContact = timeText(host.clock.now());
      if (reason === null) lost = null;
      // The newest reason: a refused connection may have become a certificate that is not trusted.
      else lost = { since: lost?.since ?? timeText(host.clock.now()), reason };
    },
    end,
  };
  const handing = reporter(contact);
  reports = handing;
  const sharing = sharer(contact, road, handing);
  const inventory = inventorist(contact, road, handing, (group) => observeGroup(group, road, stop.signal));
  const cosigned = cosignedWriter(host.disk, `${config.state}/audit`);
  const watched = watchWitnesses({
    host,
    log,
    say,
    stop: stop.signal,
    witnesses: config.witnesses,
    ask: agent.askWitness,
    post: contact.post,
    keys: () => identity.witnessKeys(),
    handedIn: () => handing.flushed(),
    keep: (note) => cosigned.add(note),
    end: (message) => contact.end({ why: "witness", message }),
  });
  witnesses = watched;
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
      last_contact: lastContact,
      ...remembered(log.memory, road.history(), owner.inForce(), host.clock.now()),
      log: { size: log.size, root: log.checkpoint().split("\n")[2] ?? "" },
      witnesses: watched.status(),
      running: dispatch.running(),
      intake: { ...dispatch.taken(), of: MAX_COMMANDS_PER_HOUR },
    });
  const rest = resting(agent.giveBack);
  const look = async (): Promise<void> => {
    await agent.owner.refresh(BUCKET_LOOK_SECONDS);
    owner.look();
    waits.end();
    sharing.wake();
    inventory.wake();
    const { state, reason } = stateNow();
    show(watched.waitingFor() !== null && state === "ready" ? "waiting" : state, reason);
    rest(dispatch.running() > 0 ? null : log.size, host.clock.monotonic());
  };
  /** A required witness that is away is no state of the protocol: the reason says it. */
  const stateNow = (): ReturnType<typeof owner.state> => {
    const now = owner.state();
    const held = watched.waitingFor();
    return now.state === "ready" && held !== null ? { ...now, reason: held } : now;
  };
  const poller: Poller = {
    state() {
      // Right before each poll.
      heart.beat("contact");
      return {
        ...stateNow(),
        epoch: identity.epoch,
        process: processId,
        trust_version: identity.trustVersion(),
        version: agent.version,
      };
    },
    async before() {
      heart.beat("contact");
      log.tick();
      await look();
      heart.beat("contact");
      await renew(identity, road, say, contact.end, agent.provider.prove !== null);
      // A head may have been signed without an entry.
      watched.wake();
    },
    step: () => heart.beat("contact"),
    settled: () => watched.settled(),
    heldBack: () => watched.heldBack(),
    async trust(statements) {
      heart.beat("contact");
      if (statements.length > 0) await takeTrust(identity, statements, road, say, intake);
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
  await agent.owner.refresh();
  owner.look();
  const recovering = [...log.memory.open.values()].map((intent) => recover(intent, road, stop.signal).catch(fail));
  say("info", "ready", { agent: identity.agentId, epoch: identity.epoch, entries: log.size });
  agent.ready();
  stop.signal.addEventListener("abort", () => heart.ending(), { once: true });
  const over = new AbortController();
  if (agent.watchdog !== null)
    void keepAlive(
      agent.watchdog,
      heart,
      host.clock,
      (loop) => say("error", "Cannot go on: a loop hangs.", { loop }),
      over.signal,
    );
  const loops = [
    handing.run().catch(fail),
    sharing.run().catch(fail),
    inventory.run().catch(fail),
    watched.run().catch(fail),
    keeper.run(stop.signal).catch(fail),
    poll(contact, dispatch, handing, poller).catch(fail),
    lookOften(host.clock, look, stop.signal, () => heart.beat("look")).catch(fail),
  ];
  const done = Promise.all(loops).then(() => Promise.all([dispatch.idle(), ...recovering]));
  // What broke ends the process at once, whatever still waits: the next start finishes what is open.
  await Promise.race([done, broken]);
  over.abort();
  if (failure !== null) throw (failure as { error: unknown }).error;
  const exit = finish(ended, road, say, show);
  if (ended === null) await watched.last();
  await keeper.last(() => log.cut());
  return exit;
}

/** What the owner does is seen within seconds, also while a poll is held: for the record and for `status`. Commands look by themselves. */
async function lookOften(clock: Clock, look: () => Promise<void>, stop: AbortSignal, beat: () => void): Promise<void> {
  for (;;) {
    await clock.sleep(LOOK_SECONDS * 1000, stop);
    if (stop.aborted) return;
    await look();
    beat();
  }
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
      hint: "If another machine was enrolled for this cluster, this one has done its work. If two hold its identity (a cloned disk, a restored snapshot): delete the copy. To go on here: `reeve leave`, and a new join token.",
    });
    return 6;
  }
  if (ended.why === "expired") {
    say("warn", ended.message, { hint: "Nothing is to be done: started again, it enrols anew by its platform." });
    return 5;
  }
  const what = ended.why === "shorter" ? "this log is shorter than what was handed in" : "a witness has seen otherwise";
  say("error", `Cannot go on: ${what}.`, {
    said: ended.message,
    hint: "Restore the state folder that belongs to this machine, or `reeve leave`.",
  });
  return 7;
}

function suspendedBy(owner: Switch): string | null {
  return owner.on ? null : owner.why;
}
