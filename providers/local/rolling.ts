import { CallFailed, Halted } from "../provider.ts";
import { answer, diskFailure, place } from "./call.ts";
import type { LiveSlot } from "./group.ts";
import { imageOf, type Known } from "./runs.ts";
import { firstIll, type Listed, PROC, settled, settleMs, startOne, stopOne, unwell, type Work } from "./slots.ts";

/** How long a started program may take until the kernel shows it: its wrappers become it by exec. */
const SHOWN_WITHIN_MS = 60_000;
const SHOWN_PAUSE_MS = 50;

/** One deploy's dealings with a group: how many machines it has, and how many may be out of service at once. */
export type Deploy = {
  readonly work: Work;
  readonly count: number;
  readonly unavailable: number;
  /** Programs that were read already. */
  readonly known: Known;
  /** Processes, by what marks their start, that stayed up as long as they must. */
  readonly steady: Set<string>;
};

/** What a process really runs: the digest of its program, and what it was started from. */
export type Running = { readonly slot: LiveSlot; readonly image: string };

/** What every process of the group runs now, by the kernel's word. One that ends meanwhile is left out. */
export function running(
  { work, known }: Pick<Deploy, "work" | "known">,
  live: readonly LiveSlot[],
): Promise<Running[]> {
  return work.gate.call("local.process.image", work.name, async (leave) => {
    leave(place(PROC, "read"), "writing");
    const found: Running[] = [];
    for (const slot of live) {
      const image = await imageOf(slot.process, known);
      if (image !== null) found.push({ slot, image });
    }
    return answer(found);
  });
}

/**
 * Takes every process of the group to `image` (null: the config's own command), at most `unavailable` at a time; one that is missing or ill
 * goes first, so that while there are such no healthy one is touched. It goes by what it finds alone, so that it can begin anywhere: after
 * a crash, in the middle of another deploy; but what it started itself it does not start twice. Null when all run it and are well, else
 * why not. Throws Halted.
 */
export async function takeTo(deploy: Deploy, image: string | null): Promise<string | null> {
  const { work, count, unavailable } = deploy;
  const started = new Set<string>();
  try {
    for (;;) {
      const { live, ...more } = await settled(work);
      const runs = await running(deploy, live);
      const listed = { ...more, live: runs.map(({ slot }) => slot) };
      const alive = spawnsOf(listed);
      // However fast it ends: to start it again and again would be no deploy.
      if (!started.isSubsetOf(alive)) return "exited";
      const others = runs.filter((one) => !isFit(work, one, image)).map(({ slot }) => slot);
      const ill = await notSteady(
        deploy,
        listed.live.filter((slot) => !others.includes(slot)),
        image,
      );
      if (ill !== null) return ill;
      const missing = count - listed.live.length;
      if (missing < 0) return "concurrent";
      if (missing <= 0 && others.length === 0) return null;
      const now =
        missing > 0
          ? await fill(work, listed, image, Math.min(missing, unavailable))
          : await replace(work, listed, image, await next(deploy, others));
      for (const spawn of spawnsOf(now).difference(alive)) started.add(spawn);
    }
  } catch (error) {
    if (error instanceof CallFailed) return error.status;
    throw error;
  }
}

function spawnsOf({ live }: Listed): Set<string> {
  return new Set(live.map(({ spawn }) => spawn));
}

/** One that this deploy started is its own from the start on: whether the kernel shows the right program is waited for. */
function isFit({ errand }: Work, { slot, image: runs }: Running, image: string | null): boolean {
  if (image === null) return slot.image === null;
  return runs === image || (slot.image === image && slot.command === errand.id);
}

/** Null when each runs the image, is well, and was so for long enough. */
async function notSteady(deploy: Deploy, slots: readonly LiveSlot[], image: string | null): Promise<string | null> {
  const { work, steady } = deploy;
  const fresh = slots.filter(({ spawn }) => !steady.has(spawn));
  const ill =
    (await firstIll(
      work,
      slots.filter(({ spawn }) => steady.has(spawn)),
      0,
    )) ??
    (await notShown(deploy, fresh, image)) ??
    (await firstIll(work, fresh, Math.max(work.group.ready_seconds * 1000, settleMs(work)))) ??
    (await notShown(deploy, fresh, image));
  // Whoever ends the wait is asked for the reason by the next change; nothing is taken back because of it.
  if (ill !== null && work.errand.signal.aborted) throw new Halted("deadline");
  if (ill === null) for (const { spawn } of fresh) steady.add(spawn);
  return ill;
}

/** Null as soon as the kernel shows the image's program in each. */
async function notShown(deploy: Deploy, slots: readonly LiveSlot[], image: string | null): Promise<string | null> {
  const { work } = deploy;
  if (image === null) return null;
  const until = work.host.clock.monotonic() + SHOWN_WITHIN_MS;
  for (;;) {
    const runs = await running(deploy, slots);
    if (runs.length < slots.length) return "exited";
    if (runs.every((one) => one.image === image)) return null;
    if (work.errand.signal.aborted) return "deadline";
    if (work.host.clock.monotonic() > until) return "other-program";
    await work.host.clock.sleep(SHOWN_PAUSE_MS);
  }
}

/** Those that are ill already, else healthy ones: as many as may be out of service at once. */
async function next({ work, unavailable }: Deploy, others: readonly LiveSlot[]): Promise<readonly LiveSlot[]> {
  const ill = await unwell(work, others);
  return (ill.length > 0 ? ill : others).slice(0, unavailable);
}

/** Starts what is not there: an interrupted deploy stopped it, or it ended by itself. */
async function fill(work: Work, listed: Listed, image: string | null, count: number): Promise<Listed> {
  let now = listed;
  for (let started = 0; started < count; started++) now = await startOne(work, now, image);
  return now;
}

async function replace(work: Work, listed: Listed, image: string | null, slots: readonly LiveSlot[]): Promise<Listed> {
  let now = listed;
  for (const slot of slots) {
    now = await stopOne(work, now, slot);
    // If we stop here one is missing, which the next look sees.
    now = await startOne(work, now, image, slot.n);
  }
  return now;
}

/** Writes down what new processes of the group are started from, and that a deploy goes back to it. */
export function writeDown(work: Work, said: Pick<Listed, "image" | "back">): Promise<void> {
  return work.gate.call("local.group.image", work.name, async (leave) => {
    try {
      const { slots } = work.book.read();
      leave(place(work.state, "write"), "writing");
      work.book.write({ slots, ...said });
      return answer(undefined);
    } catch (error) {
      throw diskFailure(error, "unknown");
    }
  });
}
