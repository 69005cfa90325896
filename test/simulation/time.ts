/**
 * One queue of everything that is to happen, by virtual time and then in the order in which it was asked for. Between two happenings all
 * that follows from the first has been done: promises have settled, and each cryptographic operation has been delivered in its turn.
 */
export type Timer = { cancel(): void };
export type Time = {
  /** Milliseconds since 1970. */
  now(): number;
  after(milliseconds: number, act: () => void): Timer;
  /** Runs what is due up to then; the clock is at `until` afterwards. */
  run(until: number): Promise<void>;
  /** Does all that follows from what was just done. */
  settle(): Promise<void>;
  /** Happenings so far. */
  readonly steps: number;
};

type Due = { readonly at: number; readonly order: number; act: (() => void) | null };

/** What `settle` waits for beside promises: see crypto.ts. Delivers one thing; false when there is none. */
export type Pending = { deliver(): Promise<boolean> };

/** `each`: called after each happening, when it has settled. */
export function virtualTime(start: number, pending: Pending, each: () => void): Time {
  const heap: Due[] = [];
  let now = start;
  let order = 0;
  let steps = 0;
  const before = (one: Due, other: Due): boolean =>
    one.at < other.at || (one.at === other.at && one.order < other.order);

  function push(due: Due): void {
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(due, heap[parent] as Due)) break;
      heap[at] = heap[parent] as Due;
      at = parent;
    }
    heap[at] = due;
  }

  function pop(): Due {
    const first = heap[0] as Due;
    const last = heap.pop() as Due;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1] as Due, heap[child] as Due)) child++;
        if (!before(heap[child] as Due, last)) break;
        heap[at] = heap[child] as Due;
        at = child;
      }
      heap[at] = last;
    }
    return first;
  }

  async function settle(): Promise<void> {
    do await hop();
    while (await pending.deliver());
  }

  return {
    now: () => now,
    get steps() {
      return steps;
    },
    after(milliseconds, act) {
      const due: Due = { at: now + Math.max(0, Math.ceil(milliseconds)), order: order++, act };
      push(due);
      return {
        cancel() {
          due.act = null;
        },
      };
    },
    settle,
    async run(until) {
      for (let next = heap[0]; next !== undefined && next.at <= until; next = heap[0]) {
        pop();
        if (next.act === null) continue;
        now = Math.max(now, next.at);
        steps++;
        next.act();
        await settle();
        each();
      }
      now = Math.max(now, until);
    },
  };
}

/** Every promise that can go on has gone on when the next macrotask comes. */
function hop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const RealDate = Date;

/** From now on `Date`, `performance.now` and `AbortSignal.timeout` of this process are those of `clock`. Gives the way back. */
export function installClock(clock: () => number): () => void {
  const timeout = AbortSignal.timeout;
  const monotonic = performance.now;
  performance.now = () => clock() - 1_000_000_000_000;
  class VirtualDate extends RealDate {
    constructor(...words: readonly unknown[]) {
      if (words.length === 0) super(clock());
      else super(...(words as [number]));
    }
    static override now(): number {
      return Math.floor(clock());
    }
  }
  globalThis.Date = VirtualDate as DateConstructor;
  // Of the control plane alone, against a body that comes too slowly: here bodies come whole.
  AbortSignal.timeout = () => new AbortController().signal;
  return () => {
    globalThis.Date = RealDate;
    AbortSignal.timeout = timeout;
    performance.now = monotonic;
  };
}
