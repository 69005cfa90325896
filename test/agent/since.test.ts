import { expect, test } from "bun:test";
import { knowsSince } from "../../agent/since.ts";

const HOUR = 3_600_000;
const JOINED = Date.UTC(2026, 10, 29, 12);
const DIRECTORY = { directory: "/etc/reeve/owner", uid: 0 };
const BUCKET = { bucket: "gs://owner-bucket/prod" };
const at = (ahead: number): number => JOINED + ahead;
const since = (epoch: number, first_until: number | undefined, owner: typeof DIRECTORY | typeof BUCKET = DIRECTORY) =>
  knowsSince({ epoch, enrolledAtMs: JOINED, byToken: false }, { owner, first_until });

test("that its epoch is the first gives a machine no rates: the control plane says that", () => {
  expect(since(1, undefined)).toBe(JOINED);
});

test("who joins before the moment that the owner named is the first; at it, after it, or over a day before it nobody is", () => {
  expect([at(1), at(HOUR), at(24 * HOUR)].map((moment) => since(1, moment))).toEqual([null, null, null]);
  expect([at(0), at(-1), at(-30 * 24 * HOUR), at(24 * HOUR + 1)].map((moment) => since(1, moment))).toEqual([
    JOINED,
    JOINED,
    JOINED,
    JOINED,
  ]);
});

test("who joined by a token that was good is the first, unless its epoch says that it is not", () => {
  const by = (epoch: number) => knowsSince({ epoch, enrolledAtMs: JOINED, byToken: true }, { owner: DIRECTORY });
  expect([by(1), by(2)]).toEqual([null, JOINED]);
});

test("a machine of a later epoch is not the first, whatever the owner named", () => {
  expect([since(2, at(HOUR)), since(2, undefined, BUCKET)]).toEqual([JOINED, JOINED]);
});

test("with a bucket the first epoch is the first: without a head of its own over what lies there it changes nothing", () => {
  expect(since(1, undefined, BUCKET)).toBeNull();
});
