import { byState, deploysBy, failed } from "../outcome.ts";
import {
  CallFailed,
  type DeployProvider,
  type Errand,
  type Gate,
  type JudgedDeployArgs,
  NO_IMAGE,
} from "../provider.ts";
import { type GcpContext, gcpCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { unfit } from "./image.ts";
import { IN_FLIGHT_MS } from "./limits.ts";
import { readManager } from "./manager.ts";
import { groupName } from "./names.ts";
import { DEPLOY_OPERATIONS } from "./operations.ts";
import type { Own } from "./own.ts";
import { ended } from "./reconcileDeploy.ts";
import { roll } from "./roll.ts";
import { type Found, type Rolling, seen, stateOf } from "./rolling.ts";

/**
 * Takes one managed instance group to an image: a copy of its instance template, then a rolling update to it. `learnt`: told of a group that
 * the agent runs in.
 */
export function gcpDeploy(context: GcpContext, own: Own, learnt: (group: string) => void): DeployProvider {
  const { gcp } = context;
  /** Null: no group can be called so here. */
  const workOf = (gate: Gate, { group: name, image }: JudgedDeployArgs, errand: Errand): Rolling | null => {
    const group = groupName(gcp.region, name);
    if (group === null) return null;
    return { context, calls: gcpCalls(context, gate, errand, name, { image }), group, name, image, errand };
  };
  /** Null when there is none. Throws CallFailed, also for what cannot be deployed to, and for the group that this machine is in. */
  const readOther = async (work: Rolling | null, look: "execute" | "resume"): Promise<Found | null> => {
    if (work === null) return null;
    const machine = await own.instance();
    const manager = await readManager(work);
    if (manager?.machines.some(({ id, path }) => path === machine.path || id === machine.id) === true) {
      learnt(work.name);
      throw new CallFailed("own-group", "the agent itself runs in this group", "none");
    }
    return manager === null ? null : seen(work, manager, look);
  };
  return {
    operations: DEPLOY_OPERATIONS,
    places({ group }) {
      const name = groupName(gcp.region, group);
      if (name === null) return [];
      const at = (where: string) => placesOf(gcp, "compute", where, ["GET", "POST", "PATCH"]);
      return [...at(name.where), ...(name.kind === "zones" ? at(gcp.region) : []), ...at("global")];
    },
    async describe(gate, args, errand) {
      const work = workOf(gate, args, errand);
      const found = await readOther(work, "execute");
      if (found === null || work === null)
        return { missing: `there is no managed instance group ${args.group} in ${gcp.project}, ${gcp.region}` };
      return (await unfit(context, work.calls, args.image)) ?? { state: await stateOf(work, found.manager) };
    },
    async observe(gate, { group }, errand) {
      const work = workOf(gate, { ...NO_IMAGE, group }, errand);
      const found = await readOther(work, "execute");
      return found === null || work === null
        ? { missing: `there is no managed instance group ${group}` }
        : { state: await stateOf(work, found.manager) };
    },
    ...deploysBy(context.host.clock, IN_FLIGHT_MS, async (gate, args, found, errand, resumed) => {
      const work = workOf(gate, args, errand);
      const before = await readOther(work, resumed ? "resume" : "execute");
      return before === null || work === null ? failed("missing") : roll(work, before, found, resumed);
    }),
    async reconcile(gate, args, found, errand) {
      const work = workOf(gate, args, errand);
      // Execution refuses it before it calls anything.
      if (work === null) return byState(failed("missing"));
      const manager = await readManager(work);
      if (manager === null) return byState(failed("missing"));
      return ended(work, await seen(work, manager, "reconcile"), found);
    },
  };
}
