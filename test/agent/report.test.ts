import { expect, test } from "bun:test";
import type { Log } from "../../agent/audit/log.ts";
import { realHost } from "../../agent/host/real.ts";
import { INTENT_HEARD_SECONDS } from "../../agent/limits.ts";
import { type Contact, type Post, reporter } from "../../agent/poll.ts";

test("after a silence what is on record is handed in as soon as the control plane answers anything, not when a pause ends", async () => {
  const log = { size: 3, lines: () => ["{}"], checkpoint: () => "" } as unknown as Log;
  const stop = new AbortController();
  const pauses: number[] = [];
  let answers = 0;
  const post: Post = async () => (answers++ < 3 ? { unreachable: "refused" } : { ok: { next: 3 } as never });
  const host = realHost();
  const nothing = (): void => undefined;
  const to: Contact = {
    host: {
      ...host,
      clock: {
        ...host.clock,
        // Pauses of this agent end by nothing but what is told to it.
        sleep(milliseconds, signal) {
          if (milliseconds !== INTENT_HEARD_SECONDS * 1000) pauses.push(milliseconds);
          return new Promise((resolve) => signal?.addEventListener("abort", () => resolve()));
        },
      },
    },
    log,
    post,
    say: nothing,
    stop: stop.signal,
    handedIn: nothing,
    reporting: nothing,
    contact: nothing,
    end: nothing,
  };
  const handing = reporter(to);
  const run = handing.run();
  for (let tries = 1; tries <= 3; tries++) {
    while (pauses.length < tries) await Bun.sleep(1);
    const held = handing.holds(2);
    handing.reached();
    if (tries === 3) expect(await held).toBeNull();
  }
  expect(answers).toBe(4);
  // Each silence begins with a short pause again.
  expect(pauses.every((one) => one <= 2000)).toBe(true);
  stop.abort();
  await run;
});

test("a start is no pause: what was written at it is handed in right after it was asked what the control plane has", async () => {
  const log = { size: 7, lines: () => ["{}"], checkpoint: () => "" } as unknown as Log;
  const stop = new AbortController();
  const froms: number[] = [];
  const post: Post = async (_path, body) => {
    const { from } = (typeof body === "function" ? body() : body) as { readonly from: number };
    froms.push(from);
    return { ok: { next: froms.length === 1 ? 4 : 7 } as never };
  };
  const host = realHost();
  const nothing = (): void => undefined;
  const sleep = async (): Promise<void> => {
    throw new Error("it pauses");
  };
  const to = {
    host: { ...host, clock: { ...host.clock, sleep } },
    log,
    post,
    say: nothing,
    stop: stop.signal,
  } as const;
  const handing = reporter({ ...to, handedIn: nothing, reporting: nothing, contact: nothing, end: nothing });
  const run = handing.run();
  await handing.flushed();
  stop.abort();
  await run;
  expect(froms).toEqual([7, 4]);
});
