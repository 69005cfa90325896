import { byState, deployed, failed, succeeded, unknown } from "../outcome.ts";
import { CallFailed, type DeployState, type Executed, type Reconciled } from "../provider.ts";
import { inService } from "./group.ts";
import { DEPLOY_LOOK_MAX_MS, IN_FLIGHT_MS, LOOK_FIRST_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { imageOf, type Running } from "./machines.ts";
import { isActive, type Refresh } from "./refresh.ts";
import { changedSince, current, type Found, type Rolling, runningNow } from "./rolling.ts";
import type { Version } from "./template.ts";

/** A refresh of this command that is over. `back`: it was the one back to what there was before. */
export type Over = { readonly refresh: Refresh; readonly back: boolean; readonly base: Version; readonly own: Version };

/** What came of it, by what runs now: AWS's word that it is done is not enough. */
export async function outcomeOf(work: Rolling, over: Over, found: DeployState): Promise<Executed> {
  const { refresh, back, base, own } = over;
  const { status, reason } = refresh;
  if (status === "Cancelled") return failed("cancelled", await changedSince(work, found), reason);
  if (status === "Successful" && !back) return verified(work, own, found);
  if (status !== "Successful" && status !== "RollbackSuccessful")
    return failed("rollback-failed", await changedSince(work, found), reason);
  const verdict = await verified(work, base, found);
  if (verdict.result !== "succeeded") return { ...verdict, code: "rollback-failed" };
  return failed("rolled-back", verdict.changed, reason);
}

/** Every instance is well and runs this version's image, and the group launches from it; reads may lag behind for a while. */
async function verified(work: Rolling, version: Version, found: DeployState): Promise<Executed> {
  const { clock } = work.context.host;
  const until = clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait *= 1.5) {
    const late = clock.monotonic() >= until || work.errand.signal.aborted;
    const running = await runningNow(work);
    if (running !== null && isAt(running, version))
      return succeeded(deployed(work.name, found.image, imageOf(running) ?? version.image));
    if (late && running === null) return unknown("unverified", [], "what runs cannot be read");
    if (late && running !== null) {
      const at = running.group.template?.version;
      const changed = deployed(work.name, found.image, imageOf(running));
      // The group was given another version since: that is somebody else's word.
      if (at !== version.number) return failed("concurrent", changed, `the group launches from version ${at}`);
      return failed("unverified", changed, "not every instance is well and runs the image");
    }
    await clock.sleep(wait, work.errand.signal);
  }
}

function isAt({ group, images }: Running, { template, number, image }: Version): boolean {
  return (
    group.template?.id === template &&
    group.template.version === number &&
    inService(group).length === group.instances.length &&
    group.instances.length === group.desired &&
    group.instances.every(({ id }) => images.get(id) === image)
  );
}

/**
 * What an intent became: by the version that carries the command's id, and the refresh to it. One that still runs is waited for. Throws
 * CallFailed: whoever asked asks again.
 */
export async function ended(work: Rolling, { base, own }: Found, found: DeployState): Promise<Reconciled> {
  const { clock } = work.context.host;
  const began = clock.monotonic();
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, DEPLOY_LOOK_MAX_MS)) {
    const now = own.length === 0 ? null : await current(work, own, base);
    if (now !== null && "own" in now && !isActive(now.own)) {
      const over = { refresh: now.own, back: now.back, base, own: now.version };
      return { ...(await outcomeOf(work, over, found)), known_by: "token" };
    }
    // None was begun, also not by a call that was on its way when the agent stopped.
    if ((now === null || "busy" in now) && clock.monotonic() - began >= IN_FLIGHT_MS)
      return byState(failed("interrupted", await changedSince(work, found)));
    if (work.errand.signal.aborted) throw new CallFailed("deadline", "the refresh still runs", "none");
    await clock.sleep(wait, work.errand.signal);
  }
}
