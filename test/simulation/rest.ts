import { verifyLog } from "../../agent/audit/verify.ts";
import { CERTIFICATE_GRACE_SECONDS } from "../../agent/limits.ts";
import { diskOf } from "./disk.ts";
import { AUDIT, entriesOf, openIntents } from "./entries.ts";
import type { Stage } from "./happen.ts";
import type { Machine } from "./machine.ts";
import { CALM } from "./net.ts";
import { putFile } from "./storage.ts";
import { currentEpoch } from "./vendor.ts";

const MINUTE = 60_000;
/** `audit verify`: whole, and cosigned by the control plane; or whole, and nobody was asked yet. */
const WHOLE: readonly number[] = [10, 11];
/** What is here is whole, and older segments were dropped: where the config lets them be. */
const INCOMPLETE = 12;
/** `reeve run`: fenced, or its log is shorter than what was handed in. */
const FENCED: readonly number[] = [6, 7];

/** Called after each step of the world: whatever the cloud has done was begun by a command, and is on record on its machine for good. */
export function looked({ oracle, cloud }: Stage): void {
  if (cloud.applied.size > oracle.acted) oracle.acts(cloud.applied);
}

/**
 * The faults stop. The newest agent comes to rest, carries out a last command, ends when it is told to, and its log is held to what the
 * cloud, the control plane and `audit verify` say. Gives lines for the trace: what the log holds.
 */
export async function finish(stage: Stage): Promise<string[]> {
  const { oracle, weather, cloud, plan } = stage;
  stage.say("faults stop");
  stage.hostileUntil = 0;
  Object.assign(weather, CALM);
  Object.assign(cloud.weather, { throttle: 0, silent: 0, lag: 0 });
  stage.plane.failIn(Number.POSITIVE_INFINITY);
  for (const machine of stage.machines) {
    machine.faults = [];
    machine.storage.free = Number.POSITIVE_INFINITY;
    machine.cut = false;
    machine.clock = 0;
  }
  await noticed(stage);
  if (sleptLong(plan)) await stage.time.run(stage.time.now() + SAID_WITHIN_MS);
  const newest = await atRest(stage);
  if (oracle.violations.length > 0) return [];
  await lastCommand(stage, newest, plan.seed);
  newest.stop();
  await until(stage, MINUTE, () => newest.process === null);
  if (oracle.violations.length > 0) return [];
  if (newest.ended?.code !== 0) oracle.violate("liveness", `told to stop, it ended with ${newest.ended?.code}`);
  for (const machine of stage.machines) truthful(stage, machine, machine === newest);
  await verified(stage, newest);
  await enrolledOnce(stage);
  await handedIn(stage, newest);
  return stage.machines.flatMap((machine) => entriesOf(machine, false).map((one) => lineOf(machine, one)));
}

/** How often an agent that cannot renew says so, and more. */
const SAID_WITHIN_MS = 80_000;

/** Whether a machine stood still for so long that its certificate may be past its grace. */
function sleptLong({ bursts }: Stage["plan"]): boolean {
  return bursts.some(({ from }, at) => from - (bursts[at - 1]?.to ?? 0) > CERTIFICATE_GRACE_SECONDS * 1000);
}

/** Whoever acts in the end, once it has nothing in hand: the machine that was there, or the one that joined in its place. */
async function atRest(stage: Stage): Promise<Machine> {
  const newest = await helped(stage, await operated(stage));
  const rested = (): boolean => {
    const entries = entriesOf(newest, false);
    return newest.process !== null && entries.length > 0 && openIntents(entries).length === 0;
  };
  calmOwner(stage, newest);
  await until(stage, 1.5 * MINUTE, rested);
  // Rates that a machine without a memory counts as used up are free again after their window.
  await sleepUntil(stage, stage.time.now() + 70 * MINUTE);
  if ((await helped(stage, newest)) !== newest) return atRest(stage);
  if (!rested()) await until(stage, 1.5 * MINUTE, rested);
  return newest;
}

const SLICE = 5_000;

/** Goes on until it is so, and what follows from it has had some seconds; at most so long. */
async function until({ time, oracle }: Stage, most: number, isSo: () => boolean): Promise<void> {
  const end = time.now() + most;
  while (time.now() < end && oracle.violations.length === 0) {
    const was = isSo();
    await time.run(time.now() + SLICE);
    if (was && isSo()) return;
  }
}

