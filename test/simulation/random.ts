import type { Random } from "../../agent/host/host.ts";

/** Chance out of one seed. `fork` gives a stream of its own by name, so that what one part draws never moves what another draws. */
export type Chance = {
  /** 0 ≤ x < 1. */
  unit(): number;
  /** Whole, from `from` to `to`, both included. */
  int(from: number, to: number): number;
  /** True once in `one / probability`. */
  odds(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  fork(name: string): Chance;
};

/** FNV-1a over UTF-16 code units: a seed for a name. */
function hashed(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** sfc32 (PractRand): 128 bits of state, fast, and the same everywhere. */
export function chance(seed: number): Chance {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, seed | 0, 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next();
  const self: Chance = {
    unit: () => next() / 2 ** 32,
    int: (from, to) => from + Math.floor(self.unit() * (to - from + 1)),
    odds: (probability) => self.unit() < probability,
    pick(from) {
      if (from.length === 0) throw new Error("nothing to pick from");
      return from[self.int(0, from.length - 1)] as (typeof from)[number];
    },
    fork: (name) => chance(hashed(seed, name)),
  };
  return self;
}

/** So many bytes are filler (the log's reserve), and drawing each would cost more than all the rest. */
const FILLER_BYTES = 4096;

/** What a process draws. `now`: milliseconds, for UUIDv7 (RFC 9562). */
export function randomOf(draw: Chance, now: () => number): Random {
  const bytes = (count: number): Uint8Array => {
    const made = new Uint8Array(count);
    for (let at = 0; at < Math.min(count, FILLER_BYTES); at++) made[at] = draw.int(0, 255);
    return made;
  };
  return {
    bytes,
    uuidv7() {
      const hex = Buffer.from(bytes(10)).toString("hex");
      const time = Math.floor(now()).toString(16).padStart(12, "0");
      return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-8${hex.slice(3, 6)}-${hex.slice(6, 18)}`;
    },
  };
}
