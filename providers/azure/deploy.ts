import { byState, deployed, deploysBy, failed, succeeded } from "../outcome.ts";
import {
  CallFailed,
  type DeployProvider,
  type DeployState,
  type Errand,
  type Gate,
  type JudgedDeployArgs,
  NO_IMAGE,
  type Reconciled,
} from "../provider.ts";
import { azureCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { unfit } from "./image.ts";
import { DEPLOY_LOOK_MAX_MS, IN_FLIGHT_MS, LOOK_FIRST_MS } from "./limits.ts";
import { type Model, readModel } from "./model.ts";
import { DEPLOY_OPERATIONS } from "./operations.ts";
import { roll } from "./roll.ts";
import { changedSince, imageOf, type Rolling, stateOf } from "./rolling.ts";
import { isOwn, type ScaleDeps } from "./scale.ts";
import { isThere } from "./upgrade.ts";

/** Takes one scale set to an image: its model, then its machines in steps of our own. */
export function azureDeploy({ context, notes, own, learnt }: ScaleDeps): DeployProvider {
  const { azure } = context;
  const workOf = (gate: Gate, { group, image: given }: JudgedDeployArgs, errand: Errand): Rolling => {
    const image = given.toLowerCase();
    const known = { images: new Set<string>(), machines: new Set<string>() };
    const about = { image, ...known, most: errand.unavailable ?? 0 };
    const calls = azureCalls(context, gate, errand, group, { deploy: about });
    return { context, calls, notes, name: group, image, errand, known };
  };
  /** Null when there is none. Throws CallFailed, also for the set that this machine is in, and when that cannot be told. */
  const readOther = async (work: Rolling): Promise<Model | null> => {
    if (isOwn(await own(), azure.resource_group, work.name)) {
      learnt(work.name);
      throw new CallFailed("own-group", "the agent itself runs in this scale set", "none");
    }
    return readModel(work);
  };
  return {
    operations: DEPLOY_OPERATIONS,
    places: () => placesOf(azure, "arm", ["GET", "PATCH", "POST"]),
    async describe(gate, args, errand) {
      const work = workOf(gate, args, errand);
      const model = await readOther(work);
      if (model === null) return { missing: `there is no scale set ${args.group} in ${azure.resource_group}` };
      return (await unfit(work)) ?? { state: stateOf(model) };
    },
    async observe(gate, { group }, errand) {
      const model = await readOther(workOf(gate, { ...NO_IMAGE, group }, errand));
      return model === null ? { missing: `there is no scale set ${group}` } : { state: stateOf(model) };
    },
    ...deploysBy(context.host.clock, IN_FLIGHT_MS, async (gate, args, found, errand, resumed) => {
      const work = workOf(gate, args, errand);
      const model = await readOther(work);
      return model === null ? failed("missing") : roll(work, model, found, resumed);
    }),
    reconcile: (gate, args, found, errand) => ended(workOf(gate, args, errand), found),
  };
}

/** What an intent became, by what the machines run once nothing is being done to them. Throws CallFailed: whoever asked asks again. */
async function ended(work: Rolling, found: DeployState): Promise<Reconciled> {
  const { clock } = work.context.host;
  // A change that was on its way when the agent stopped.
  await clock.sleep(IN_FLIGHT_MS, work.errand.signal);
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, DEPLOY_LOOK_MAX_MS)) {
    const model = await readModel(work);
    if (model === null) return byState(failed("missing"));
    const quiet =
      model.state !== "Updating" && model.machines.every(({ state }) => /^(?:Succeeded|Failed)$/.test(state));
    if (quiet && model.image === work.image && model.machines.every((one) => isThere(one, work.image) && one.well))
      return byState(succeeded(deployed(work.name, found.image, imageOf(model))));
    if (quiet) return byState(failed("interrupted", await changedSince(work, found)));
    if (work.errand.signal.aborted) throw new CallFailed("deadline", "machines are still being changed", "none");
    await clock.sleep(wait, work.errand.signal);
  }
}
