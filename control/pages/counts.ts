import type { Store } from "../store.ts";

/** What this process of `serve` counts of itself, since it started. Held in memory, and lost with it: collectors know that of counters. */
export const BUCKETS_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 30] as const;
const ROUTES = new Set([
  ..."/v1/nonce /v1/enroll /v1/renew /v1/reports /v1/shared /v1/commands /v1/witness /metrics".split(" "),
]);

/** `buckets`: one for each of BUCKETS_SECONDS and one beyond, not added up. */
export type Histogram = { readonly buckets: number[]; sum: number; count: number };
export type Handler = { fetch(request: Request, ...more: never[]): Response | Promise<Response> };
export type Counts = {
  readonly since: number;
  /** By `LISTENER ROUTE STATUS`. */
  readonly requests: Map<string, number>;
  /** By `LISTENER ROUTE`. */
  readonly durations: Map<string, Histogram>;
  /** By outcome. */
  readonly transactions: Map<"committed" | "undone", number>;
  readonly transactionTimes: Histogram;
  /** Polls that are answered later. */
  held: number;
};

export function newCounts(): Counts {
  return {
    since: Date.now(),
    requests: new Map(),
    durations: new Map(),
    transactions: new Map(),
    transactionTimes: histogram(),
    held: 0,
  };
}

function histogram(): Histogram {
  return { buckets: new Array<number>(BUCKETS_SECONDS.length + 1).fill(0), sum: 0, count: 0 };
}

function observe(into: Histogram, milliseconds: number): void {
  const seconds = milliseconds / 1000;
  const found = BUCKETS_SECONDS.findIndex((most) => seconds <= most);
  const at = found < 0 ? BUCKETS_SECONDS.length : found;
  into.buckets[at] = (into.buckets[at] ?? 0) + 1;
  into.sum += seconds;
  into.count += 1;
}

/** The same handler, counted. What a caller asks for that is not there is one route. */
export function countingApp<App extends Handler>(app: App, listener: string, counts: Counts): Pick<App, "fetch"> {
  return {
    async fetch(request: Request, ...more: never[]) {
      const { pathname } = new URL(request.url);
      const route = ROUTES.has(pathname) ? pathname : listener === "pages" ? "page" : "other";
      const key = `${listener} ${route}`;
      const began = performance.now();
      const isPoll = pathname === "/v1/commands";
      if (isPoll) counts.held += 1;
      let status = "none";
      try {
        const response = await app.fetch(request, ...more);
        status = String(response.status);
        return response;
      } finally {
        if (isPoll) counts.held -= 1;
        counts.requests.set(`${key} ${status}`, (counts.requests.get(`${key} ${status}`) ?? 0) + 1);
        const durations = counts.durations.get(key) ?? histogram();
        counts.durations.set(key, durations);
        observe(durations, performance.now() - began);
      }
    },
  };
}

/** The same store, counted; the time a transaction waits for its turn is part of it. */
export function countingStore(store: Store, counts: Counts): Store {
  return {
    ...store,
    async transaction(work, about) {
      const began = performance.now();
      let outcome: "committed" | "undone" = "undone";
      try {
        const result = await store.transaction(work, about);
        outcome = "committed";
        return result;
      } finally {
        counts.transactions.set(outcome, (counts.transactions.get(outcome) ?? 0) + 1);
        observe(counts.transactionTimes, performance.now() - began);
      }
    },
  };
}
