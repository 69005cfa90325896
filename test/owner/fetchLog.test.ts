import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { segmentName } from "../../agent/audit/folder.ts";
import { realDisk } from "../../agent/host/real.ts";
import { fetchLog, headNames, newestEpoch } from "../../agent/owner/fetchLog.ts";
import { BucketFailed } from "../../providers/bucket.ts";
import { away, memoryBucket } from "../bucket/memory.ts";

const SIGNAL = new AbortController().signal;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-fetch-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const as = <T>(asked: Promise<T>): Promise<T> => asked;

test("segments are fetched in order without listing, each with its heads, until one is missing", async () => {
  const memory = memoryBucket();
  memory.put(`log/3/${segmentName(0)}`, "a\nb\n");
  memory.put(`log/3/${segmentName(2)}`, "c\n");
  memory.put(`log/3/${segmentName(4)}`, "never reached\n");
  memory.put(`log/3/${headNames(2)[0]}`, "head of two");
  memory.put(`log/3/${headNames(3)[1]}`, "cosigned head of three");
  expect(await fetchLog(memory.bucket, 3, { disk: realDisk, folder }, as, SIGNAL)).toBe(2);
  expect(readdirSync(folder).sort()).toEqual([segmentName(0), segmentName(2), headNames(2)[0], headNames(3)[1]].sort());
  expect(readFileSync(join(folder, segmentName(0)), "utf8")).toBe("a\nb\n");
});

test("what goes wrong on the way is no end of the log", async () => {
  const memory = memoryBucket();
  memory.put(`log/3/${segmentName(0)}`, "a\n");
  memory.faults.push({ of: "get", done: false, error: away() });
  const fetching = fetchLog(memory.bucket, 3, { disk: realDisk, folder }, as, SIGNAL);
  expect(await fetching.catch((error: unknown) => error)).toBeInstanceOf(BucketFailed);
  expect(readdirSync(folder)).toEqual([]);
});

test("a segment without a line ends it: the next would be the same one again", async () => {
  const memory = memoryBucket();
  memory.put(`log/3/${segmentName(0)}`, "");
  expect(await fetchLog(memory.bucket, 3, { disk: realDisk, folder }, as, SIGNAL)).toBe(1);
});

test("the newest epoch is what the head's payload says, and none where there is no head", async () => {
  const memory = memoryBucket();
  expect(await newestEpoch(memory.bucket, SIGNAL)).toBeNull();
  const part = (text: string): string => Buffer.from(text).toString("base64url");
  for (const [payload, epoch] of [
    ['{"epoch":7}', 7],
    ['{"epoch":"7"}', null],
    ["not json", null],
    ['{"epoch":0}', null],
  ] as const) {
    memory.put("log/head", `${part("{}")}.${part(payload)}.${part("x")}`);
    expect(await newestEpoch(memory.bucket, SIGNAL)).toBe(epoch);
  }
});
