import { deployed, failed, succeeded, unavailableOf, unknown } from "../outcome.ts";
import { CallFailed, type DeployState, type Executed, Halted } from "../provider.ts";
import { awaitBegun, begunBy, type Place } from "./begun.ts";
import { PASSING } from "./failure.ts";
import { DEPLOY_LOOK_MAX_MS, LOOK_FIRST_MS, SETTLES_WITHIN_MS, STUCK_AFTER_MS } from "./limits.ts";
import { makeTemplate } from "./makeTemplate.ts";
import { type Manager, patchManager, readManager } from "./manager.ts";
import { restored } from "./restore.ts";
import { changedSince, type Found, imageOf, type Rolling } from "./rolling.ts";
import type { Json } from "./template.ts";
import { type Step, stepId } from "./tokens.ts";

/** From what is found to the image, or back. `resumed`: what lies there half done is this command's own. Throws CallFailed and Halted only before it has changed anything. */
export async function roll(work: Rolling, before: Found, found: DeployState, resumed: boolean): Promise<Executed> {
  const { manager, base, own } = before;
  const begun = own !== null && manager.template === own.path;
  if (own !== null && !begun && manager.template !== base.path)
    return failed("concurrent", await changedSince(work, found), `the group launches from ${manager.template}`);
  // Google keeps what was asked of it: a way back that has begun is not turned round.
  if (own !== null && (await begunBy(placeOf(work), stepId(work.errand.id, "back"))) !== null)
    return guarded(work, found, () => awaitedBack(work, before, found, "it was on its way back"));
  if (!begun) {
    const refused = await hindrance(work, before, found, resumed);
    if (refused !== null) return refused;
  }
  const target = own ?? (await makeTemplate(work, base, manager.policy));
  if ("failed" in target) return target.failed;
  return guarded(work, found, async () => {
    const there = begun ? null : await sent(work, "there", manager, target.path, updating(work));
    if (there !== null) return there;
    const reached = await awaitReached(work, target.path);
    if (reached.is === "well") return await finished(work, reached.manager, before, found);
    if (reached.is !== "stuck") return failed(reached.is, await changedSince(work, found), reached.words);
    return goneBack(work, reached, before, found);
  });
}

async function guarded(work: Rolling, found: DeployState, then: () => Promise<Executed>): Promise<Executed> {
  try {
    return await then();
  } catch (error) {
    // Something was begun, and stands: what is the case now is said as far as it can be read.
    if (error instanceof Halted)
      return failed(error.why, await changedSince(work, found), "the update goes on by itself");
    if (error instanceof CallFailed) return unknown(error.status, await changedSince(work, found), error.words);
    throw error;
  }
}

/** What keeps it from being begun, or that nothing is to be done; null: neither. */
async function hindrance(
  work: Rolling,
  { manager, base }: Found,
  found: DeployState,
  resumed: boolean,
): Promise<Executed | null> {
  const image = await imageOf(work, manager);
  if (!resumed && image !== found.image)
    return failed("concurrent", [], `found ${image} now, ${found.image} when it was judged`);
  if (!manager.reached) return failed("busy", [], "the group is being changed");
  if (image === work.image && base.image === work.image) return succeeded([]);
  const unavailable = unavailableOf(work.errand);
  // "It has to be either 0 or at least equal to the number of zones", and with no surge it cannot be 0.
  if (unavailable < manager.zones)
    return failed(
      "unavailable-below-zones",
      [],
      `the group is in ${manager.zones} zones, the rule takes ${unavailable}`,
    );
  return null;
}

/** As many at once as the rule takes, none more than the group has, each replaced. */
function updating({ errand }: Rolling): Json {
  return {
    type: "PROACTIVE",
    minimalAction: "REPLACE",
    mostDisruptiveAllowedAction: "REPLACE",
    maxSurge: { fixed: 0 },
    maxUnavailable: { fixed: unavailableOf(errand) },
  };
}

