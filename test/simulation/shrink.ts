import type { Happening, Plan } from "./plan.ts";
import { type Ran, runWorld, type Shared } from "./world.ts";

/** Worlds that are tried for a shorter history. */
const MAX_TRIES = 80;

/** The same violation with as few happenings as a few tries find: halves are left out, then quarters, then single ones. */
export async function shrunk(
  plan: Plan,
  failed: Ran,
  shared: Shared,
): Promise<{ readonly plan: Plan; readonly ran: Ran }> {
  const invariant = failed.violations[0]?.invariant;
  let best = { plan, ran: failed };
  let tries = 0;
  for (
    let size = Math.ceil(plan.happenings.length / 2);
    size >= 1 && tries < MAX_TRIES;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < best.plan.happenings.length && tries < MAX_TRIES; tries++) {
      const happenings = without(best.plan.happenings, from, size);
      const shorter = { ...plan, happenings };
      const ran = await runWorld(shorter, shared);
      if (ran.violations[0]?.invariant === invariant) best = { plan: shorter, ran };
      else from += size;
    }
  }
  return best;
}

function without(all: readonly Happening[], from: number, count: number): readonly Happening[] {
  return [...all.slice(0, from), ...all.slice(from + count)];
}
