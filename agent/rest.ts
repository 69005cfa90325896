import { REST_AFTER_SECONDS, REST_AGAIN_SECONDS } from "./limits.ts";

/**
 * Memory is given back to the machine once nothing has happened for a while: starting and each command leave more behind than the runtime
 * returns by itself. `done`: how much was done so far (entries of the log); null: something is being done. `now`: monotonic milliseconds.
 */
export function resting(giveBack: () => void): (done: number | null, now: number) => void {
  let seen: number | null = null;
  let next = 0;
  return (done, now) => {
    if (done === null || done !== seen) {
      seen = done;
      next = now + REST_AFTER_SECONDS * 1000;
    } else if (now >= next) {
      next = now + REST_AGAIN_SECONDS * 1000;
      giveBack();
    }
  };
}
