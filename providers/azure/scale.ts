import type { ScaleArgs } from "../../policy/asked.ts";
import { byState, failed, stoppedBy } from "../outcome.ts";
import {
  type ActionProvider,
  CallFailed,
  type Errand,
  type Executed,
  type Gate,
  Halted,
  type Reconciled,
  type ScaleState,
} from "../provider.ts";
import { type AzureContext, azureCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { type Group, readGroup } from "./group.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import type { Notes } from "./notes.ts";
import { type Operation, operationAt, operationIn } from "./operation.ts";
import { SCALE_OPERATIONS } from "./operations.ts";
import type { OwnMachine } from "./own.ts";
import { follow, hindrance, type Since, settle, type Work } from "./wait.ts";

/** `own`: throws CallFailed when it is not known. `learnt`: told of a scale set that the agent runs in. */
export type ScaleDeps = {
  readonly context: AzureContext;
  readonly notes: Notes;
  own(): Promise<OwnMachine>;
  learnt(group: string): void;
};

/** How often a change is sent anew because the set had another etag and still the capacity that was judged. */
const MAX_ETAGS = 3;

/** Sets the capacity of one scale set and waits until it is true. */
export function azureScale({ context, notes, own, learnt }: ScaleDeps): ActionProvider<ScaleArgs, ScaleState> {
  const { azure } = context;
  const workOf = (gate: Gate, { group, count }: ScaleArgs, errand: Errand): Work => ({
    ...{
      context,
      calls: azureCalls(context, gate, errand, group, { count }),
      name: group,
      wanted: count,
      deadline: errand.signal,
    },
  });
  /** Null when there is none. Throws CallFailed, also for the set that this machine is in, and when that cannot be told. */
  const readOther = async ({ calls, name }: Work): Promise<Group | null> => {
    const machine = await own();
    if (isOwn(machine, azure.resource_group, name)) {
      learnt(name);
      throw new CallFailed("own-group", "the agent itself runs in this scale set", "none");
    }
    return readGroup(calls, azure, name);
  };
  return {
    operations: SCALE_OPERATIONS,
    places: () => placesOf(azure, "arm", ["GET", "PATCH"]),
    async describe(gate, args, errand) {
      const group = await readOther(workOf(gate, args, errand));
      if (group === null) return { missing: `there is no scale set ${args.group} in ${azure.resource_group}` };
      return { state: { count: group.capacity } };
    },
    async execute(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      try {
        const before = await readOther(work);
        if (before === null) return failed("missing");
        return refused(before, found.count, args.count) ?? (await change(work, before, notes, errand.id));
      } catch (error) {
        // Nothing was changed yet: what was, `change` says itself.
        return stoppedBy(error);
      }
    },
    async reconcile(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      const noted = notes.read("operations", errand.id);
      if (noted !== null) return byOperation(work, found.count, operationAt(azure, new TextDecoder().decode(noted)));
      const group = await settled(work, found.count);
      if (group === null) return byState(failed("missing"));
      // The call had no effect, or it was undone since.
      if (group.capacity === found.count && found.count !== args.count) return byState(failed("interrupted"));
      return byState(
        await known(work, {
          before: { ...group, capacity: found.count },
          operation: null,
          lost: null,
          settlesUntil: 0,
        }),
      );
    },
  };
}

export function isOwn({ resourceGroup, scaleSet }: OwnMachine, group: string, name: string): boolean {
  return scaleSet?.toLowerCase() === name.toLowerCase() && resourceGroup.toLowerCase() === group.toLowerCase();
}

/** The change was accepted, and where it can be looked at was kept: it is followed to its end. */
async function byOperation(work: Work, found: number, operation: Operation): Promise<Reconciled> {
  const ended = await follow(work, operation);
  // Too early to say how it ends: whoever asked asks again.
  if (ended === null && work.deadline.aborted) throw new CallFailed("deadline", "the operation still runs", "none");
  const group = await readGroup(work.calls, work.context.azure, work.name);
  if (group === null) return byState(failed("missing"));
  // No longer there to be asked, or not for us: what is the case now is all that can be said.
  const by = ended === null ? "state" : "change id";
  const since: Since = { before: { ...group, capacity: found }, operation: null, lost: null, settlesUntil: 0 };
  if (ended?.is === "failed") {
    const changed =
      group.capacity === found ? [] : [{ what: "count", from: String(found), to: String(group.capacity) }];
    return { ...failed(ended.code, changed, ended.words), known_by: by };
  }
  return { ...(await known(work, since)), known_by: by };
}

/** What became of it. Throws CallFailed when it could not be read: whoever asked asks again. */
async function known(work: Work, since: Since): Promise<Executed> {
  const executed = await settle(work, since);
  if (executed.result === "unknown") throw new CallFailed(executed.code ?? "", executed.words ?? "", "none");
  return executed;
}

/** The set, once a change that was made right before a crash would be seen. Throws CallFailed when the deadline comes first. */
async function settled({ context, calls, name, wanted, deadline }: Work, found: number): Promise<Group | null> {
  const { clock } = context.host;
  const until = clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = clock.monotonic() >= until;
    const group = await readGroup(calls, context.azure, name);
    if (late || group?.capacity !== found || wanted === found) return group;
    await clock.sleep(wait, deadline);
    // Too early to say that nothing was changed: whoever asked asks again.
    if (deadline.aborted) throw new CallFailed("deadline", `the count is still ${found}, and may yet change`, "none");
  }
}

