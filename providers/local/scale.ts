import type { ScaleArgs } from "../../policy/asked.ts";
import { byState, failed, stoppedBy, succeeded, unknown } from "../outcome.ts";
import type { ActionProvider, Changed, Executed, ScaleState } from "../provider.ts";
import { CallFailed } from "../provider.ts";
import { SHARES_USER, sharesUser } from "./launch.ts";
import {
  firstIll,
  list,
  MAX_GROUP_PROCESSES,
  PROCESS_OPERATIONS,
  type Premises,
  processPlaces,
  settled,
  settleMs,
  startOne,
  stopOne,
  type Work,
  workFor,
} from "./slots.ts";

/** A group is processes on this machine: of the config's command, or of the image that was deployed last. */
export function localScale(at: Premises): ActionProvider<ScaleArgs, ScaleState> {
  return {
    operations: PROCESS_OPERATIONS,
    places: ({ group }) => processPlaces(at, group),
    async describe(gate, { group }, errand) {
      const work = workFor(at, group, gate, errand);
      if (work === null) return { missing: `the config has no group ${group}` };
      try {
        return { state: { count: (await list(work)).live.length } };
      } catch (error) {
        if (error instanceof CallFailed) return { unreadable: error.status };
        throw error;
      }
    },
    async execute(gate, { group, count }, found, errand) {
      const work = workFor(at, group, gate, errand);
      return work === null ? failed("missing") : scaleTo(work, count, found.count);
    },
    async reconcile(gate, { group, count }, found, errand) {
      const work = workFor(at, group, gate, errand);
      if (work === null) return byState(failed("missing"));
      const { live } = await settled(work);
      const changed = countChange(found.count, live.length);
      if (live.length !== count) return byState(failed("interrupted", changed));
      const ill = await firstIll(work, live, settleMs(work));
      return byState(ill === null ? succeeded(changed) : failed(ill, changed));
    },
  };
}

function countChange(from: number, to: number): Changed[] {
  return from === to ? [] : [{ what: "count", from: String(from), to: String(to) }];
}

async function scaleTo(work: Work, count: number, found: number): Promise<Executed> {
  if (count > MAX_GROUP_PROCESSES)
    return failed("too-many", [], `one machine runs at most ${MAX_GROUP_PROCESSES} of a group`);
  const words = sharesUser(work.group.user) ? SHARES_USER : null;
  let listed = await list(work);
  // The policy judged another count: what it permitted from there it may not permit from here.
  if (listed.live.length !== found)
    return failed("concurrent", [], `found ${listed.live.length} now, ${found} when it was judged`);
  let ended: Executed | null = null;
  try {
    while (listed.live.length < count) listed = await startOne(work, listed, listed.image);
    for (let last = listed.live.at(-1); last !== undefined && listed.live.length > count; last = listed.live.at(-1))
      // The one with the highest number goes.
      listed = await stopOne(work, listed, last);
    const ill = await firstIll(work, listed.live, settleMs(work));
    if (ill !== null) ended = failed(ill);
  } catch (error) {
    ended = stoppedBy(error);
  }
  try {
    // Whatever a call's end left open: how many there are now can be seen.
    listed = await list(work);
  } catch (error) {
    return unknown(stoppedBy(error).code ?? "unread", [], ended?.words ?? words);
  }
  const now = listed.live.length;
  const changed = countChange(found, now);
  if (ended !== null) return { ...ended, result: "failed", changed, words: ended.words ?? words };
  // One of them ended while the others were looked at.
  return now === count ? succeeded(changed, { words }) : failed("exited", changed, words);
}

/** The groups that a process with this environment runs in: what was started for a group knows its name. */
export function groupsOf(env: Readonly<Record<string, string | undefined>>): string[] {
  const name = env["REEVE_GROUP"];
  return name === undefined ? [] : [name];
}
