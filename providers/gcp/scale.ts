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
import { type GcpContext, gcpCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { groupService } from "./group.ts";
import { SETTLES_WITHIN_MS } from "./limits.ts";
import { groupName } from "./names.ts";
import { SCALE_OPERATIONS } from "./operations.ts";
import type { Own } from "./own.ts";
import { reconciled } from "./reconcileScale.ts";
import { awaitOperation, type Seen, settle, type Work } from "./wait.ts";

/** Resizes one managed instance group and waits until it is true. `learnt`: told of a group that the agent runs in. */
export function gcpScale(
  context: GcpContext,
  own: Own,
  learnt: (group: string) => void,
): ActionProvider<ScaleArgs, ScaleState> {
  const { gcp } = context;
  /** Null: no group can be called so here. */
  const workOf = (gate: Gate, { group, count }: ScaleArgs, errand: Errand): Work | null => {
    const name = groupName(gcp.region, group);
    if (name === null) return null;
    const calls = gcpCalls(context, gate, errand, group, { count });
    return { context, service: groupService({ context, calls, group: name }), wanted: count, errand };
  };
  /** Null when there is none. Throws CallFailed, also for the group that this machine is in, and when that cannot be told. */
  const readOther = async ({ service }: Work, group: string): Promise<Seen | null> => {
    const machine = await own.instance();
    const found = await service.read();
    if (found === null) return null;
    const instances = await service.instances();
    if (!instances.some(({ id, path }) => path === machine.path || id === machine.id)) return { ...found, instances };
    learnt(group);
    throw new CallFailed("own-group", "the agent itself runs in this group", "none");
  };
  const missing = (group: string) => ({
    missing: `there is no managed instance group ${group} in ${gcp.project}, ${gcp.region}`,
  });
  return {
    operations: SCALE_OPERATIONS,
    places({ group }) {
      const name = groupName(gcp.region, group);
      return name === null ? [] : placesOf(gcp, "compute", name.where, ["GET", "POST"]);
    },
    async describe(gate, args, errand) {
      const work = workOf(gate, args, errand);
      const group = work === null ? null : await readOther(work, args.group);
      return group === null ? missing(args.group) : { state: { count: group.target } };
    },
    async execute(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      if (work === null) return failed("missing");
      try {
        const before = await readOther(work, args.group);
        if (before === null) return failed("missing");
        return (await refused(work, before, found.count)) ?? (await change(work, before));
      } catch (error) {
        // Nothing was changed yet: what was, `change` says itself.
        return stoppedBy(error);
      }
    },
    async reconcile(gate, args, found, errand): Promise<Reconciled> {
      const work = workOf(gate, args, errand);
      // Execution refuses it before it calls anything.
      if (work === null) return byState(failed("missing"));
      return reconciled(work, found.count);
    },
  };
}

/** What keeps the change from being made; nothing was changed. Throws CallFailed. */
async function refused({ service, wanted }: Work, before: Seen, found: number): Promise<Executed | null> {
  // The policy judged another count: what it permitted from there it may not permit from here.
  if (before.target !== found)
    return failed("concurrent", [], `found ${before.target} now, ${found} when it was judged`);
  if (before.autoscaler === null || wanted === found) return null;
  const { autoscalingPolicy } = await service.autoscaler(before.autoscaler);
  const { mode, minNumReplicas: min, maxNumReplicas: max } = autoscalingPolicy ?? {};
  if (mode === "OFF") return null;
  // An autoscaler that is on sets the size itself: what was changed would not stay.
  const sizes = `the autoscaler ${before.autoscaler} is ${mode}: min ${min}, max ${max}`;
  if (typeof max === "number" && wanted > max) return failed("above-autoscaler-max", [], sizes);
  if (typeof min === "number" && wanted < min) return failed("below-autoscaler-min", [], sizes);
  return failed("autoscaled", [], sizes);
}

async function change(work: Work, before: Seen): Promise<Executed> {
  const { service, wanted, errand, context } = work;
  if (wanted === before.target) return settle(work, { before, lost: null, settlesUntil: 0 });
  let lost: CallFailed | null = null;
  let operation: string | null = null;
  try {
    operation = await service.resize(wanted, errand.id);
  } catch (error) {
    if (error instanceof Halted || !(error instanceof CallFailed) || error.effect === "none") throw error;
    // It may have had its effect: the operation's own record tells, it is not sent again.
    lost = error;
  }
  const settlesUntil = context.host.clock.monotonic() + SETTLES_WITHIN_MS;
  const ended = await awaitOperation(work, operation, { before, lost, settlesUntil });
  return "failed" in ended ? ended.failed : settle(work, { before, lost: ended.found ? null : lost, settlesUntil });
}
