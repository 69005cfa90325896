import type { News, Store } from "./store.ts";

/** What wakes held polls: something changed for their cluster, or the server stops. */
export type Wake = {
  /** To be taken before the look whose answer may be waited for: what comes between the two is not missed. */
  seen(cluster: string): number;
  /** Until there is something new since `seen`, `milliseconds` are over, or the caller has `gone`. */
  wait(milliseconds: number, gone: AbortSignal, cluster: string, seen: number): Promise<void>;
  readonly stopping: AbortSignal;
};

/** By the store's news, of whichever process. */
export async function watchStore(store: Store, stopping: AbortSignal): Promise<Wake> {
  const sleepers = new Map<string, Set<() => void>>();
  const counts = new Map<string, number>();
  let all = 0;
  const seen = (cluster: string): number => all + (counts.get(cluster) ?? 0);
  const wake = (some: Iterable<() => void> | undefined): void => {
    for (const sleeper of [...(some ?? [])]) sleeper();
  };
  const everybody = (): void => {
    all++;
    for (const some of [...sleepers.values()]) wake(some);
  };
  const end = await store.listen((news: News) => {
    if (news === "all") everybody();
    else if ("cluster" in news) {
      counts.set(news.cluster, (counts.get(news.cluster) ?? 0) + 1);
      wake(sleepers.get(news.cluster));
    }
  });
  stopping.addEventListener(
    "abort",
    () => {
      everybody();
      end();
    },
    { once: true },
  );
  return {
    stopping,
    seen,
    wait: (milliseconds, gone, cluster, before) =>
      new Promise((resolve) => {
        const own = sleepers.get(cluster) ?? new Set();
        const over = (): void => {
          clearTimeout(timer);
          own.delete(over);
          if (own.size === 0) sleepers.delete(cluster);
          gone.removeEventListener("abort", over);
          resolve();
        };
        const timer = setTimeout(over, milliseconds);
        own.add(over);
        sleepers.set(cluster, own);
        gone.addEventListener("abort", over, { once: true });
        if (stopping.aborted || gone.aborted || seen(cluster) !== before) over();
      }),
  };
}
