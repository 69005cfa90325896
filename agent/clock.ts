import type { Clock } from "./host/host.ts";
import { CLOCK_JUMP_MAX_SECONDS } from "./limits.ts";

export type ClockWatch = {
  /** Whether the machine's clock and the monotonic one still agree. `changed`: the seconds of a jump, or of its return, that was not told yet. */
  look(): { readonly agrees: boolean; readonly jumped: number; readonly changed: boolean };
  /** The same, for one command: it does not use up `changed`. */
  agrees(): boolean;
  /** The owner said resume: from now on this clock is the right one. */
  accept(): void;
};

/** DESIGN section 3, Time: nothing received sets the clock; a jump against the monotonic clock refuses commands until they agree again. */
export function watchClock(clock: Clock): ClockWatch {
  let offset = clock.now() - clock.monotonic();
  let agreed = true;
  const jump = (): number => Math.round((clock.now() - clock.monotonic() - offset) / 1000);
  return {
    agrees: () => Math.abs(jump()) <= CLOCK_JUMP_MAX_SECONDS,
    look() {
      const jumped = jump();
      const agrees = Math.abs(jumped) <= CLOCK_JUMP_MAX_SECONDS;
      const changed = agrees !== agreed;
      agreed = agrees;
      return { agrees, jumped, changed };
    },
    accept() {
      offset = clock.now() - clock.monotonic();
    },
  };
}
