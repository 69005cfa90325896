import { failed, succeeded, unknown } from "../outcome.ts";
import { CallFailed, type Changed, type Executed } from "../provider.ts";
import { type Activities, readActivities } from "./activities.ts";
import type { AwsCalls, AwsContext } from "./call.ts";
import { PASSING } from "./failure.ts";
import { type Group, inService, isTrue, readGroup } from "./group.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS } from "./limits.ts";

/** One command's dealings with one group. */
export type Work = {
  readonly context: AwsContext;
  readonly calls: AwsCalls;
  readonly name: string;
  readonly wanted: number;
  /** Aborts at the command's deadline. */
  readonly deadline: AbortSignal;
};

export type Since = {
  /** The group as it was before anything was changed. */
  readonly before: Group;
  /** Ids of the scaling activities of before the change; null: what was before is not known, after a crash. */
  readonly known: ReadonlySet<string> | null;
  /** The changing call, when its answer was lost. */
  readonly lost: CallFailed | null;
  /** Monotonic milliseconds until which a read may still show the count of before. */
  readonly settlesUntil: number;
};

/** Reads until as many as were asked for are in service and none is on its way, or until it is clear that it will not be. */
export async function settle(work: Work, since: Since): Promise<Executed> {
  const { clock } = work.context.host;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = work.deadline.aborted;
    const ended = await look(work, since, late);
    if (ended !== null) return ended;
    await clock.sleep(wait, work.deadline);
  }
}

/** Null while it may still become true. */
async function look(work: Work, since: Since, late: boolean): Promise<Executed | null> {
  let group: Group | null;
  try {
    group = await readGroup(work.calls, work.context.aws, work.name);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    // What was changed stands; what became of it cannot be told.
    return !late && PASSING.has(error.status) ? null : unknown(error.status, [], error.words);
  }
  const { lost } = since;
  // With a lost answer it cannot be told whether ours was made before someone else deleted or changed the group.
  if (group === null) return lost === null ? failed("missing") : unknown(lost.status, [], lost.words);
  const changed = changes(since.before, group);
  if (group.desired !== work.wanted) {
    const old = group.desired === since.before.desired;
    if (old && !late && work.context.host.clock.monotonic() < since.settlesUntil) return null;
    if (lost !== null) return unknown(lost.status, changed, lost.words);
    return failed("concurrent", changed, `its desired capacity is ${group.desired} now`);
  }
  if (isTrue(group, work.wanted)) return trueNow(work, since, changed);
  return late ? tooLate(work, since, group, changed) : null;
}

/** The count is true. Whether it was changed from what was judged is only seen in the words of AWS's own record. */
async function trueNow(work: Work, { before, known }: Since, changed: readonly Changed[]): Promise<Executed> {
  if (known === null || before.desired === work.wanted) return succeeded(changed);
  const activities = await activitiesOr(work, known);
  const others = activities.moves.filter(({ from, to }) => from !== before.desired || to !== work.wanted);
  return others.length === 0 ? succeeded(changed) : failed("concurrent", changed, activities.words);
}

/** Why it is not true in time: what stands in the way now, else what AWS says of its last tries. */
async function tooLate(work: Work, { known }: Since, group: Group, changed: readonly Changed[]): Promise<Executed> {
  const grows = inService(group).length < work.wanted;
  const hindered = hindrance(group, work.wanted, grows);
  const { reason, words } = await activitiesOr(work, known);
  return failed(hindered ?? reason ?? "deadline", changed, words);
}

async function activitiesOr(work: Work, known: ReadonlySet<string> | null): Promise<Activities> {
  try {
    return await readActivities(work.calls, work.name, known);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return { moves: [], reason: null, words: `the scaling activities: ${error.words}` };
  }
}

/** What keeps a group from growing or shrinking to a count, as far as the group itself says it. */
export function hindrance(group: Group, wanted: number, grows: boolean): string | null {
  if (grows) return group.suspended.includes("Launch") ? "launch-suspended" : null;
  if (group.suspended.includes("Terminate")) return "terminate-suspended";
  const counted = group.instances.filter(({ lifecycle }) => !/^(?:Terminat|Detach|Standby)/.test(lifecycle));
  const mayGo = counted.filter(({ kept }) => !kept).length;
  // Scale-in protection is an operator's word: it is not taken away.
  return counted.length - mayGo > wanted ? "protected" : null;
}

/** The count, and each instance that came, went or is on its way. */
export function changes(before: Group, after: Group): Changed[] {
  const states = (group: Group) => new Map(group.instances.map(({ id, lifecycle }) => [id, lifecycle]));
  const [from, to] = [states(before), states(after)];
  const count = { what: "count", from: String(before.desired), to: String(after.desired) };
  const moved = [...new Set([...from.keys(), ...to.keys()])]
    .map((id) => ({ what: `instance ${id}`, from: from.get(id) ?? null, to: to.get(id) ?? null }))
    .filter((change) => change.from !== change.to);
  return before.desired === after.desired ? moved : [count, ...moved];
}
