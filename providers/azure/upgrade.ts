import { unavailableOf } from "../outcome.ts";
import { CallFailed, Halted } from "../provider.ts";
import { PASSING } from "./failure.ts";
import { DEPLOY_LOOK_MAX_MS, LOOK_FIRST_MS, SETTLES_WITHIN_MS, STUCK_AFTER_MS } from "./limits.ts";
import { type Machine, type Model, readModel } from "./model.ts";
import type { Rolling } from "./rolling.ts";

/** Another operation is in progress, or it is too much at this time. */
const AGAIN: ReadonlySet<string> = new Set([...PASSING, "in-progress"]);

/** How it ended: every machine runs the image and is well; or it will not be so. */
export type Reached =
  | { readonly is: "well"; readonly model: Model }
  | { readonly is: "stuck"; readonly words: string }
  | { readonly is: "missing" | "concurrent" | "deadline"; readonly words: string };

/**
 * Takes the machines to the set's own image, step by step: as many at once as may be out of service, those first that are out of it already, and
 * the next only when the last are well. Throws CallFailed and Halted.
 */
export async function upgrade(work: Rolling, image: string): Promise<Reached> {
  const { clock } = work.context.host;
  const steps = stepping(work, image);
  const began = clock.monotonic();
  let most = { well: -1, at: began };
  for (let wait = LOOK_FIRST_MS; !work.errand.signal.aborted; wait = Math.min(wait * 1.5, DEPLOY_LOOK_MAX_MS)) {
    const model = await looked(work);
    const time = clock.monotonic();
    if (model === null) return { is: "missing", words: "the scale set is gone" };
    if (model !== "passing") {
      if (model.image !== image && time - began >= SETTLES_WITHIN_MS)
        return { is: "concurrent", words: `its model's image is ${model.image}` };
      const there = model.machines.filter((one) => isThere(one, image) && one.well).length;
      if (there > most.well) {
        most = { well: there, at: time };
        wait = LOOK_FIRST_MS;
      }
      if (there === model.machines.length && there === model.capacity && model.state === "Succeeded")
        return { is: "well", model };
      const failed = steps.failed() ?? failedOf(model, image);
      if (failed !== null) return { is: "stuck", words: failed };
      if (time - most.at >= STUCK_AFTER_MS) return { is: "stuck", words: "not one more machine got well" };
      if (model.image === image) await steps.next(model);
    }
    await clock.sleep(wait, work.errand.signal);
  }
  return { is: "deadline", words: "the step that runs goes on by itself" };
}

export function isThere({ image, latest }: Machine, wanted: string): boolean {
  return image === wanted && latest;
}

function failedOf({ machines }: Model, image: string): string | null {
  const failed = machines.filter((one) => one.image === image && one.state === "Failed");
  return failed.length === 0 ? null : `failed: ${failed.map(({ id }) => id).join(", ")}`;
}

async function looked(work: Rolling): Promise<Model | null | "passing"> {
  try {
    return await readModel(work);
  } catch (error) {
    if (error instanceof CallFailed && PASSING.has(error.status)) return "passing";
    throw error;
  }
}

/** The steps of one upgrade. */
function stepping(work: Rolling, image: string) {
  const { context, calls, name, errand } = work;
  const { clock } = context.host;
  const unavailable = unavailableOf(errand);
  /** When each machine was asked to be upgraded, by the monotonic clock: reads may lag behind. */
  const asked = new Map<string, number>();
  let failure: string | null = null;

  /** On its way to the image, or there and not well yet. */
  const isBusy = (one: Machine): boolean => {
    if (isThere(one, image)) return !one.well;
    const at = asked.get(one.id);
    const fresh = at !== undefined && clock.monotonic() - at < SETTLES_WITHIN_MS;
    return fresh || !/^(?:Succeeded|Failed)$/.test(one.state);
  };
  const send = async (instanceIds: string[]): Promise<void> => {
    for (const id of instanceIds) asked.set(id, clock.monotonic());
    try {
      await calls.send("compute", (client) =>
        client.virtualMachineScaleSets.updateInstances(context.azure.resource_group, name, { instanceIds }).submitted(),
      );
    } catch (error) {
      if (error instanceof Halted || !(error instanceof CallFailed)) throw error;
      // It may have begun: the machines themselves say so. What was turned away for now is asked again.
      if (error.effect === "none" && !AGAIN.has(error.status)) failure = `${error.status}: ${error.words}`;
    }
  };
  return {
    failed: () => failure,
    async next({ machines }: Model): Promise<void> {
      const busy = machines.filter(isBusy).length;
      const ready = machines.filter((one) => !isThere(one, image) && !isBusy(one));
      // Those that serve nobody cost nothing: they go first.
      const step = ready.toSorted((a, b) => Number(a.well) - Number(b.well)).slice(0, Math.max(0, unavailable - busy));
      if (step.length > 0) await send(step.map(({ id }) => id));
    },
  };
}