/** What keeps the change from being made; nothing was changed. */
function refused(before: Group, found: number, wanted: number): Executed | null {
  // The policy judged another count: what it permitted from there it may not permit from here.
  if (before.capacity !== found)
    return failed("concurrent", [], `found ${before.capacity} now, ${found} when it was judged`);
  const hindered = wanted === found ? null : hindrance(before, wanted, wanted > found);
  return hindered === null ? null : failed(hindered);
}

async function change(work: Work, first: Group, notes: Notes, command: string): Promise<Executed> {
  const { context, wanted } = work;
  const settlesUntil = (): number => context.host.clock.monotonic() + SETTLES_WITHIN_MS;
  if (wanted === first.capacity) return settle(work, { before: first, operation: null, lost: null, settlesUntil: 0 });
  let before = first;
  for (let attempt = 1; ; attempt++) {
    try {
      const operation = await submit(work, before.etag, notes, command);
      return await settle(work, { before, operation, lost: null, settlesUntil: settlesUntil() });
    } catch (error) {
      if (error instanceof Halted || !(error instanceof CallFailed)) throw error;
      // It may have had its effect: that is looked up, it is never sent again.
      if (error.effect === "unknown")
        return settle(work, { before, operation: null, lost: error, settlesUntil: settlesUntil() });
      if (error.status !== "concurrent" || attempt === MAX_ETAGS) throw error;
      const now = await readGroup(work.calls, context.azure, work.name);
      if (now === null) return failed("missing");
      const other = refused(now, first.capacity, wanted);
      if (other !== null) return other;
      before = now;
    }
  }
}

/** Returns where the change can be followed; null when Azure does not say it, or says another place. Throws CallFailed and Halted. */
async function submit(work: Work, etag: string, notes: Notes, command: string): Promise<Operation | null> {
  const { context, calls, name, wanted } = work;
  await calls.send("compute", async (client) => {
    const parameters = { sku: { capacity: wanted } };
    await client.virtualMachineScaleSets
      .update(context.azure.resource_group, name, parameters, { ifMatch: etag })
      .submitted();
  });
  try {
    const operation = operationIn(context.azure, calls.headers());
    // If we stop before this is durable, what became of the change is told by the set itself.
    if (operation !== null) notes.write("operations", command, new TextEncoder().encode(operation.url));
    return operation;
  } catch (error) {
    // Accepted is accepted: without a place to follow it, or to keep that place, the set itself is waited for.
    if (error instanceof CallFailed) return null;
    throw error;
  }
}