/** Null: the group was given the template. Throws CallFailed and Halted. */
async function sent(
  work: Rolling,
  step: Step,
  manager: Manager,
  template: string,
  updatePolicy: Json,
): Promise<Executed | null> {
  const { errand } = work;
  const versions = [{ instanceTemplate: templateUrl(template) }];
  let operation: string | null = null;
  let lost: CallFailed | null = null;
  try {
    operation = await patchManager(work, errand.id, step, manager, { versions, updatePolicy });
  } catch (error) {
    if (error instanceof Halted || !(error instanceof CallFailed)) throw error;
    // Somebody changed the group since it was read.
    if (error.effect === "none")
      return failed(error.status === "precondition" ? "concurrent" : error.status, [], error.words);
    lost = error;
  }
  const ended = await awaitBegun(placeOf(work), operation, stepId(errand.id, step));
  if ("failed" in ended) return ended.failed;
  return ended.found || lost === null ? null : unknown(lost.status, [], lost.words);
}

function placeOf({ context, calls, errand, group }: Rolling): Place {
  return { context, calls, errand, at: `${group.kind}/${group.where}` };
}

function templateUrl(path: string): string {
  return `https://www.googleapis.com/compute/v1/${path}`;
}

type Reached =
  | { readonly is: "well"; readonly manager: Manager }
  | { readonly is: "stuck"; readonly manager: Manager; readonly words: string }
  | { readonly is: "missing" | "concurrent" | "deadline"; readonly words: string };

/** Until every machine is at the template and well. One in which not one more gets well is stuck. Throws CallFailed and Halted. */
export async function awaitReached(work: Rolling, template: string): Promise<Reached> {
  const { clock } = work.context.host;
  const began = clock.monotonic();
  let most = { well: -1, at: began };
  for (let wait = LOOK_FIRST_MS; !work.errand.signal.aborted; wait = Math.min(wait * 1.5, DEPLOY_LOOK_MAX_MS)) {
    const manager = await looked(work);
    const time = clock.monotonic();
    if (manager === null) return { is: "missing", words: "the group is gone" };
    if (manager !== "passing") {
      if (manager.template !== template && time - began >= SETTLES_WITHIN_MS)
        return { is: "concurrent", words: `the group launches from ${manager.template}` };
      const there = manager.machines.filter((one) => one.well && one.template === template).length;
      const all = there === manager.machines.length && there === manager.target && manager.template === template;
      if (all && manager.reached) return { is: "well", manager };
      if (there > most.well) most = { well: there, at: time };
      if (time - most.at >= STUCK_AFTER_MS) return { is: "stuck", manager, words: errorsOf(manager) };
    }
    await clock.sleep(wait, work.errand.signal);
  }
  return { is: "deadline", words: "the update goes on by itself" };
}

async function looked(work: Rolling): Promise<Manager | null | "passing"> {
  try {
    return await readManager(work);
  } catch (error) {
    if (error instanceof CallFailed && PASSING.has(error.status)) return "passing";
    throw error;
  }
}

function errorsOf({ machines }: Manager): string {
  const errors = machines.flatMap(({ path, error }) => (error === null ? [] : [`${path}: ${error}`]));
  return ["machines do not get well", ...errors].join("\n");
}

/** All run the image; the group is updated as it was before. */
async function finished(work: Rolling, manager: Manager, { policy }: Found, found: DeployState): Promise<Executed> {
  const left = await restored(work, manager, policy);
  const changed = deployed(work.name, found.image, await imageOf(work, manager));
  return succeeded([...changed, ...left]);
}

async function goneBack(
  work: Rolling,
  { manager, words }: Extract<Reached, { is: "stuck" }>,
  before: Found,
  found: DeployState,
): Promise<Executed> {
  const refused = await sent(work, "back", manager, before.base.path, updating(work));
  if (refused !== null && work.errand.signal.aborted) return outOfTime(work, found, words);
  if (refused !== null) return { ...refused, code: "rollback-failed", changed: await changedSince(work, found) };
  return awaitedBack(work, before, found, words);
}

async function awaitedBack(work: Rolling, before: Found, found: DeployState, words: string): Promise<Executed> {
  const reached = await awaitReached(work, before.base.path);
  if (reached.is === "deadline") return outOfTime(work, found, words);
  if (reached.is !== "well")
    return failed("rollback-failed", await changedSince(work, found), [words, reached.words].join("\n"));
  const { changed } = await finished(work, reached.manager, before, found);
  return failed("rolled-back", changed, words);
}

/** A process that is to end leaves it to the next one, which goes on going back. */
async function outOfTime(work: Rolling, found: DeployState, words: string): Promise<Executed> {
  return failed("deadline", await changedSince(work, found), `${words}\nthe way back goes on by itself`);
}
