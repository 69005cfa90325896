import { installCrypto } from "./crypto.ts";
import { people } from "./owner.ts";
import { planOf } from "./plan.ts";
import { vendorKeys } from "./plane.ts";
import { shrunk } from "./shrink.ts";
import { installClock } from "./time.ts";
import { type Ran, runWorld, type Shared, START } from "./world.ts";

/** One seed's world, as a worker tells it: a line of JSON. */
export type Told = Pick<Ran, "violations" | "steps" | "changes" | "lasted" | "awake"> & {
  readonly seed: number;
  /** Run twice, it went the same way; null: it was run once. */
  readonly same: boolean | null;
  /** Of a world in which an invariant did not hold: the shortest history found, a line each. */
  readonly history: readonly string[];
};
export type Wish = { readonly seed: number; readonly seeds: number; readonly step: number; readonly shrink: boolean };

/** So many worlds are run twice, to see that the seed decides all. */
const TWICE_EVERY = 32;
const HISTORY_LINES = 60;

/** Runs every `step`-th seed from `seed` on, `seeds` of them. Only one world runs at a time: it holds the process's clock. */
export async function work(wish: Wish, tell: (told: Told) => void): Promise<void> {
  const restore = installClock(() => START - 3_600_000);
  const keys = await vendorKeys();
  restore();
  const crypto = installCrypto();
  const shared = { keys, people: people(), crypto };
  try {
    for (let number = 0; number < wish.seeds; number++)
      tell(await one(wish.seed + number * wish.step, wish.shrink, number % TWICE_EVERY === 0, shared));
  } finally {
    crypto.restore();
    keys.remove();
  }
}

async function one(seed: number, shrink: boolean, twice: boolean, shared: Shared): Promise<Told> {
  const plan = planOf(seed);
  const ran = await runWorld(plan, shared);
  const same = twice ? (await runWorld(plan, shared)).digest === ran.digest : null;
  const { violations, steps, changes, lasted, awake } = ran;
  const history =
    violations.length === 0 ? [] : await historyOf(shrink ? await shrunk(plan, ran, shared) : { plan, ran });
  return { seed, violations, steps, changes, lasted, awake, same, history };
}

async function historyOf({
  plan,
  ran,
}: {
  readonly plan: { readonly happenings: readonly unknown[] };
  readonly ran: Ran;
}) {
  return [`${plan.happenings.length} happenings are left`, ...ran.trace.slice(-HISTORY_LINES)];
}

/** The whole trace of one world. */
export async function replay(seed: number): Promise<Ran> {
  const restore = installClock(() => START - 3_600_000);
  const keys = await vendorKeys();
  restore();
  const crypto = installCrypto();
  try {
    return await runWorld(planOf(seed), { keys, people: people(), crypto });
  } finally {
    crypto.restore();
    keys.remove();
  }
}
