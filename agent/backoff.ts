import type { Random } from "./host/host.ts";
import { BACKOFF_MAX_SECONDS, BACKOFF_MIN_SECONDS } from "./limits.ts";

/** Doubling waits with full jitter of the upper half, in milliseconds. `reset` after something worked. */
export function backoff(random: Random): { next(): number; reset(): void } {
  let seconds = BACKOFF_MIN_SECONDS;
  return {
    next() {
      const [byte = 0] = random.bytes(1);
      const wait = seconds * 1000 * (0.5 + byte / 510);
      seconds = Math.min(seconds * 2, BACKOFF_MAX_SECONDS);
      return wait;
    },
    reset() {
      seconds = BACKOFF_MIN_SECONDS;
    },
  };
}
