import { deployed, failed, succeeded, unknown } from "../outcome.ts";
import { CallFailed, type DeployState, type Executed, Halted } from "../provider.ts";
import { referenceOf } from "./imageName.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { type Model, readModel } from "./model.ts";
import { changedSince, imageOf, type Rolling } from "./rolling.ts";
import { isThere, upgrade } from "./upgrade.ts";

/** From what is found to the image, or back. `resumed`: what lies there half done is this command's own. Throws CallFailed and Halted only before it has changed anything. */
export async function roll(work: Rolling, model: Model, found: DeployState, resumed: boolean): Promise<Executed> {
  const { image } = work;
  const begun = resumed && model.image === image;
  if (!begun) {
    const refused = hindrance(work, model, found, resumed);
    if (refused !== null) return refused;
  }
  // After a crash the set's model is the new one already: what it was is on record as what every machine ran.
  const base = begun ? found.image : model.image;
  if (base === null || referenceOf(base) === null)
    return failed("group-image", [], "what the set made its machines from is not known: there is no way back");
  work.known.images.add(image).add(base);
  try {
    const there = begun ? null : await point(work, model, image);
    if (there !== null) return there;
    const reached = await upgrade(work, image);
    if (reached.is === "well") return succeeded(deployed(work.name, found.image, imageOf(reached.model)));
    if (reached.is !== "stuck") return failed(reached.is, await changedSince(work, found), reached.words);
    return await goneBack(work, base, found, reached.words);
  } catch (error) {
    // Something was begun, and stands: what is the case now is said as far as it can be read.
    if (error instanceof Halted) return failed(error.why, await changedSince(work, found));
    if (error instanceof CallFailed) return unknown(error.status, await changedSince(work, found), error.words);
    throw error;
  }
}

/** What keeps it from being begun, or that nothing is to be done; null: neither. */
function hindrance({ image }: Rolling, model: Model, found: DeployState, resumed: boolean): Executed | null {
  const now = imageOf(model);
  if (!resumed && now !== found.image)
    return failed("concurrent", [], `found ${now} now, ${found.image} when it was judged`);
  if (model.state === "Updating") return failed("busy", [], "another operation is in progress on the scale set");
  if (model.image === image && model.machines.every((one) => isThere(one, image))) return succeeded([]);
  return model.machines.some(({ kept }) => kept) ? failed("protected") : null;
}

/**
 * Has the set make its machines from the image; none is touched by that. Only while it is as it was read: its etag says so. Null: it does.
 * Throws Halted.
 */
async function point(
  { calls, context, name, ...work }: Rolling,
  model: Model,
  image: string,
): Promise<Executed | null> {
  if (model.image === image) return null;
  const imageReference = { ...referenceOf(image) };
  const parameters = { virtualMachineProfile: { storageProfile: { imageReference } } };
  const whole = { calls, context, name, ...work };
  try {
    await calls.send("compute", (client) =>
      client.virtualMachineScaleSets
        .update(context.azure.resource_group, name, parameters, { ifMatch: model.etag })
        .submitted(),
    );
    return null;
  } catch (error) {
    if (error instanceof Halted || !(error instanceof CallFailed)) throw error;
    if (error.effect === "none") return failed(error.status, [], error.words);
    return (await isPointed(whole, image)) ? null : unknown(error.status, [], error.words);
  }
}

/** Whether a write whose answer was lost is seen, for as long as reads may lag behind. */
async function isPointed(work: Rolling, image: string): Promise<boolean> {
  const { clock } = work.context.host;
  const until = clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    if ((await readModel(work))?.image === image) return true;
    if (clock.monotonic() >= until || work.errand.signal.aborted) return false;
    await clock.sleep(wait, work.errand.signal);
  }
}

async function goneBack(work: Rolling, base: string, found: DeployState, words: string): Promise<Executed> {
  const model = await readModel(work);
  const refused = model === null ? failed("missing") : await point(work, model, base);
  if (refused !== null) return { ...refused, code: "rollback-failed", changed: await changedSince(work, found) };
  const reached = await upgrade(work, base);
  if (reached.is === "well")
    return failed("rolled-back", deployed(work.name, found.image, imageOf(reached.model)), words);
  return failed("rollback-failed", await changedSince(work, found), [words, reached.words].join("\n"));
}