/** The machines stand still until then. */
export async function sleepUntil(stage: Stage, moment: number): Promise<void> {
  stage.asleep = true;
  stage.slept += moment - stage.time.now();
  for (const machine of stage.machines) machine.freeze();
  await stage.time.run(moment);
  stage.asleep = false;
  for (const machine of stage.machines) machine.thaw();
}

/** Where two run by one identity, and nothing stands between them and the control plane, neither goes on for long. */
async function noticed(stage: Stage): Promise<void> {
  const name = stage.machines.at(-1)?.holds ?? "";
  if (!stage.copied.has(name)) return;
  // One may be on its way still.
  await stage.time.run(stage.time.now() + MINUTE);
  for (const machine of stage.machines) await helped(stage, machine);
  const running = (): boolean => stage.machines.filter((one) => one.holds === name && one.process !== null).length > 1;
  await until(stage, 3 * MINUTE, () => !running());
  if (running()) stage.oracle.violate("8 one agent", `two run by the identity of ${name}, and neither is fenced`);
}

/** Whoever holds an identity that others hold too is fenced, once it is noticed: then the operator deletes them all, and lets another join. */
export async function operated(stage: Stage): Promise<Machine> {
  const newest = stage.machines.at(-1);
  if (newest === undefined) throw new Error("a world without a machine");
  const over = newest.process === null && FENCED.includes(newest.ended?.code ?? 0);
  if (!stage.copied.has(newest.holds) || !over) return newest;
  for (const machine of stage.machines) if (machine.holds === newest.holds) machine.destroy();
  return settled(stage, stage.add());
}

/**
 * What an operator does when a machine does not run: starts it, with a new join token where it says that its own has expired. One that was away
 * for longer than its certificate's grace is deleted, and another joins. Gives the machine that is in this one's place now.
 */
export async function helped(stage: Stage, machine: Machine): Promise<Machine> {
  await stage.time.settle();
  const says = (code: string): boolean => machine.said.trimEnd().split("\n").at(-1)?.includes(`"${code}"`) === true;
  if (says("expired") && machine === stage.machines.at(-1)) {
    machine.destroy();
    return settled(stage, stage.add());
  }
  if (machine.process !== null) return machine;
  if (machine.ended?.code === 6 && says("token-expired")) {
    const token = await settled(stage, stage.plane.newToken(86_400));
    putFile(machine.storage, "/etc/reeve/token", token, 0o600);
  }
  machine.start();
  await stage.time.settle();
  return machine;
}

function calmOwner({ owner }: Stage, machine: Machine): void {
  const rate = { times: 50, per: "hour" } as const;
  owner.put(machine, {
    revision: owner.revision + 1,
    rules: [{ id: "last", allow: "scale", group: "workers", min: 0, max: 50, up: 50, down: 50, rate, need: 0 }],
  });
  // Taken away and put back: the owner's resume, also after the clock jumped.
  owner.turn(machine, false);
  owner.turn(machine, true);
}

/** An honest agent is never locked out. */
async function lastCommand(stage: Stage, machine: Machine, seed: number): Promise<void> {
  const { vendor, time, oracle } = stage;
  const sent = vendor.send({ action: "scale", group: "workers", count: 40 + (seed % 9) }, 86_400, false);
  await time.settle();
  const command = await sent;
  const ended = (): boolean =>
    entriesOf(machine, true).some((one) => one.kind === "outcome" && one.command === command?.id);
  await until(stage, 2 * MINUTE, ended);
  const row = (await settled(stage, vendor.rows())).find(({ id }) => id === command?.id);
  if (row?.state === "succeeded") return;
  const why = machine.process === null ? `ended with ${machine.ended?.code}` : "it runs";
  oracle.violate(
    "liveness",
    `${machine.name}: the last command is ${row?.state ?? "not sent"} (${row?.code}); ${why}: ${machine.said.slice(-600)}`,
  );
}

async function settled<T>({ time }: Stage, promise: Promise<T>): Promise<T> {
  await time.settle();
  return promise;
}

