import { afterAll, beforeAll, expect, test } from "bun:test";
import { addProgram, begin, entries, outcomeOf, released, running, type Stage, scale, stage } from "../action/world.ts";
import { requireDebian } from "../tools.ts";
import { sample } from "./sample.ts";

requireDebian({ strace: "strace" });

/**
 * Kills the compiled agent where it writes down what a rolling replacement has come to: whatever it was about to do, the next start goes on
 * under the same intent, which gets one outcome.
 */
const COUNT = 2;
/** Of each process: stopping and stopped, starting and started; and at the end the group's image. */
const WRITES = 4 * COUNT + 1;
const MAX_POINTS = 4;
let s: Stage;
beforeAll(async () => {
  s = await stage();
  await s.start();
  scale(s, COUNT);
  await s.stopped("SIGKILL");
}, 180_000);
afterAll(async () => {
  await s?.end();
}, 60_000);

test("kill -9 in the middle of a rolling replacement: one outcome, and every process runs the new program", async () => {
  for (const nth of sample(
    Array.from({ length: WRITES }, (_, at) => at + 1),
    MAX_POINTS,
  )) {
    const next = addProgram(s.artifacts, `next ${nth}`);
    const id = begin(s, released(s, next));
    // The file is replaced: another is written beside it and takes its name.
    const calls = "rename,renameat,renameat2";
    const inject = ["-P", `${s.book}.new`, "-e", `trace=${calls}`, "-e", `inject=${calls}:signal=SIGKILL:when=${nth}`];
    await s.start("strace", "-f", "-qq", "-o", "/dev/null", ...inject);
    await s.stopped(null);
    const left = entries(s).filter(({ command }) => command === id);
    expect([nth, left.map(({ kind }) => kind)]).toEqual([nth, ["intent"]]);
    expect(running(s).length).toBeGreaterThanOrEqual(COUNT - 1);
    expect(running(s).length).toBeLessThanOrEqual(COUNT);
    await s.start();
    await s.w.until("it has its outcome", () => outcomeOf(s, id) !== undefined, 120);
    expect([nth, running(s)]).toEqual([nth, Array(COUNT).fill(next.image)]);
    const kinds = entries(s).filter(({ command }) => command === id);
    expect([nth, kinds.map(({ kind, result }) => result ?? kind)]).toEqual([nth, ["intent", "succeeded"]]);
    await s.stopped("SIGKILL");
  }
}, 300_000);
