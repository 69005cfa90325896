import { failed, succeeded, unavailableOf, unknown } from "../outcome.ts";
import { CallFailed, type Changed, type DeployState, type Executed, Halted } from "../provider.ts";
import { PASSING } from "./failure.ts";
import type { Group } from "./group.ts";
import { DEPLOY_LOOK_MAX_MS, LOOK_FIRST_MS, SETTLES_WITHIN_MS, STUCK_AFTER_MS } from "./limits.ts";
import { imageOf } from "./machines.ts";
import { isActive, leastHealthy, type Refresh, rollBack, startRefresh } from "./refresh.ts";
import { outcomeOf } from "./refreshEnd.ts";
import { type Current, changedSince, current, type Found, type Rolling, runningNow } from "./rolling.ts";
import { alone } from "./sharing.ts";
import { makeVersion, type Version } from "./template.ts";

/** A refresh of this command, and the call that was to begin it when its answer was lost. */
type Begun = { readonly base: Version; readonly own: Version; readonly lost: CallFailed | null };

/** From what is found to the image, or back. `resumed`: what lies there half done is this command's own. Throws CallFailed and Halted only before it has changed anything. */
export async function roll(work: Rolling, before: Found, found: DeployState, resumed: boolean): Promise<Executed> {
  const { running, base } = before;
  const { group } = running;
  const now = await current(work, before.own, base);
  if (now !== null && "busy" in now) return failed("busy", [], `the refresh ${now.busy.id} is ${now.busy.status}`);
  if (now === null) {
    const image = imageOf(running);
    if (!resumed && image !== found.image)
      return failed("concurrent", [], `found ${image} now, ${found.image} when it was judged`);
    if (image === work.image && base.image === work.image) return succeeded([]);
    // It would go back to what was not running.
    if (!resumed && found.image !== null && base.image !== found.image)
      return failed("configured-otherwise", [], `its instances run ${found.image}, and it launches ${base.image}`);
    const hindered = hindrance(group);
    if (hindered !== null) return failed(hindered);
  }
  const begun = now === null ? await begin(work, before) : { base, own: now.version, lost: null };
  try {
    return await followed(work, begun, found, now?.back === true);
  } catch (error) {
    // Something was begun, and stands: what is the case now is said as far as it can be read.
    const words = `the refresh to version ${begun.own.number} goes on by itself`;
    if (error instanceof Halted) return failed(error.why, await changedSince(work, found), words);
    if (error instanceof CallFailed) return unknown(error.status, await changedSince(work, found), error.words);
    throw error;
  }
}

/** Protection and Standby are an operator's words: they are not taken away. */
function hindrance({ instances, suspended }: Group): string | null {
  if (suspended.includes("Launch")) return "launch-suspended";
  if (suspended.includes("Terminate")) return "terminate-suspended";
  if (instances.some(({ kept }) => kept)) return "protected";
  return instances.some(({ lifecycle }) => lifecycle === "Standby") ? "standby" : null;
}

/** A version of a template whose newest nobody else launches changes nothing: until a refresh to it has begun, nothing has. */
async function begin(work: Rolling, { running, base }: Found): Promise<Begun> {
  const { calls, errand, image, own: here, name } = work;
  await alone(calls, here, name, base.template);
  // Also when one was made before: its token gives back that one, and no description has to be believed.
  const own = await makeVersion(calls, errand.id, base, image).catch(harmless);
  return { base, own, lost: await start(work, own, leastHealthy(running.group.desired, unavailableOf(errand))) };
}

function harmless(error: unknown): never {
  throw error instanceof CallFailed ? new CallFailed(error.status, error.words, "none", error.request) : error;
}

/** Null, or the call whose answer was lost: that is looked up, it is never sent again. */
async function start({ calls, name }: Rolling, to: Version, least: number): Promise<CallFailed | null> {
  try {
    await startRefresh(calls, name, to, least);
    return null;
  } catch (error) {
    if (error instanceof Halted || !(error instanceof CallFailed) || error.effect === "none") throw error;
    return error;
  }
}

/** Looks at the refresh until it has ended, and at what runs then. */
async function followed(work: Rolling, begun: Begun, found: DeployState, goesBack: boolean): Promise<Executed> {
  const end = await awaitEnd(work, begun, goesBack);
  if (!("refresh" in end)) return stoppedAt(end, await changedSince(work, found));
  // AWS itself did not go back: one more refresh does, to what was there before.
  const { refresh, back } = end;
  if (refresh.status !== "Failed" || back) return outcomeOf(work, { ...begun, refresh, back }, found);
  const count = (await runningNow(work))?.group.desired ?? found.count;
  try {
    const lost = await start(work, begun.base, leastHealthy(count, unavailableOf(work.errand)));
    return await followed(work, { ...begun, lost }, found, true);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return failed("rollback-failed", await changedSince(work, found), `${refresh.reason}: ${error.words}`);
  }
}

type End =
  | { readonly refresh: Refresh; readonly back: boolean }
  | { readonly lost: CallFailed }
  /** Somebody else's refresh came after it; it cannot be rolled back; it still runs. */
  | { readonly failed: "concurrent" | "rollback-failed" | "deadline"; readonly words: string };

function stoppedAt(end: Exclude<End, { readonly refresh: Refresh }>, changed: readonly Changed[]): Executed {
  return "lost" in end ? unknown(end.lost.status, changed, end.lost.words) : failed(end.failed, changed, end.words);
}

/** One in which nothing moves any more is rolled back, and waited for. Throws CallFailed and Halted. */
async function awaitEnd(work: Rolling, { base, own, lost }: Begun, goesBack: boolean): Promise<End> {
  const { clock } = work.context.host;
  const began = clock.monotonic();
  let moved = { at: began, progress: "" };
  let undone = false;
  for (let wait = LOOK_FIRST_MS; !work.errand.signal.aborted; wait = Math.min(wait * 1.5, DEPLOY_LOOK_MAX_MS)) {
    const now = await lookedAt(work, own, base);
    const time = clock.monotonic();
    const ours = now !== "passing" && now !== null && "own" in now && (now.back || !goesBack) ? now : null;
    if (ours !== null && !isActive(ours.own)) return { refresh: ours.own, back: ours.back };
    if (ours === null && now !== "passing" && time - began >= SETTLES_WITHIN_MS)
      return lost === null ? { failed: "concurrent", words: "its refresh is not the newest any more" } : { lost };
    if (ours !== null && ours.own.progress !== moved.progress) moved = { at: time, progress: ours.own.progress };
    if (ours !== null && !undone && !ours.back && time - moved.at >= STUCK_AFTER_MS) {
      const refused = await undo(work);
      if (refused !== null) return { failed: "rollback-failed", words: refused.words };
      undone = true;
      moved = { at: time, progress: moved.progress };
    }
    await clock.sleep(wait, work.errand.signal);
  }
  return { failed: "deadline", words: "the refresh goes on by itself" };
}

async function lookedAt(work: Rolling, own: Version, base: Version): Promise<Current | "passing"> {
  try {
    return await current(work, [own], base);
  } catch (error) {
    if (error instanceof CallFailed && PASSING.has(error.status)) return "passing";
    throw error;
  }
}

/** Null: it was asked for, or may have been; what comes of it the refresh itself says. Throws Halted. */
async function undo({ calls, name }: Rolling): Promise<CallFailed | null> {
  try {
    await rollBack(calls, name);
    return null;
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return error.effect === "unknown" || error.status === "no-refresh" ? null : error;
  }
}
