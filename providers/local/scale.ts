import { ZodError } from "zod";
import type { Host } from "../../agent/host/host.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import type { ScaleArgs } from "../../policy/asked.ts";
import {
  type ActionProvider,
  CallFailed,
  type Changed,
  type Errand,
  type Executed,
  type Gate,
  type ScaleState,
} from "../provider.ts";
import { answer, diskFailure, failed, known, place, stopped, succeeded } from "./call.ts";
import { type Book, groupBook, type LiveSlot, type Slot, spawnMarker } from "./group.ts";
import { commandOf, launch, sharesUser } from "./launch.ts";
import { endpointName, endpointOf, type GroupConfig, probe } from "./probe.ts";
import { lives, processesWith, signalExactly } from "./processes.ts";

/** One outcome lists at most 256 operations: a start and a probe for each. */
export const MAX_GROUP_PROCESSES = 120;
const PROBE_TIMEOUT_MS = 2000;
const PROBE_PAUSE_MS = 100;
/** How long a started process may take until it is well. */
const HEALTHY_WITHIN_MS = 60_000;
/** Without a probe a process is well when it still runs after this. */
const SETTLE_MS = 300;
const STOP_PAUSE_MS = 20;
/** How long the kernel may take to end a process after SIGKILL. */
const KILLED_WITHIN_MS = 5000;
const PROC = "/proc";

/** One command's dealings with one group. */
type Work = {
  readonly host: Host;
  readonly state: string;
  readonly name: string;
  readonly group: GroupConfig;
  readonly book: Book;
  readonly gate: Gate;
  readonly errand: Errand;
};

/** A group is processes of the config's command on this machine. `state`: the folder of its bookkeeping. */
export function localScale(host: Host, config: LocalConfig, state: string): ActionProvider<ScaleArgs, ScaleState> {
  const groupOf = (name: string): GroupConfig | undefined =>
    Object.hasOwn(config.groups, name) ? config.groups[name] : undefined;
  const workFor = (gate: Gate, args: ScaleArgs, errand: Errand): Work | null => {
    const group = groupOf(args.group);
    if (group === undefined) return null;
    return { host, state, name: args.group, group, book: groupBook(host, state, args.group), gate, errand };
  };
  return {
    operations: [
      { operation: "local.process.list", kind: "read", method: "list" },
      { operation: "local.process.probe", kind: "read", method: "probe" },
      { operation: "local.process.start", kind: "change", method: "spawn" },
      { operation: "local.process.stop", kind: "change", method: "signal" },
    ],
    places(args) {
      const group = groupOf(args.group);
      if (group === undefined) return [];
      const program = group.command[0] ?? "";
      const probed = new Set(Array.from({ length: MAX_GROUP_PROCESSES }, (_, n) => probePlace(group, n)));
      return [
        place(PROC, "list"),
        place(program, "spawn"),
        place(program, "signal"),
        ...[...probed].map((at) => place(at, "probe")),
      ];
    },
    async describe(gate, args, errand) {
      const work = workFor(gate, args, errand);
      if (work === null) return { missing: `the config has no group ${args.group}` };
      try {
        return { state: { count: (await list(work)).length } };
      } catch (error) {
        if (error instanceof CallFailed) return { unreadable: error.status };
        throw error;
      }
    },
    async execute(gate, args, found, errand) {
      const work = workFor(gate, args, errand);
      return work === null ? failed("missing") : scaleTo(work, args.count, found.count);
    },
    async reconcile(gate, args, found, errand) {
      const work = workFor(gate, args, errand);
      if (work === null) return known(failed("missing"));
      const live = await settled(work);
      const changed = countChange(found.count, live.length);
      if (live.length !== args.count) return known(failed("interrupted", changed));
      const ill = await firstIll(work, live);
      return known(ill === null ? succeeded(changed) : failed(ill, changed));
    },
  };
}

/** Where the health of process `n` is asked. A config that makes no endpoint is told when the probe is due. */
function probePlace(group: GroupConfig, n: number): string {
  try {
    const endpoint = endpointOf(group.health, n);
    return endpoint === null ? PROC : endpointName(endpoint);
  } catch (error) {
    if (error instanceof RangeError) return PROC;
    throw error;
  }
}

function countChange(from: number, to: number): Changed[] {
  return from === to ? [] : [{ what: "count", from: String(from), to: String(to) }];
}

function list({ gate, name, book }: Work): Promise<LiveSlot[]> {
  return gate.call("local.process.list", name, async (leave) => {
    leave(place(PROC, "list"), "writing");
    try {
      return answer(await book.live());
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof ZodError)
        throw new CallFailed("bookkeeping", error.message, "none");
      throw diskFailure(error, "none");
    }
  });
}

/** The live ones, after those that were told to stop before a crash had their time to. */
async function settled(work: Work): Promise<LiveSlot[]> {
  const until = work.host.clock.monotonic() + work.group.stop_seconds * 1000;
  for (;;) {
    const live = await list(work);
    const stopping = live.filter(({ state }) => state === "stopping");
    if (stopping.length === 0 || work.host.clock.monotonic() > until || work.errand.signal.aborted) return live;
    while (stopping.some(({ process }) => lives(process)) && work.host.clock.monotonic() <= until)
      await work.host.clock.sleep(PROBE_PAUSE_MS);
  }
}

