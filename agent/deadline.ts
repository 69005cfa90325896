import type { Clock } from "./host/host.ts";

/** Aborts `signal` after `seconds`. `end` must be called: it frees the timer, and from then on nothing is aborted. */
export function deadlineIn(clock: Clock, seconds: number): { readonly signal: AbortSignal; end(): void } {
  const [late, ended] = [new AbortController(), new AbortController()];
  void clock.sleep(seconds * 1000, ended.signal).then(() => {
    if (!ended.signal.aborted) late.abort();
  });
  return { signal: late.signal, end: () => ended.abort() };
}

/** What `act` gives. Its signal is aborted after `seconds`, and when `stop` is: it has to end by itself then. */
export async function within<T>(
  clock: Clock,
  seconds: number,
  act: (signal: AbortSignal) => Promise<T>,
  stop?: AbortSignal,
): Promise<T> {
  const deadline = deadlineIn(clock, seconds);
  try {
    return await act(stop === undefined ? deadline.signal : AbortSignal.any([stop, deadline.signal]));
  } finally {
    deadline.end();
  }
}
