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
  const back = resumed ? wayBack(work, model) : null;
  if (back !== null) {
    if (referenceOf(back) === null) return noWayBack(work, found);
    work.known.images.add(image).add(back);
    return guarded(work, found, () => goneBack(work, back, found, "it was on its way back"));
  }
  if (!begun) {
    const refused = hindrance(work, model, found, resumed);
    if (refused !== null) return refused;
  }
  // Where the set's model is the new one already, what every machine ran is the way back; of machines of several images there is none but it.
  const base = begun || (model.image === image && found.image !== null) ? found.image : model.image;
  if (base === null || referenceOf(base) === null) return noWayBack(work, found);
  // It would go back to what was not running.
  if (!resumed && found.image !== null && base !== found.image)
    return failed("configured-otherwise", [], `its machines run ${found.image}, and it makes new ones from ${base}`);
  work.known.images.add(image).add(base);
  return guarded(work, found, async () => {
    const there = begun ? null : await point(work, model, image);
    if (there !== null) return there;
    const reached = await upgrade(work, image);
    if (reached.is === "well") return succeeded(deployed(work.name, found.image, imageOf(reached.model)));
    if (reached.is !== "stuck") return failed(reached.is, await changedSince(work, found), reached.words);
    return goneBack(work, base, found, reached.words);
  });
}

/** Of one that is resumed: what it was going back to, by its note, or because machines run the image and the set makes none from it. Throws CallFailed. */
function wayBack({ notes, errand, image }: Rolling, model: Model): string | null {
  const noted = notes.read("back", errand.id);
  if (noted !== null) return new TextDecoder().decode(noted);
  return model.image !== image && model.machines.some((one) => one.image === image) ? model.image : null;
}

async function noWayBack(work: Rolling, found: DeployState): Promise<Executed> {
  const words = "what the set made its machines from is not known: there is no way back";
  return failed("group-image", await changedSince(work, found), words);
}

async function guarded(work: Rolling, found: DeployState, then: () => Promise<Executed>): Promise<Executed> {
  try {
    return await then();
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
  // Before the model says so: once all is back, the set looks as if nothing had begun.
  work.notes.write("back", work.errand.id, new TextEncoder().encode(base));
  const model = await readModel(work);
  const refused = model === null ? failed("missing") : await point(work, model, base);
  if (refused !== null && !work.errand.signal.aborted)
    return { ...refused, code: "rollback-failed", changed: await changedSince(work, found) };
  if (refused !== null) return outOfTime(work, found, words);
  const reached = await upgrade(work, base);
  if (reached.is === "well")
    return failed("rolled-back", deployed(work.name, found.image, imageOf(reached.model)), words);
  if (reached.is === "deadline") return outOfTime(work, found, words);
  return failed("rollback-failed", await changedSince(work, found), [words, reached.words].join("\n"));
}

/** A process that is to end leaves it to the next one, which goes on going back. */
async function outOfTime(work: Rolling, found: DeployState, words: string): Promise<Executed> {
  return failed("deadline", await changedSince(work, found), `${words}\nit was on its way back`);
}
