import { type Chance, chance } from "../random.ts";

/** What a world of rollouts is, and what happens in it: all of it by its seed. Durations in milliseconds, times since the world's start. */
export type Temper = {
  /** Odds of what becomes of a command. */
  readonly refuses: number;
  readonly waits: number;
  readonly fails: number;
  readonly unknown: number;
  /** Odds that a cluster falls silent, for a long while, once it has said that it succeeded. */
  readonly silences: number;
  /** Longest time that one takes. */
  readonly slowest: number;
};
export type Happening = { readonly at: number } & (
  | { readonly what: "pause" | "resume" | "abort" | "rollback" | "start" }
  | { readonly what: "suspend" | "refuse" | "ready" | "rejoin" | "fail"; readonly cluster: number }
  | { readonly what: "silence"; readonly cluster: number; readonly lasts: number }
  | { readonly what: "clock"; readonly by: number }
  | { readonly what: "no-driver"; readonly lasts: number }
);
export type Plan = {
  readonly seed: number;
  readonly clusters: number;
  readonly neverStarted: number;
  readonly lanes: readonly number[];
  readonly canaries: number;
  readonly soakMs: number;
  readonly waitMs: number;
  readonly maxFailed: string;
  readonly drivers: number;
  /** Odds that a driver dies at one transaction. */
  readonly dies: number;
  readonly temper: Temper;
  readonly happenings: readonly Happening[];
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** After that nothing happens any more but what follows from it. */
const EVENTFUL_MS = 6 * HOUR;

export function planOf(seed: number): Plan {
  const draw = chance(seed).fork("rollouts");
  const clusters = draw.odds(0.03) ? 240 : draw.pick([5, 9, 16, 30, 48]);
  const calm = draw.odds(0.3);
  const temper = {
    refuses: calm ? 0 : draw.pick([0, 0.02, 0.2]),
    waits: draw.pick([0, 0, 0.1, 0.5]),
    fails: calm ? 0 : draw.pick([0, 0.01, 0.05]),
    unknown: calm ? 0 : draw.pick([0, 0.01]),
    silences: calm ? 0 : draw.fork("silences").pick([0, 0, 0.02, 0.2]),
    slowest: draw.pick([20_000, 5 * MINUTE, 2 * HOUR]),
  };
  const happenings = Array.from({ length: draw.int(0, 30) }, () => happening(draw, clusters));
  return {
    seed,
    clusters,
    neverStarted: draw.odds(0.3) ? draw.int(1, 2) : 0,
    lanes: draw.pick([
      [10, 25, 50, 100],
      [10, 25, 50, 100],
      [20, 100],
      [1, 5, 100],
      [50, 100],
    ]),
    canaries: draw.pick([0, 0, 1, 2]),
    soakMs: draw.pick([MINUTE, 5 * MINUTE, 20 * MINUTE]),
    waitMs: draw.pick([5 * MINUTE, 20 * MINUTE, HOUR]),
    maxFailed: draw.pick(["0", "0", "1", "10%", "40%"]),
    drivers: draw.pick([1, 1, 2, 3]),
    dies: draw.pick([0, 0.01, 0.05]),
    temper,
    happenings: happenings.sort((one, other) => one.at - other.at),
  };
}

function happening(draw: Chance, clusters: number): Happening {
  const at = draw.int(0, EVENTFUL_MS);
  const cluster = draw.int(0, clusters - 1);
  const lasts = draw.int(MINUTE, 2 * HOUR);
  const kind = draw.unit();
  if (kind < 0.2) return { at, what: "silence", cluster, lasts };
  if (kind < 0.4) return { at, what: draw.pick(["suspend", "ready", "ready", "refuse"]), cluster };
  if (kind < 0.5) return { at, what: "rejoin", cluster };
  if (kind < 0.56) return { at, what: "fail", cluster };
  if (kind < 0.66) return { at, what: "clock", by: draw.int(-2 * HOUR, 2 * HOUR) };
  if (kind < 0.72) return { at, what: "no-driver", lasts };
  if (kind < 0.8) return { at, what: "start" };
  return { at, what: draw.pick(["pause", "pause", "resume", "resume", "abort", "rollback"]) };
}
