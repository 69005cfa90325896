import { expect, test } from "bun:test";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { dispatcher } from "../../agent/dispatch.ts";
import {
  MAX_COMMAND_BYTES,
  MAX_COMMANDS_PER_HOUR,
  MAX_COMMANDS_PER_POLL,
  MAX_INTAKE_BYTES_PER_HOUR,
  MAX_RUNNING_COMMANDS,
} from "../../agent/limits.ts";
import type { Road } from "../../agent/road.ts";

function road(stopping = false) {
  const written: EntryBody[] = [];
  let mono = 0;
  const of = {
    host: { clock: { now: () => mono, monotonic: () => mono, sleep: () => Promise.resolve() } },
    log: {
      append: (bodies: readonly EntryBody[]) => {
        written.push(...bodies);
        return [];
      },
    },
    commandKeys: () => new Map(),
    heard: () => Promise.resolve(null),
    appended: () => undefined,
    cleared: () => Promise.resolve(),
    stopping: () => stopping,
  } as unknown as Road;
  return {
    of,
    written,
    pass: (milliseconds: number) => {
      mono += milliseconds;
    },
  };
}

/** As a dry run would come: what it says of itself is read only after it was counted. */
function dryRun(at: number): string {
  const payload = { action: "scale", args: { group: `g-${at}`, count: 1 }, dry_run: true };
  return `${Buffer.from("{}").toString("base64url")}.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.AA`;
}

test("at most 600 commands an hour are taken in, dry runs too; each unreadable one is one entry, and after the hour there is room again", async () => {
  const { of, written, pass } = road();
  const dispatch = dispatcher(of, (error) => {
    throw error;
  });
  expect(dispatch.room()).toBe(Math.min(MAX_COMMANDS_PER_POLL, MAX_RUNNING_COMMANDS));
  let taken = 0;
  for (let polls = 0; polls < 1000 && dispatch.room() > 0; polls++) {
    const texts = Array.from({ length: dispatch.room() }, (_, at) =>
      at % 2 === 0 ? `not a command ${taken + at}` : dryRun(taken + at),
    );
    taken += texts.length;
    dispatch.accept(texts);
    await dispatch.idle();
  }
  expect(taken).toBe(MAX_COMMANDS_PER_HOUR);
  expect(written.length).toBe(MAX_COMMANDS_PER_HOUR);
  expect(written.every((entry) => entry.kind === "rejected")).toBe(true);
  pass(3_599_999);
  expect(dispatch.room()).toBe(0);
  pass(2);
  expect(dispatch.room()).toBeGreaterThan(0);
});

test("long commands use up the hour's bytes: what they can add to the log stays that of 600 refusals", async () => {
  const { of, written, pass } = road();
  const dispatch = dispatcher(of, (error) => {
    throw error;
  });
  const long = "x".repeat(2 * MAX_COMMAND_BYTES);
  for (let polls = 0; polls < 100; polls++) {
    dispatch.accept(Array.from({ length: 8 }, (_, at) => `${polls} ${at} ${long}`));
    await dispatch.idle();
  }
  expect(written.length).toBe(Math.floor(MAX_INTAKE_BYTES_PER_HOUR / (2 * MAX_COMMAND_BYTES + 512)));
  // One that did not fit ends the asking: it would be handed out again at once.
  expect(dispatch.taken()).toEqual({ taken: written.length, full: true });
  expect(dispatch.room()).toBe(0);
  pass(3_600_001);
  expect(dispatch.room()).toBeGreaterThan(0);
});

test("an agent that is stopping begins nothing", async () => {
  const { of, written } = road(true);
  const dispatch = dispatcher(of, (error) => {
    throw error;
  });
  dispatch.accept(["not a command"]);
  await dispatch.idle();
  expect(written).toEqual([]);
});
