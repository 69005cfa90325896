import { testWords } from "../words.ts";

/**
 * Which of the points a run looks at: all with `--all`; else every n-th, always the same ones, and as many again by a seed, which is
 * printed and can be given again (`--seed N`).
 */
export function sample<T>(points: readonly T[], most: number): T[] {
  if (testWords.all || points.length <= most) {
    console.log(`      all ${points.length} points`);
    return [...points];
  }
  const seed = testWords.seed ?? Math.floor(Math.random() * 2 ** 31);
  const next = numbers(seed);
  const fixed = Math.floor(most / 2);
  const chosen = new Set(Array.from({ length: fixed }, (_, at) => Math.floor((at * points.length) / fixed)));
  while (chosen.size < most) chosen.add(Math.floor(next() * points.length));
  console.log(`      ${chosen.size} of ${points.length} points; --all takes each; the same again: --seed ${seed}`);
  return points.filter((_, at) => chosen.has(at));
}

/** Numbers from 0 up to 1 that a seed decides: mulberry32. */
export function numbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
