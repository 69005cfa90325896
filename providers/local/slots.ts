import { ZodError } from "zod";
import type { Host } from "../../agent/host/host.ts";
import type { ArtifactsDirectory } from "../../agent/providerConfig/artifacts.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import { CallFailed, type CallPlace, type Errand, type Gate, type OperationsTable } from "../provider.ts";
import { answer, diskFailure, place } from "./call.ts";
import { type Book, groupBook, type LiveSlot, type Pages, type Slot, spawnMarker } from "./group.ts";
import { commandOf, launch, sharesUser } from "./launch.ts";
import { endpointName, endpointOf, type GroupConfig, probe } from "./probe.ts";
import { lives, processesWith, signalExactly } from "./processes.ts";
import { openProgram } from "./program.ts";

/** One machine of a group is a process: how it is found, started, asked and stopped, whatever the action. */

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
export const PROC = "/proc";

/** The provider's own things. `state`: the folder of its bookkeeping; `artifacts`: where programs lie, null for nowhere. */
export type Premises = {
  readonly host: Host;
  readonly config: LocalConfig;
  readonly state: string;
  readonly artifacts: ArtifactsDirectory | null;
};
/** One command's dealings with one group. */
export type Work = Premises & {
  readonly name: string;
  readonly group: GroupConfig;
  readonly book: Book;
  readonly gate: Gate;
  readonly errand: Errand;
};

export const PROCESS_OPERATIONS = [
  { operation: "local.process.list", kind: "read", method: "list" },
  { operation: "local.process.probe", kind: "read", method: "probe" },
  { operation: "local.process.start", kind: "change", method: "spawn" },
  { operation: "local.process.stop", kind: "change", method: "signal" },
] as const satisfies OperationsTable;

function groupOf({ config }: Premises, name: string): GroupConfig | undefined {
  return Object.hasOwn(config.groups, name) ? config.groups[name] : undefined;
}

/** Null when the config has no such group. */
export function workFor(at: Premises, name: string, gate: Gate, errand: Errand): Work | null {
  const group = groupOf(at, name);
  if (group === undefined) return null;
  return { ...at, name, group, book: groupBook(at.host, at.state, name), gate, errand };
}

export function processPlaces(at: Premises, name: string): CallPlace[] {
  const group = groupOf(at, name);
  if (group === undefined) return [];
  const probed = new Set(Array.from({ length: MAX_GROUP_PROCESSES }, (_, n) => probePlace(group, n)));
  const programs = [group.command[0] ?? "", ...(at.artifacts === null ? [] : [at.artifacts.directory])];
  return [
    place(PROC, "list"),
    ...programs.flatMap((program) => [place(program, "spawn"), place(program, "signal")]),
    ...[...probed].map((where) => place(where, "probe")),
  ];
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

/** Where a process of this image is started and stopped: the config's program, or the folder that the image lies in. */
function programPlace({ group, artifacts }: Work, image: string | null): string {
  return image === null ? (group.command[0] ?? "") : (artifacts?.directory ?? "");
}

export type Listed = Omit<Pages, "slots"> & { readonly live: LiveSlot[] };

/** The live ones, and what else is written down of the group. */
export function list({ gate, name, book }: Work): Promise<Listed> {
  return gate.call("local.process.list", name, async (leave) => {
    leave(place(PROC, "list"), "writing");
    try {
      const { slots, ...more } = book.read();
      return answer({ ...more, live: await book.live(slots) });
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof ZodError)
        throw new CallFailed("bookkeeping", error.message, "none");
      throw diskFailure(error, "none");
    }
  });
}

/** The same, after those that were told to stop before a crash had their time to. */
export async function settled(work: Work): Promise<Listed> {
  const until = work.host.clock.monotonic() + work.group.stop_seconds * 1000;
  for (;;) {
    const listed = await list(work);
    const stopping = listed.live.filter(({ state }) => state === "stopping");
    if (stopping.length === 0 || work.host.clock.monotonic() > until || work.errand.signal.aborted) return listed;
    while (stopping.some(({ process }) => lives(process)) && work.host.clock.monotonic() <= until)
      await work.host.clock.sleep(PROBE_PAUSE_MS);
  }
}

/**
 * Why nothing that was deployed may run in the group, null when it may: the vendor chose those bytes, and with the agent's own user, or as
 * root, they could read its keys and change its log. What the config's command starts is the customer's own choice.
 */
export function sameUser({ name, group }: Pick<Work, "name" | "group">): string | null {
  if (!sharesUser(group.user) || group.deploy_as_agent === true) return null;
  return `local.groups.${name}.user names no user of its own for what is deployed, and deploy_as_agent is not set`;
}

