import { expect, test } from "bun:test";
import { durationSeconds, durationText, parseTime } from "../../policy/duration.ts";
import { isOpen, parseWhen } from "../../policy/when.ts";

function open(text: string, at: string): boolean {
  const when = parseWhen(text);
  const time = parseTime(at);
  if ("fault" in when || time === null) throw new Error(`not parsed: ${text} ${at}`);
  return isOpen(when, time);
}
const WORK = "Mon-Fri 08:00-17:00 Europe/Berlin";

test("a weekly window opens and closes by the wall clock of its zone, winter and summer", () => {
  // Tuesday in winter: Berlin is UTC+1.
  expect(open(WORK, "2026-11-24T06:59:59Z")).toBe(false);
  expect(open(WORK, "2026-11-24T07:00:00Z")).toBe(true);
  expect(open(WORK, "2026-11-24T15:59:59Z")).toBe(true);
  expect(open(WORK, "2026-11-24T16:00:00Z")).toBe(false);
  // Tuesday in summer: UTC+2.
  expect(open(WORK, "2026-07-14T05:59:59Z")).toBe(false);
  expect(open(WORK, "2026-07-14T06:00:00Z")).toBe(true);
  expect(open(WORK, "2026-07-14T15:00:00Z")).toBe(false);
  // Saturday and Sunday.
  expect(open(WORK, "2026-11-28T10:00:00Z")).toBe(false);
  expect(open(WORK, "2026-11-29T10:00:00Z")).toBe(false);
});

test("the day is the zone's, not UTC's", () => {
  // Sunday 23:30 UTC is Monday 12:30 in Auckland.
  expect(open("Mon 12:00-13:00 Pacific/Auckland", "2026-11-22T23:30:00Z")).toBe(true);
  expect(open("Sun 00:00-24:00 UTC", "2026-11-22T23:59:59Z")).toBe(true);
  expect(open("Sun 00:00-24:00 UTC", "2026-11-23T00:00:00Z")).toBe(false);
});

test("the hour that summer time skips does not exist, and the hour that it repeats counts twice", () => {
  // 2026-03-29, Berlin: 02:00 becomes 03:00 at 01:00 UTC.
  const night = "Sun 02:00-03:00 Europe/Berlin";
  expect(open(night, "2026-03-29T00:59:59Z")).toBe(false);
  expect(open(night, "2026-03-29T01:00:00Z")).toBe(false);
  // 2026-10-25, Berlin: 03:00 becomes 02:00 at 01:00 UTC.
  expect(open(night, "2026-10-24T23:59:59Z")).toBe(false);
  expect(open(night, "2026-10-25T00:00:00Z")).toBe(true);
  expect(open(night, "2026-10-25T00:59:59Z")).toBe(true);
  expect(open(night, "2026-10-25T01:30:00Z")).toBe(true);
  expect(open(night, "2026-10-25T02:00:00Z")).toBe(false);
});

test("a dated window is open from its first moment up to, not with, its last", () => {
  const window = "2026-12-01T08:00Z to 2026-12-02T08:00Z";
  expect(open(window, "2026-12-01T07:59:59Z")).toBe(false);
  expect(open(window, "2026-12-01T08:00:00Z")).toBe(true);
  expect(open(window, "2026-12-02T07:59:59Z")).toBe(true);
  expect(open(window, "2026-12-02T08:00:00Z")).toBe(false);
});

test("days may be listed, each once", () => {
  expect(open("Mon,Wed-Thu 00:00-24:00 UTC", "2026-11-25T12:00:00Z")).toBe(true);
  expect(open("Mon,Wed-Thu 00:00-24:00 UTC", "2026-11-24T12:00:00Z")).toBe(false);
});

test("what is no window is refused", () => {
  const bad = [
    "",
    "Always",
    "never",
    "Fri-Mon 08:00-17:00 UTC",
    "Mon,Mon 08:00-17:00 UTC",
    "Mon-Wed,Tue 08:00-17:00 UTC",
    "mon-fri 08:00-17:00 UTC",
    "Mon-Fri 8:00-17:00 UTC",
    "Mon-Fri 17:00-08:00 UTC",
    "Mon-Fri 08:00-08:00 UTC",
    "Mon-Fri 08:00-24:01 UTC",
    "Mon-Fri 08:60-17:00 UTC",
    "Mon-Fri 08:00-17:00",
    "Mon-Fri 08:00-17:00 +02:00",
    "Mon-Fri 08:00-17:00 europe/berlin",
    "Mon-Fri 08:00-17:00 CET",
    "Mon-Fri 08:00-17:00 Mars/Olympus",
    "Mon-Fri  08:00-17:00 UTC",
    "2026-12-02T08:00Z to 2026-12-01T08:00Z",
    "2026-12-01T08:00Z to 2026-12-01T08:00Z",
    "2026-02-29T08:00Z to 2026-03-01T08:00Z",
    "2026-12-01T08:00 to 2026-12-02T08:00",
    "2026-12-01T24:00Z to 2026-12-03T08:00Z",
    "2026-12-01 to 2026-12-02",
  ];
  for (const text of bad) expect([text, "fault" in parseWhen(text)]).toEqual([text, true]);
});

test("a duration comes back as it was written", () => {
  for (const text of ["0s", "30s", "90m", "36h", "30d", "1h"]) expect(durationText(durationSeconds(text))).toBe(text);
  expect(() => durationSeconds("1w")).toThrow();
});
