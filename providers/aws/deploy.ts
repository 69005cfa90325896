import { byState, deploysBy, failed } from "../outcome.ts";
import {
  CallFailed,
  type DeployProvider,
  type Errand,
  type Gate,
  type JudgedDeployArgs,
  NO_IMAGE,
} from "../provider.ts";
import { type AwsContext, awsCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { readGroup } from "./group.ts";
import { IN_FLIGHT_MS } from "./limits.ts";
import { runningOf, stateOf, unfit } from "./machines.ts";
import { DEPLOY_OPERATIONS, EVERY_GROUP_OPERATIONS } from "./operations.ts";
import type { Own } from "./own.ts";
import { ended } from "./refreshEnd.ts";
import { EVERY_GROUP } from "./resource.ts";
import { roll } from "./roll.ts";
import { type Found, type Rolling, seen } from "./rolling.ts";
import { alone } from "./sharing.ts";

/**
 * Takes one Auto Scaling group to an image: a new version of its launch template, then an instance refresh to it. `learnt`: told of a group
 * that the agent runs in.
 */
export function awsDeploy(context: AwsContext, own: Own, learnt: (group: string) => void): DeployProvider {
  const workOf = (gate: Gate, { group, image }: JudgedDeployArgs, errand: Errand): Rolling => ({
    ...{ context, calls: awsCalls(context, gate, errand, group, { image }), name: group, image, errand, own },
  });
  /** Null when there is none. Throws CallFailed, also for what cannot be deployed to, and for the group that this machine is in. */
  const readOther = async (work: Rolling): Promise<Found | null> => {
    const id = await own.instance();
    const group = await readGroup(work.calls, context.aws, work.name);
    if (group?.instances.some((instance) => instance.id === id) === true) {
      learnt(work.name);
      throw new CallFailed("own-group", "the agent itself runs in this group", "none");
    }
    return group === null ? null : seen(work, await runningOf(work.calls, group), "fail");
  };
  return {
    operations: DEPLOY_OPERATIONS,
    places: () => [...placesOf(context.aws, "autoscaling", ["POST"]), ...placesOf(context.aws, "ec2", ["POST"])],
    // Who else launches from the group's template is read before a version of it is made.
    beside: () => [
      {
        table: EVERY_GROUP_OPERATIONS,
        places: placesOf(context.aws, "autoscaling", ["POST"]),
        resources: [EVERY_GROUP],
      },
    ],
    async describe(gate, args, errand) {
      const work = workOf(gate, args, errand);
      const found = await readOther(work);
      if (found === null) return { missing: `there is no Auto Scaling group ${args.group} in ${context.aws.region}` };
      await alone(work.calls, own, args.group, found.base.template);
      return (await unfit(work.calls, args.image)) ?? { state: stateOf(found.running) };
    },
    async observe(gate, { group }, errand) {
      const found = await readOther(workOf(gate, { ...NO_IMAGE, group }, errand));
      return found === null
        ? { missing: `there is no Auto Scaling group ${group}` }
        : { state: stateOf(found.running) };
    },
    ...deploysBy(context.host.clock, IN_FLIGHT_MS, async (gate, args, found, errand, resumed) => {
      const work = workOf(gate, args, errand);
      const before = await readOther(work);
      return before === null ? failed("missing") : roll(work, before, found, resumed);
    }),
    async reconcile(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      const group = await readGroup(work.calls, context.aws, work.name);
      if (group === null) return byState(failed("missing"));
      return ended(work, await seen(work, await runningOf(work.calls, group), "ignore"), found);
    },
  };
}
