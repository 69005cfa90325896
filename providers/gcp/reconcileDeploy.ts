import { byState, deployed, failed, succeeded } from "../outcome.ts";
import { CallFailed, type DeployState, type Executed, type Reconciled } from "../provider.ts";
import { begunBy } from "./begun.ts";
import { IN_FLIGHT_MS } from "./limits.ts";
import { type Manager, readManager } from "./manager.ts";
import { awaitReached } from "./roll.ts";
import { changedSince, type Found, imageOf, type Rolling } from "./rolling.ts";
import { stepId } from "./tokens.ts";

/**
 * What an intent became: by the template that carries the command's name, and which of them the group launches from. An update that still runs
 * is waited for. Throws CallFailed: whoever asked asks again.
 */
export async function ended(work: Rolling, before: Found, found: DeployState): Promise<Reconciled> {
  const { context, calls, errand, group } = work;
  let { manager } = before;
  const { own, base } = before;
  if (own === null || manager.template !== own.path) {
    // A change that was on its way when the agent stopped.
    await context.host.clock.sleep(IN_FLIGHT_MS, errand.signal);
    manager = (await readManager(work)) ?? manager;
  }
  const place = { context, calls, errand, at: `${group.kind}/${group.where}` };
  const back = own !== null && (await begunBy(place, stepId(errand.id, "back"))) !== null;
  if (back) return { ...(await awaited(work, base.path, found, "rolled-back")), known_by: "token" };
  if (own !== null && manager.template === own.path)
    return { ...(await awaited(work, own.path, found, null)), known_by: "token" };
  const interrupted = manager.template === base.path ? "interrupted" : "concurrent";
  return byState(failed(interrupted, await changedSince(work, found)));
}

async function awaited(work: Rolling, template: string, found: DeployState, code: string | null): Promise<Executed> {
  const reached = await awaitReached(work, template);
  if (reached.is === "deadline") throw new CallFailed("deadline", reached.words, "none");
  if (reached.is === "well") return said(work, reached.manager, found, code);
  return failed(reached.is === "stuck" ? "not-well" : reached.is, await changedSince(work, found), reached.words);
}

async function said(work: Rolling, manager: Manager, found: DeployState, code: string | null): Promise<Executed> {
  const changed = deployed(work.name, found.image, await imageOf(work, manager));
  return code === null ? succeeded(changed) : failed(code, changed);
}
