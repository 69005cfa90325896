import { expect, test } from "bun:test";
import type { Entry, EntryBody } from "../../agent/audit/entry.ts";
import { emptyMemory, fold, memoryOf, memoryState } from "../../agent/audit/memory.ts";
import { timeText } from "../../agent/audit/time.ts";
import { canonical } from "../../agent/wire/canonical.ts";
import { intent, outcome, refused, soon, started } from "./world.ts";

const START = Date.now();
const entry = (body: EntryBody, index: number, time = START): Entry =>
  ({ ...body, v: 1, index, cluster: "c", epoch: 1, time: timeText(time) }) as Entry;
const [ONE, TWO] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];

test("the first entry that names an id decides it; a rejected one names none", () => {
  const memory = emptyMemory(null);
  fold(memory, entry(refused(ONE), 1));
  fold(memory, entry(intent(ONE), 2));
  fold(memory, entry({ kind: "rejected", code: "open.form", digest: `sha256:${"0".repeat(64)}`, bytes: 3 }, 3));
  expect([...memory.ids.keys()]).toEqual([ONE]);
  expect(memory.ids.get(ONE)).toMatchObject({ index: 1, kind: "refused" });
});

test("an id is kept for as long as a command that may have it lives, whatever the first one's exp, and forgotten some time after", () => {
  const memory = emptyMemory(null);
  const day = 24 * 3600 * 1000;
  fold(memory, entry(intent(ONE), 1));
  fold(memory, entry({ ...refused(TWO), exp: Number.MAX_SAFE_INTEGER } as EntryBody, 2));
  expect(soon() * 1000).toBeLessThan(START + day);
  for (let n = 0; n < 2100; n++) fold(memory, entry(started, n + 3, START + 2 * day + 60_000));
  expect([...memory.ids.keys()]).toEqual([ONE, TWO]);
  for (let n = 0; n < 2100; n++) fold(memory, entry(started, n + 2103, START + 2 * day + 180_000));
  expect([...memory.ids.keys()]).toEqual([]);
});

test("ids of another time, of which none is taken, are not kept for ever", () => {
  const memory = emptyMemory(null);
  for (const id of ["ffffffff-ffff-7000-8000-000000000000", "00000000-0000-7000-8000-000000000000"])
    fold(memory, entry(refused(id), 1));
  expect(memory.ids.size).toBe(2);
  for (let n = 0; n < 2100; n++) fold(memory, entry(started, n + 2));
  expect(memory.ids.size).toBe(0);
});

test("times of intents are kept by rule for more than the longest window, a week, and not for ever", () => {
  const memory = emptyMemory(null);
  const day = 24 * 3600 * 1000;
  fold(memory, entry(intent(ONE), 1));
  for (let n = 0; n < 2100; n++) fold(memory, entry(started, n + 2, START + 7 * day));
  expect(memory.history.intents.get("brokers-grow")).toEqual([START]);
  for (let n = 0; n < 2100; n++) fold(memory, entry(started, n + 2102, START + 9 * day));
  expect(memory.history.intents.size).toBe(0);
});

test("an intent is open until its outcome, and the highest revision in force is kept", () => {
  const memory = emptyMemory(5);
  fold(memory, entry(intent(TWO), 1));
  expect(memory.open.get(TWO)?.index).toBe(1);
  fold(memory, entry(outcome(TWO, 1), 2));
  expect(memory.open.size).toBe(0);
  const policy = `sha256:${"0".repeat(64)}`;
  fold(memory, entry({ kind: "policy", policy, revision: 7, code: null }, 3));
  fold(memory, entry({ kind: "policy", policy, revision: 0, code: "policy.invalid" }, 4));
  expect(memory.history).toMatchObject({ revision: 7, since: 5 });
  expect(memory.policy).toEqual({ digest: policy, revision: 0, code: "policy.invalid" });
});

test("a later epoch's log remembers nothing before its first entry, however long before that its enrolment began", () => {
  const first = (): Entry =>
    entry(
      {
        kind: "epoch",
        origin: "o",
        log_keys: [{ key: "k", from: 0 }],
        chain: [],
        signature: "s",
        before: null,
        config: "c",
      },
      0,
    );
  const memory = emptyMemory(START - 3600_000);
  fold(memory, first());
  expect(memory.history.since).toBe(START);
  const again = memoryOf(JSON.parse(canonical(memoryState(memory))), START - 3600_000);
  expect(again.history.since).toBe(START);
  // The first epoch has nothing before it.
  const whole = emptyMemory(null);
  fold(whole, first());
  expect(whole.history.since).toBeNull();
});

test("a memory comes out of its file as it went in, and goes on the same", () => {
  const memory = emptyMemory(null);
  const bodies = [intent(ONE), refused(TWO), started, { kind: "switch", on: false, why: "x" } as EntryBody];
  for (const [at, body] of bodies.entries()) fold(memory, entry(body, at));
  const copy = memoryOf(JSON.parse(canonical(memoryState(memory))), null);
  expect(copy).toEqual(memory);
  for (const one of [memory, copy]) fold(one, entry(outcome(ONE, 0), 4));
  expect(copy).toEqual(memory);
});
