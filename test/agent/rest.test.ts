import { expect, test } from "bun:test";
import { REST_AFTER_SECONDS, REST_AGAIN_SECONDS } from "../../agent/limits.ts";
import { resting } from "../../agent/rest.ts";

/** Looked at every second; the seconds at which memory was given back. `doneAt`: what was done by then, or null while something is. */
function givenAt(seconds: number, doneAt: (second: number) => number | null): number[] {
  const given: number[] = [];
  let second = 0;
  const look = resting(() => given.push(second));
  for (; second < seconds; second++) look(doneAt(second), second * 1000);
  return given;
}

test("memory is given back once nothing was done for a while, and then only from time to time", () => {
  const first = REST_AFTER_SECONDS;
  expect(givenAt(first + 2 * REST_AGAIN_SECONDS + 1, () => 4)).toEqual([
    first,
    first + REST_AGAIN_SECONDS,
    first + 2 * REST_AGAIN_SECONDS,
  ]);
});

test("whatever is done begins the while anew", () => {
  expect(givenAt(40, (second) => Math.min(second, 20))).toEqual([20 + REST_AFTER_SECONDS]);
  const again = givenAt(60, (second) => (second < 30 ? 1 : 2));
  expect(again).toEqual([REST_AFTER_SECONDS, 30 + REST_AFTER_SECONDS]);
});

test("while a command runs nothing is given back, however long it takes", () => {
  expect(givenAt(900, (second) => (second < 800 ? null : 1))).toEqual([800 + REST_AFTER_SECONDS]);
});