/** Starts one process of `image` (null: the config's own program), under the lowest free number where none is given. */
export async function startOne(work: Work, listed: Listed, image: string | null, number?: number): Promise<Listed> {
  const { gate, group, name, book, host, errand, artifacts } = work;
  const { live, ...more } = listed;
  let n = number ?? 0;
  while (live.some((slot) => slot.n === n)) n++;
  return gate.call("local.process.start", name, async (leave) => {
    const spawn = Buffer.from(host.random.bytes(16)).toString("hex");
    const slot: Slot = { n, spawn, command: errand.id, state: "starting", process: null, image };
    const same = image === null ? null : sameUser(work);
    if (same !== null) throw new CallFailed("same-user", same, "none");
    const program = image === null ? null : await openProgram(artifacts, image);
    const where = place(programPlace(work, image), "spawn");
    try {
      if (program !== null && !("fd" in program))
        throw new CallFailed(`artifact-${program.artifact}`, program.because, "none");
      leave(where, "later");
      // If we stop after this line the next look finds the process by its marker, or finds that there is none.
      book.write({ ...more, slots: [...live, slot] });
      const env = { REEVE_GROUP: name, REEVE_SLOT: String(n), REEVE_COMMAND: errand.id };
      const [marker, value] = spawnMarker(spawn).split("=");
      if (marker === undefined || value === undefined) throw new Error("a marker is NAME=value");
      const what = {
        command: commandOf(group, n),
        program: program?.fd ?? null,
        user: group.user,
        env: { ...env, [marker]: value },
      };
      const process = await launch(what, () => leave(where, "writing"));
      if (process === null) throw new CallFailed("exited", `process ${n} ended at once`, "none");
      const started: LiveSlot = { ...slot, state: "running", process };
      const all = [...live, started].sort((a, b) => a.n - b.n);
      book.write({ ...more, slots: all });
      return answer({ ...more, live: all });
    } catch (error) {
      throw diskFailure(error, "unknown");
    } finally {
      if (program !== null && "fd" in program) program.close();
    }
  });
}

/** SIGTERM, `stop_seconds`, then SIGKILL, also to what it left behind. */
export async function stopOne(work: Work, listed: Listed, slot: LiveSlot): Promise<Listed> {
  const { gate, group, name, book, host } = work;
  const { live, ...more } = listed;
  const rest = live.filter(({ spawn }) => spawn !== slot.spawn);
  return gate.call("local.process.stop", name, async (leave) => {
    const where = place(programPlace(work, slot.image), "signal");
    try {
      leave(where, "later");
      // If we stop after this line the signal may or may not have been sent; the next look sees whether it still lives.
      book.write({ ...more, slots: [...rest, { ...slot, state: "stopping" }] });
      leave(where, "writing");
      signalExactly(slot.process, "SIGTERM");
      if (!(await endsWithin(host, slot, group.stop_seconds * 1000))) signalExactly(slot.process, "SIGKILL");
      if (!(await endsWithin(host, slot, KILLED_WITHIN_MS)))
        throw new CallFailed("not-stopped", `process ${slot.process.pid} lives on`, "unknown");
      for (const left of processesWith(spawnMarker(slot.spawn))) signalExactly(left, "SIGKILL");
      book.write({ ...more, slots: rest });
      return answer({ ...more, live: rest });
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

/** Without a probe all that can be seen is that a process stays. */
export function settleMs({ group }: Work): number {
  return group.health.probe === "none" ? SETTLE_MS : 0;
}

/** Null when every process stays that long and is well then, else the code of the first that is not: "exited", "probe" or "deadline". */
export async function firstIll(work: Work, live: readonly LiveSlot[], staysMs: number): Promise<string | null> {
  const settles = work.host.clock.monotonic() + staysMs;
  const until = settles + HEALTHY_WITHIN_MS;
  for (const slot of live) {
    const ill = await illness(work, slot, settles, until);
    if (ill !== null) return ill;
  }
  return null;
}

/** The processes that are not well right now, each asked once. */
export async function unwell(work: Work, live: readonly LiveSlot[]): Promise<LiveSlot[]> {
  const found: LiveSlot[] = [];
  for (const slot of live) if ((await illness(work, slot, 0, 0)) !== null) found.push(slot);
  return found;
}

/** `settles`: it must be up until then; `until`: and well by then (both monotonic milliseconds). */
function illness(work: Work, slot: LiveSlot, settles: number, until: number): Promise<string | null> {
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
      const well = endpoint === null || (await probe(endpoint, PROBE_TIMEOUT_MS));
      // Another's answer on the same port must not stand for a process that has ended.
      if (!lives(slot.process)) return answer("exited");
      const now = host.clock.monotonic();
      if (well && now >= settles) return answer(null);
      if (now >= until && !well) return answer("probe");
      if (errand.signal.aborted) return answer("deadline");
      await host.clock.sleep(PROBE_PAUSE_MS);
    }
  });
}
