import { SetDesiredCapacityCommand } from "@aws-sdk/client-auto-scaling";
import type { ScaleArgs } from "../../policy/asked.ts";
import { byState, failed, stoppedBy } from "../outcome.ts";
import {
  type ActionProvider,
  CallFailed,
  type Errand,
  type Executed,
  type Gate,
  Halted,
  type ScaleState,
} from "../provider.ts";
import { newestIds } from "./activities.ts";
import { type AwsContext, awsCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { type Group, readGroup } from "./group.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { SCALE_OPERATIONS } from "./operations.ts";
import type { Own } from "./own.ts";
import { hindrance, settle, type Work } from "./wait.ts";

/** Sets the desired capacity of one Auto Scaling group and waits until it is true. `learnt`: told of a group that the agent runs in. */
export function awsScale(
  context: AwsContext,
  own: Own,
  learnt: (group: string) => void,
): ActionProvider<ScaleArgs, ScaleState> {
  const workOf = (gate: Gate, { group, count }: ScaleArgs, errand: Errand): Work => ({
    context,
    calls: awsCalls(context, gate, errand, group, { count }),
    name: group,
    wanted: count,
    deadline: errand.signal,
  });
  /** Null when there is none. Throws CallFailed, also for the group that this machine is in, and when that cannot be told. */
  const readOther = async ({ calls, name }: Work): Promise<Group | null> => {
    const id = await own.instance();
    const group = await readGroup(calls, context.aws, name);
    if (!group?.instances.some((instance) => instance.id === id)) return group;
    learnt(name);
    throw new CallFailed("own-group", "the agent itself runs in this group", "none");
  };
  return {
    operations: SCALE_OPERATIONS,
    places: () => placesOf(context.aws, "autoscaling", ["POST"]),
    async describe(gate, args, errand) {
      const group = await readOther(workOf(gate, args, errand));
      if (group === null) return { missing: `there is no Auto Scaling group ${args.group} in ${context.aws.region}` };
      return { state: { count: group.desired } };
    },
    async execute(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      try {
        const before = await readOther(work);
        if (before === null) return failed("missing");
        return refused(before, found.count, args.count) ?? (await change(work, before));
      } catch (error) {
        // Nothing was changed yet: what was, `change` says itself.
        return stoppedBy(error);
      }
    },
    async reconcile(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      const group = await settled(work, found.count);
      if (group === null) return byState(failed("missing"));
      // The call had no effect, or it was undone since.
      if (group.desired === found.count && found.count !== args.count) return byState(failed("interrupted"));
      const before = { ...group, desired: found.count };
      const executed = await settle(work, { before, known: null, lost: null, settlesUntil: 0 });
      // It could not be read: whoever asked asks again.
      if (executed.result === "unknown") throw new CallFailed(executed.code ?? "", executed.words ?? "", "none");
      return byState(executed);
    },
  };
}

/** The group, once a change that was made right before a crash would be seen. Throws CallFailed when the deadline comes first. */
async function settled({ context, calls, name, wanted, deadline }: Work, found: number): Promise<Group | null> {
  const { clock } = context.host;
  const until = clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = clock.monotonic() >= until;
    const group = await readGroup(calls, context.aws, name);
    if (late || group?.desired !== found || wanted === found) return group;
    await clock.sleep(wait, deadline);
    // Too early to say that nothing was changed: whoever asked asks again.
    if (deadline.aborted) throw new CallFailed("deadline", `the count is still ${found}, and may yet change`, "none");
  }
}

/** What keeps the change from being made; nothing was changed. */
function refused(before: Group, found: number, wanted: number): Executed | null {
  // The policy judged another count: what it permitted from there it may not permit from here.
  if (before.desired !== found)
    return failed("concurrent", [], `found ${before.desired} now, ${found} when it was judged`);
  const sizes = `the group's own sizes: min ${before.min}, max ${before.max}`;
  if (wanted > before.max) return failed("above-group-max", [], sizes);
  if (wanted < before.min) return failed("below-group-min", [], sizes);
  const hindered = wanted === found ? null : hindrance(before, wanted, wanted > found);
  return hindered === null ? null : failed(hindered);
}

async function change(work: Work, before: Group): Promise<Executed> {
  const { calls, name, wanted, context } = work;
  if (wanted === before.desired) return settle(work, { before, known: null, lost: null, settlesUntil: 0 });
  const known = await newestIds(calls, name);
  let lost: CallFailed | null = null;
  try {
    const input = { AutoScalingGroupName: name, DesiredCapacity: wanted, HonorCooldown: false };
    await calls.send("autoscaling", (client) => client.send(new SetDesiredCapacityCommand(input)));
  } catch (error) {
    if (error instanceof Halted || !(error instanceof CallFailed) || error.effect === "none") throw error;
    // It may have had its effect: that is looked up, it is never sent again.
    lost = error;
  }
  return settle(work, { before, known, lost, settlesUntil: context.host.clock.monotonic() + SETTLES_WITHIN_MS });
}
