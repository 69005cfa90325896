import { type Chance, chance } from "./random.ts";

/**
 * What happens to a world, drawn from its seed before anything runs: so that a plan with some of it left out is a plan too. Times are
 * milliseconds from the world's beginning. `seed`: what the happening itself draws from.
 */
export const KINDS = [
  "send",
  "cancel",
  "replay",
  "hostile",
  "switch-off",
  "switch-on",
  "policy",
  "approve",
  "weather",
  "cut",
  "plane-down",
  "plane-restart",
  "state-fails",
  "kill",
  "power",
  "disk-fault",
  "disk-full",
  "cloud",
  "others",
  "clock",
  "restart",
  "freeze",
  "replace",
  "copy",
  "second",
] as const;
export type Kind = (typeof KINDS)[number];
export type Happening = { readonly at: number; readonly kind: Kind; readonly seed: number };
/** Between bursts the agent's machine stands still, as one that a hypervisor stopped: hours pass in a moment. */
export type Burst = { readonly from: number; readonly to: number };
export type Plan = {
  readonly seed: number;
  readonly bursts: readonly Burst[];
  readonly happenings: readonly Happening[];
  /** How old a segment becomes, and how long a closed one is kept. */
  readonly log: { readonly segmentAge: string; readonly retention: "400d" | "8d" };
};

/** How often each kind happens in a burst, where a world has it at all. */
const OFTEN: Readonly<Record<Kind, number>> = {
  send: 7,
  cancel: 0.3,
  replay: 0.4,
  hostile: 0.5,
  "switch-off": 0.6,
  "switch-on": 0.1,
  policy: 0.5,
  approve: 2.5,
  weather: 0.4,
  cut: 0.3,
  "plane-down": 0.2,
  "plane-restart": 0.2,
  "state-fails": 0.2,
  kill: 0.4,
  power: 0.3,
  "disk-fault": 0.6,
  "disk-full": 0.15,
  cloud: 0.8,
  others: 0.3,
  clock: 0.1,
  restart: 0.15,
  freeze: 0.2,
  replace: 0.15,
  copy: 0.1,
  second: 0.15,
};
/** Without these nothing would be looked at. */
const ALWAYS: readonly Kind[] = ["send", "switch-on"];
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** One world in so many is as large as the code allows; the others are small, so that a minute holds hundreds of them. */
const LARGE_EVERY = 40;
/** Kinds of fault beside ALWAYS that a small world has, and how often each happens in one of its bursts at least. */
const SMALL_KINDS = { from: 2, to: 6 };
const SMALL_OFTEN = 0.5;

/**
 * Each world has a part of the kinds only (swarm testing): what one fault hides from another comes to light in the worlds without it. A large
 * world has about half of them, a small one a handful.
 */
export function planOf(seed: number): Plan {
  const draw = chance(seed).fork("plan");
  const large = draw.int(1, LARGE_EVERY) === 1;
  const kinds = large ? KINDS.filter((kind) => ALWAYS.includes(kind) || draw.odds(0.5)) : handful(draw);
  const bursts: Burst[] = [];
  const happenings: Happening[] = [];
  let now = 0;
  for (let number = large ? draw.int(4, 9) : draw.int(1, 2); number > 0; number--) {
    const length = (large ? draw.int(40, 200) : draw.int(8, 40)) * 1000;
    bursts.push({ from: now, to: now + length });
    for (const kind of kinds)
      for (let count = countOf(oftenOf(kind, large), draw); count > 0; count--)
        happenings.push({ at: now + draw.int(0, length), kind, seed: draw.int(0, 2 ** 31) });
    now += length + hopOf(draw);
  }
  // Half of the worlds sleep once more: what was under way wakes up to faults that have stopped, or do so soon.
  if (draw.odds(0.5)) bursts.push({ from: now, to: now + draw.int(5, 40) * 1000 });
  happenings.sort((one, other) => one.at - other.at);
  return {
    seed,
    bursts,
    happenings,
    log: { segmentAge: draw.pick(["1h", "1h", "5h", "7d"]), retention: draw.pick(["400d", "400d", "8d"]) },
  };
}

function handful(draw: Chance): readonly Kind[] {
  const rest = KINDS.filter((kind) => !ALWAYS.includes(kind));
  const drawn = new Set<Kind>(ALWAYS);
  for (let count = draw.int(SMALL_KINDS.from, SMALL_KINDS.to); count > 0; count--) drawn.add(draw.pick(rest));
  return KINDS.filter((kind) => drawn.has(kind));
}

function oftenOf(kind: Kind, large: boolean): number {
  if (large) return OFTEN[kind];
  return kind === "send" ? OFTEN[kind] / 2 : Math.max(OFTEN[kind], SMALL_OFTEN);
}

function hopOf(draw: Chance): number {
  const roll = draw.int(0, 9);
  if (roll < 3) return draw.int(1, 30) * MINUTE;
  if (roll < 4) return draw.int(30, 180) * MINUTE;
  if (roll < 6) return draw.int(4, 30) * HOUR;
  // An identity outlives its certificate by the grace of seven days; longer than that, and the machine has to join anew.
  return roll < 9 ? draw.int(24, 140) * HOUR : draw.int(8, 60) * DAY;
}

/** A whole number whose mean is `mean`. */
function countOf(mean: number, draw: Chance): number {
  let count = 0;
  for (let left = mean * 2; left > 0; left--) if (draw.odds(Math.min(1, left) * 0.5)) count++;
  return count;
}
