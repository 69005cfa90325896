import type { Operation } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
import { failed, succeeded, unknown } from "../outcome.ts";
import { CallFailed, type Changed, type Errand, type Executed } from "../provider.ts";
import type { GcpContext } from "./call.ts";
import { PASSING } from "./failure.ts";
import { type Group, type GroupService, type Instance, isTrue } from "./group.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS } from "./limits.ts";

/** One command's dealings with one group. */
export type Work = {
  readonly context: GcpContext;
  readonly service: GroupService;
  readonly wanted: number;
  readonly errand: Errand;
};
export type Seen = Group & { readonly instances: readonly Instance[] };
export type Since = {
  /** The group as it was before anything was changed. */
  readonly before: Seen;
  /** The changing call, when its answer was lost. */
  readonly lost: CallFailed | null;
  /** Monotonic milliseconds until which a read may still show what was before. */
  readonly settlesUntil: number;
};

/** Looks again and again, less often each time, until `look` says what came of it. `late`: the deadline came. */
async function until<T>({ context, errand }: Work, look: (late: boolean) => Promise<T | null>): Promise<T> {
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = errand.signal.aborted;
    const ended = await look(late);
    if (ended !== null) return ended;
    if (late) throw new Error("a look after the deadline that says nothing");
    await context.host.clock.sleep(wait, errand.signal);
  }
}

/** `found`: Google has the operation, and it did not fail. */
export type Awaited = { readonly found: boolean } | { readonly failed: Executed };

/** Waits for the operation to end. One whose answer was lost is looked for by the command's id. */
export function awaitOperation(work: Work, name: string | null, since: Since): Promise<Awaited> {
  let operation = name;
  return until<Awaited>(work, async (late) => {
    try {
      operation ??= await work.service.begun(work.errand.id);
      if (operation === null) return late || settled(work, since) ? { found: false } : null;
      const ended = endOf(await work.service.operation(operation));
      if (ended !== null) return ended;
      // Running still: what the group says then is all that is known.
      return late ? { found: true } : null;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (!late && PASSING.has(error.status)) return null;
      return { failed: unknown(error.status, [], error.words) };
    }
  });
}

function settled({ context }: Work, { settlesUntil }: Since): boolean {
  return context.host.clock.monotonic() >= settlesUntil;
}

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/QUOTA|LIMIT_EXCEEDED/, "quota"],
  [/EXHAUSTED|STOCKOUT/, "capacity"],
  [/PERMISSION|FORBIDDEN/, "launch-denied"],
];
/** Google's code as a short stable one. */
export function reasonOf(code: string): string {
  return REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? "operation-failed";
}

/** Null while it runs. */
export function endOf({ status, error, httpErrorMessage }: Operation): Awaited | null {
  const [first] = error?.errors ?? [];
  if (first !== undefined) {
    const words = [first.code, first.message, httpErrorMessage].join(": ");
    return { failed: failed(reasonOf(first.code ?? ""), [], words) };
  }
  return status === "DONE" ? { found: true } : null;
}

/** Reads until as many as were asked for run and none is on its way, or until it is clear that it will not be. */
export function settle(work: Work, since: Since): Promise<Executed> {
  return until(work, (late) => look(work, since, late));
}

/** Null while it may still become true. */
async function look(work: Work, since: Since, late: boolean): Promise<Executed | null> {
  const { service, wanted } = work;
  const { lost, before } = since;
  try {
    const group = await service.read();
    // With a lost answer it cannot be told whether ours was made before someone else deleted or changed the group.
    if (group === null) return lost === null ? failed("missing") : unknown(lost.status, [], lost.words);
    if (group.target !== wanted) {
      if (group.target === before.target && !late && !settled(work, since)) return null;
      const changed = changes(before, { ...group, instances: before.instances });
      if (lost !== null) return unknown(lost.status, changed, lost.words);
      return failed("concurrent", changed, `its target size is ${group.target} now`);
    }
    if (!group.stable && !late) return null;
    const seen = { ...group, instances: await service.instances() };
    if (isTrue(group, seen.instances, wanted)) return succeeded(changes(before, seen));
    return late ? tooLate(before, seen) : null;
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    // What was changed stands; what became of it cannot be told.
    return !late && PASSING.has(error.status) ? null : unknown(error.status, [], error.words);
  }
}

/** Why it is not true in time: what Google says of its last tries. */
function tooLate(before: Seen, seen: Seen): Executed {
  const errors = seen.instances.flatMap(({ name, error }) => (error === null ? [] : [`${name}: ${error}`]));
  const [first] = seen.instances.flatMap(({ error }) => (error === null ? [] : [error]));
  const code = first === undefined ? "deadline" : reasonOf(first);
  return failed(code, changes(before, seen), errors.length === 0 ? null : errors.join("\n"));
}

/** The count, and each instance that came, went or is on its way. */
export function changes(before: Seen, after: Seen): Changed[] {
  const states = (seen: Seen) =>
    new Map(seen.instances.map(({ name, action, status }) => [name, action === "NONE" ? status : action]));
  const [from, to] = [states(before), states(after)];
  const count = { what: "count", from: String(before.target), to: String(after.target) };
  const moved = [...new Set([...from.keys(), ...to.keys()])]
    .map((name) => ({ what: `instance ${name}`, from: from.get(name) ?? null, to: to.get(name) ?? null }))
    .filter((change) => change.from !== change.to);
  return before.target === after.target ? moved : [count, ...moved];
}
