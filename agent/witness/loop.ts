import { timeText } from "../audit/time.ts";
import { backoff } from "../backoff.ts";
import type { Host } from "../host/host.ts";
import { WITNESS_RETRY_MAX_SECONDS } from "../limits.ts";

/** What is to be done again and again: bring something up to the newest head. */
export type Step = {
  /** Whether there is nothing to do. */
  done(): boolean;
  /** Null when it went well; else why not, in a few words. */
  attempt(): Promise<string | null>;
  /** Between two that went well, so that what came meanwhile goes together. */
  readonly pauseMs: number;
};
export type Failing = { readonly since: string; readonly reason: string };
export type Loop = {
  run(): Promise<void>;
  /** There may be something to do. */
  wake(): void;
  /** Null while it goes well. Since when, RFC 3339. */
  failing(): Failing | null;
  /** Resolves when there is nothing to do, or an attempt has failed and no other is under way. */
  settled(): Promise<void>;
};

/** Does a step whenever there is something to do; after a failure again, with growing pauses. */
export function loop(host: Pick<Host, "clock" | "random">, stop: AbortSignal, step: Step): Loop {
  let failing: Failing | null = null;
  let wakeUp = (): void => undefined;
  let waiting: (() => void)[] = [];
  const release = (): void => {
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  };
  const pause = (ms: number): Promise<void> => host.clock.sleep(ms, stop);
  const wait = backoff(host.random);

  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        stop.removeEventListener("abort", end);
        resolve();
      };
      wakeUp = end;
      stop.addEventListener("abort", end, { once: true });
    });

  return {
    async run() {
      while (!stop.aborted) {
        if (step.done()) {
          release();
          await woken();
          continue;
        }
        const why = await step.attempt();
        if (why === null) {
          failing = null;
          wait.reset();
          if (step.done()) release();
          await pause(step.pauseMs);
          continue;
        }
        failing = { since: failing?.since ?? timeText(host.clock.now()), reason: why };
        release();
        await pause(Math.min(wait.next(), WITNESS_RETRY_MAX_SECONDS * 1000));
      }
      release();
    },
    wake: () => wakeUp(),
    failing: () => failing,
    settled: () =>
      stop.aborted || failing !== null || step.done()
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push(resolve)),
  };
}
