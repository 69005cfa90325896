import { expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../agent/audit/log.ts";
import { realHost } from "../../agent/host/real.ts";
import { type Contact, type Post, reporter } from "../../agent/poll.ts";
import { fill, started, world } from "../audit/world.ts";

/** What the simulation found, each by itself. */

test("whoever waits for entries to be handed in is not left waiting by an entry that woke nobody", async () => {
  let size = 1;
  const log = {
    get size() {
      return size;
    },
    lines: () => ["{}"],
    checkpoint: () => "",
  } as unknown as Log;
  const stop = new AbortController();
  const asked: number[] = [];
  const post: Post = async (_path, body) => {
    const said = (typeof body === "function" ? body() : body) as { readonly from: number };
    asked.push(said.from);
    return { ok: { next: size } as never };
  };
  const nothing = (): void => undefined;
  const to: Contact = {
    host: realHost(),
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
  await handing.flushed();
  // As a segment that grew old begins: an entry of the log's own, and `wake` is not called.
  size++;
  await handing.flushed();
  stop.abort();
  await run;
  expect(asked).toEqual([1, 1]);
});

test("a hole that a lost write left in the checkpoints file ends it there: the log goes on, and verifies", async () => {
  const w = await world();
  fill(w.open());
  const path = join(w.folder, "checkpoints");
  const before = readFileSync(path);
  const notes = before.toString().split("\n\n").length;
  // The last note's bytes were not written, its length was.
  writeFileSync(path, Buffer.concat([before.subarray(0, -300), Buffer.alloc(200), before.subarray(-100)]));
  const again = w.open();
  expect(again.size).toBe(8);
  again.append([started]);
  again.close();
  const after = readFileSync(path, "utf8");
  expect(after).not.toContain("\0");
  expect(after.split("\n\n").length).toBeGreaterThanOrEqual(notes);
  // What is no hole is still damage.
  appendFileSync(path, "no note\n\n\u2014 of anybody\n\n");
  expect(() => w.open()).toThrow("is no checkpoint");
});
