/**
 * A rollout's own time, in milliseconds. Each driver adds what its own steady clock says has passed since it last looked, at most `stepMs`, to
 * what it read then; the store keeps the largest. So it runs only while somebody looks, no clock that is set moves it, and several drivers do
 * not make it run faster. What is read of it may be behind by `stepMs`, when another driver is about to look.
 */
export type OwnTime = { advance(rollout: number, kept: number): number };

/** `steady`: milliseconds of a clock that never goes back. */
export function ownTime(steady: () => number, stepMs: number): OwnTime {
  const seen = new Map<number, { readonly kept: number; readonly at: number }>();
  return {
    advance(rollout, kept) {
      const at = steady();
      const last = seen.get(rollout);
      const passed = last === undefined ? 0 : Math.min(Math.floor(at - last.at), stepMs);
      const now = Math.max(kept, (last?.kept ?? 0) + passed);
      seen.set(rollout, { kept: now, at });
      return now;
    },
  };
}
