import { failed, succeeded, unknown } from "../outcome.ts";
import { CallFailed, type Changed, type Executed } from "../provider.ts";
import type { AzureCalls, AzureContext } from "./call.ts";
import { PASSING } from "./failure.ts";
import { type Group, isTrue, provisioned, readGroup } from "./group.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, RETRY_AFTER_MAX_MS } from "./limits.ts";
import { type Operation, type Status, statusAt } from "./operation.ts";

/** One command's dealings with one scale set. */
export type Work = {
  readonly context: AzureContext;
  readonly calls: AzureCalls;
  readonly name: string;
  readonly wanted: number;
  /** Aborts at the command's deadline. */
  readonly deadline: AbortSignal;
};

export type Since = {
  /** The set as it was before anything was changed. */
  readonly before: Group;
  /** What the change was answered with; null: nothing, or nothing that may be followed. */
  readonly operation: Operation | null;
  /** The changing call, when its answer was lost. */
  readonly lost: CallFailed | null;
  /** Monotonic milliseconds until which a read may still show the capacity of before. */
  readonly settlesUntil: number;
};

/** Statuses of a look at an operation after which only the set itself can tell. */
const UNFOLLOWED: ReadonlySet<string> = new Set(["denied", "missing", "malformed", "elsewhere"]);

/**
 * Waits until the operation has ended, then until as many machines as were asked for are provisioned and none is on its way, or until it is
 * clear that it will not be.
 */
export async function settle(work: Work, since: Since): Promise<Executed> {
  const { clock } = work.context.host;
  const ended = since.operation === null ? null : await follow(work, since.operation);
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = work.deadline.aborted;
    const seen = await look(work, since, ended, late);
    if (seen !== null) return seen;
    await clock.sleep(wait, work.deadline);
  }
}

/** How the operation ended; null when it did not in time, or cannot be followed. */
export async function follow(work: Work, operation: Operation): Promise<Status | null> {
  const { clock } = work.context.host;
  for (let wait = LOOK_FIRST_MS; !work.deadline.aborted; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    let asked = 0;
    try {
      const status = await statusAt(work.calls, operation);
      if (status.is !== "running") return status;
      asked = Math.min(status.afterMs ?? 0, RETRY_AFTER_MAX_MS);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (UNFOLLOWED.has(error.status)) return null;
      if (!PASSING.has(error.status)) return null;
    }
    await clock.sleep(Math.max(wait, asked), work.deadline);
  }
  return null;
}

/** Null while it may still become true. */
async function look(work: Work, since: Since, ended: Status | null, late: boolean): Promise<Executed | null> {
  let group: Group | null;
  try {
    group = await readGroup(work.calls, work.context.azure, work.name);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    // What was changed stands; what became of it cannot be told.
    return !late && PASSING.has(error.status) ? null : unknown(error.status, [], error.words);
  }
  const { lost } = since;
  // With a lost answer it cannot be told whether ours was made before someone else deleted or changed the set.
  if (group === null) return lost === null ? failed("missing") : unknown(lost.status, [], lost.words);
  const changed = changes(since.before, group);
  if (group.capacity !== work.wanted) {
    const old = group.capacity === since.before.capacity;
    if (old && !late && work.context.host.clock.monotonic() < since.settlesUntil) return null;
    if (lost !== null) return unknown(lost.status, changed, lost.words);
    return failed("concurrent", changed, `its capacity is ${group.capacity} now`);
  }
  if (isTrue(group, work.wanted)) return succeeded(changed);
  if (ended?.is === "failed") return failed(ended.code, changed, ended.words);
  if (late || group.state === "Failed") return failed(hindranceOf(group, work.wanted), changed);
  return null;
}

function hindranceOf(group: Group, wanted: number): string {
  if (group.state === "Failed") return "provisioning-failed";
  return hindrance(group, wanted, provisioned(group).length < wanted) ?? "deadline";
}

/** What keeps a set from shrinking to a count, as far as the set itself says it. */
export function hindrance({ instances }: Group, wanted: number, grows: boolean): string | null {
  if (grows) return null;
  const counted = instances.filter(({ state }) => state !== "Deleting");
  // Protection from scale-in is an operator's word: it is not taken away.
  return counted.filter(({ kept }) => kept).length > wanted ? "protected" : null;
}

/** The count, and each machine that came, went or is on its way. */
export function changes(before: Group, after: Group): Changed[] {
  const states = (group: Group) => new Map(group.instances.map(({ id, state }) => [id, state]));
  const [from, to] = [states(before), states(after)];
  const count = { what: "count", from: String(before.capacity), to: String(after.capacity) };
  const moved = [...new Set([...from.keys(), ...to.keys()])]
    .map((id) => ({ what: `instance ${id}`, from: from.get(id) ?? null, to: to.get(id) ?? null }))
    .filter((change) => change.from !== change.to);
  return before.capacity === after.capacity ? moved : [count, ...moved];
}