/** Every intent has exactly one outcome, no id was decided twice, and an outcome says what the cloud knows. */
function truthful({ oracle, cloud, clones }: Stage, machine: Machine, rested: boolean): void {
  const entries = entriesOf(machine, false);
  const seen = new Set<string>();
  for (const one of entries) {
    if (one.kind !== "intent" && one.kind !== "outcome") continue;
    const name = `${one.kind} ${one.command}`;
    if (seen.has(name)) oracle.violate("3 outcome", `${machine.name}: a second ${name}`);
    seen.add(name);
    if (one.kind === "intent") continue;
    if (!seen.has(`intent ${one.command}`)) oracle.violate("3 outcome", `${machine.name}: ${name} without an intent`);
    const acted = cloud.applied.has(one.command);
    if (one.result === "succeeded" && !acted)
      oracle.violate("3 outcome", `${name} says succeeded, the cloud knows no such change`);
    // A clone can ask about what the original has begun and not done yet.
    if (one.result === "failed" && acted && !clones.has(machine))
      oracle.violate("3 outcome", `${name} says failed (${one.code}), the cloud has done it`);
  }
  const open = openIntents(entries);
  if (rested && open.length > 0)
    oracle.violate("3 outcome", `${machine.name}: ${open[0]?.command} has no outcome at rest`);
}

/** Each epoch was given for one token, and each token that was used up has its epoch: neither is there without the other. */
async function enrolledOnce(stage: Stage): Promise<void> {
  const { plane, oracle } = stage;
  const epochs = (from: string): Promise<string> =>
    settled(
      stage,
      plane.store.transaction(async (sql) => {
        const rows = await sql.rows<{ epoch: number }>(`select distinct epoch from ${from} order by epoch`);
        return rows.map(({ epoch }) => epoch).join(" ");
      }),
    );
  const issued = await epochs("certificates");
  const used = await epochs("tokens where spki is not null");
  const acting = String(await settled(stage, currentEpoch(plane)));
  if (issued !== used) oracle.violate("6 token", `certificates of epochs ${issued}, tokens used for epochs ${used}`);
  if (!issued.split(" ").includes(acting)) oracle.violate("8 one agent", `epoch ${acting} acts and was never issued`);
}

/** By the product's own `audit verify`, given the CA and no network. */
async function verified(stage: Stage, machine: Machine): Promise<void> {
  const { time, oracle, plane } = stage;
  const guard = {
    alive: () => undefined,
    step: () => null,
    uid: 0,
    now: () => time.now(),
    synced: () => undefined,
    holder: {},
  };
  const disk = diskOf(machine.storage, guard);
  const verdict = await settled(stage, verifyLog(disk, AUDIT, { ca: plane.keys.authority.rootPem }));
  const dropped = stage.plan.log.retention === "8d" && verdict.exit === INCOMPLETE;
  if (!WHOLE.includes(verdict.exit) && !dropped)
    oracle.violate("log", `${machine.name}: audit verify ${verdict.exit}: ${verdict.says}`);
}

/** What the control plane holds of the log are the log's own lines. */
async function handedIn(stage: Stage, machine: Machine): Promise<void> {
  const { plane, oracle } = stage;
  const epoch = await settled(stage, currentEpoch(plane));
  const text = "select position, line from entries where epoch = $1 order by position";
  const rows = await settled(
    stage,
    plane.store.transaction((sql) => sql.rows<{ line: string }>(text, epoch)),
  );
  const own = new Map(entriesOf(machine, false).map((one) => [one.index, one]));
  const theirs = rows.map(({ line }) => JSON.parse(line) as { kind: string; index: number; time: string });
  const other = theirs.find((one) => own.has(one.index) && JSON.stringify(one) !== JSON.stringify(own.get(one.index)));
  if (other !== undefined) oracle.violate("log", `entry ${other.index} was handed in with other bytes`);
  // Its last word is that it stops.
  const size = 1 + Math.max(-1, ...own.keys());
  if (size - theirs.length > 1) oracle.violate("log", `${size} entries, ${theirs.length} handed in`);
}

/** Nothing of an entry that is chance: keys, certificates, digests. */
function lineOf(machine: Machine, one: ReturnType<typeof entriesOf>[number]): string {
  const more = "code" in one ? ` ${one.code}` : "";
  return `${machine.name} ${one.index} ${one.time} ${one.kind}${more}${one.kind === "outcome" ? ` ${one.result}` : ""}`;
}
