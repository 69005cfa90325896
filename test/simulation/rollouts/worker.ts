import { installCrypto } from "../crypto.ts";
import type { Told, Wish } from "../worker.ts";
import type { Ran } from "../world.ts";
import { planOf } from "./plan.ts";
import { newSigner, runRollouts } from "./world.ts";

const TWICE_EVERY = 16;
const HISTORY_LINES = 60;

/** As worker.ts: every `step`-th seed from `seed` on, of rollouts. */
export async function workRollouts(wish: Wish, tell: (told: Told) => void): Promise<void> {
  await held(async (run) => {
    for (let number = 0; number < wish.seeds; number++) {
      const seed = wish.seed + number * wish.step;
      const ran = await run(seed);
      const same = number % TWICE_EVERY === 0 ? (await run(seed)).digest === ran.digest : null;
      const { violations, steps, changes, lasted, awake } = ran;
      const history = violations.length === 0 ? [] : ran.trace.slice(-HISTORY_LINES);
      tell({ seed, violations, steps, changes, lasted, awake, same, history });
    }
  });
}

export async function replayRollouts(seed: number): Promise<Ran> {
  let ran: Ran | null = null;
  await held(async (run) => {
    ran = await run(seed);
  });
  if (ran === null) throw new Error("it did not run");
  return ran;
}

async function held(work: (run: (seed: number) => Promise<Ran>) => Promise<void>): Promise<void> {
  const signers = { command: newSigner("cmd-sim"), release: newSigner("release-sim") };
  const crypto = installCrypto();
  try {
    await work((seed) => runRollouts(planOf(seed), signers, crypto));
  } finally {
    crypto.restore();
  }
}