async function scaleTo(work: Work, count: number, found: number): Promise<Executed> {
  if (count > MAX_GROUP_PROCESSES)
    return failed("too-many", [], { words: `one machine runs at most ${MAX_GROUP_PROCESSES} of a group` });
  const words = sharesUser(work.group.user)
    ? "the group's processes run under the agent's own user: the config names no other"
    : null;
  let live = await list(work);
  // The policy judged another count: what it permitted from there it may not permit from here.
  if (live.length !== found)
    return failed("concurrent", [], { words: `found ${live.length} now, ${found} when it was judged` });
  let ended: { code: string; words: string | null } | null = null;
  try {
    while (live.length < count) live = await startOne(work, live);
    while (live.length > count) live = await stopOne(work, live);
    const ill = await firstIll(work, live);
    if (ill !== null) ended = { code: ill, words: null };
  } catch (error) {
    ended = stopped(error);
  }
  try {
    // Whatever a call's end left open: how many there are now can be seen.
    live = await list(work);
  } catch (error) {
    return { ...failed(stopped(error).code, [], { words: ended?.words ?? words }), result: "unknown" };
  }
  const changed = countChange(found, live.length);
  if (ended !== null) return failed(ended.code, changed, { words: ended.words ?? words });
  // One of them ended while the others were looked at.
  return live.length === count ? succeeded(changed, { words }) : failed("exited", changed, { words });
}

async function startOne(work: Work, live: readonly LiveSlot[]): Promise<LiveSlot[]> {
  const { gate, group, name, book, host, errand } = work;
  let n = 0;
  while (live.some((slot) => slot.n === n)) n++;
  return gate.call("local.process.start", name, async (leave) => {
    const spawn = Buffer.from(host.random.bytes(16)).toString("hex");
    const slot: Slot = { n, spawn, command: errand.id, state: "starting", process: null };
    const command = commandOf(group, n);
    try {
      // If we stop after this line the next look finds the process by its marker, or finds that there is none.
      book.write([...live, slot]);
      const env = { REEVE_GROUP: name, REEVE_SLOT: String(n), REEVE_COMMAND: errand.id };
      const [marker, value] = spawnMarker(spawn).split("=");
      if (marker === undefined || value === undefined) throw new Error("a marker is NAME=value");
      const what = { command, user: group.user, env: { ...env, [marker]: value } };
      const process = await launch(what, () => leave(place(command[0] ?? "", "spawn"), "writing"));
      if (process === null) throw new CallFailed("exited", `${command[0]} ended at once`, "none");
      const started: LiveSlot = { ...slot, state: "running", process };
      const all = [...live, started].sort((a, b) => a.n - b.n);
      book.write(all);
      return answer(all);
    } catch (error) {
      throw diskFailure(error, "unknown");
    }
  });
}

/** The one with the highest number goes: SIGTERM, `stop_seconds`, then SIGKILL, also to what it left behind. */
async function stopOne(work: Work, live: readonly LiveSlot[]): Promise<LiveSlot[]> {
  const { gate, group, name, book, host } = work;
  const slot = live.at(-1);
  if (slot === undefined) throw new Error("there is nothing to stop");
  const rest = live.slice(0, -1);
  return gate.call("local.process.stop", name, async (leave) => {
    try {
      // If we stop after this line the signal may or may not have been sent; the next look sees whether it still lives.
      book.write([...rest, { ...slot, state: "stopping" }]);
      leave(place(group.command[0] ?? "", "signal"), "writing");
      signalExactly(slot.process, "SIGTERM");
      if (!(await endsWithin(host, slot, group.stop_seconds * 1000))) signalExactly(slot.process, "SIGKILL");
      if (!(await endsWithin(host, slot, KILLED_WITHIN_MS)))
        throw new CallFailed("not-stopped", `process ${slot.process.pid} lives on`, "unknown");
      for (const left of processesWith(spawnMarker(slot.spawn))) signalExactly(left, "SIGKILL");
      book.write(rest);
      return answer([...rest]);
    } catch (error) {
      throw diskFailure(error, "unknown");
    }
  });
}

async function endsWithin(host: Host, slot: LiveSlot, milliseconds: number): Promise<boolean> {
  const until = host.clock.monotonic() + milliseconds;
  while (lives(slot.process)) {
    if (host.clock.monotonic() > until) return false;
    await host.clock.sleep(STOP_PAUSE_MS);
  }
  return true;
}

/** Null when every process is well, else the code of the first that is not: "exited", "probe" or "deadline". */
async function firstIll(work: Work, live: readonly LiveSlot[]): Promise<string | null> {
  const until = work.host.clock.monotonic() + (work.group.health.probe === "none" ? SETTLE_MS : HEALTHY_WITHIN_MS);
  for (const slot of live) {
    const ill = await illness(work, slot, until);
    if (ill !== null) return ill;
  }
  return null;
}

function illness(work: Work, slot: LiveSlot, until: number): Promise<string | null> {
  const { host, group, gate, name, errand } = work;
  return gate.call("local.process.probe", name, async (leave) => {
    let endpoint: ReturnType<typeof endpointOf>;
    try {
      endpoint = endpointOf(group.health, slot.n);
    } catch (error) {
      if (error instanceof RangeError) throw new CallFailed("probe-config", error.message, "none");
      throw error;
    }
    for (;;) {
      leave(place(endpoint === null ? PROC : endpointName(endpoint), "probe"), "writing");
      const well = endpoint !== null && (await probe(endpoint, PROBE_TIMEOUT_MS));
      // Another's answer on the same port must not stand for a process that has ended.
      if (!lives(slot.process)) return answer("exited");
      if (well) return answer(null);
      const late = host.clock.monotonic() > until;
      if (endpoint === null && late) return answer(null);
      if (errand.signal.aborted) return answer("deadline");
      if (late) return answer("probe");
      await host.clock.sleep(PROBE_PAUSE_MS);
    }
  });
}

/** The groups that a process with this environment runs in: what was started for a group knows its name. */
export function groupsOf(env: Readonly<Record<string, string | undefined>>): string[] {
  const name = env["REEVE_GROUP"];
  return name === undefined ? [] : [name];
}
