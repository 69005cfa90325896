import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Entry } from "../../agent/audit/entry.ts";
import { ed25519Private, ed25519Public, keyId, signatureLine, signNote, verifierKey } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../../agent/audit/tree.ts";
import { realDisk, realRandom } from "../../agent/host/real.ts";
import { refusedFor } from "../../agent/ui/guard.ts";
import { backwards, endOf, lineAt, placeBefore } from "../../agent/ui/lines.ts";
import { addLines, emptyHistory, stateOf } from "../../agent/ui/page/history.ts";
import { headOf, isSignedBy } from "../../agent/ui/page/note.ts";
import { addLeaf, leafOf, rootOf, type Tree, treeOf } from "../../agent/ui/page/tree.ts";
import { busiest } from "../../agent/ui/page/usage.ts";
import { rowsFrom } from "../../agent/ui/rows.ts";
import { newSession } from "../../agent/ui/session.ts";
import type { Place } from "../../agent/ui/shapes.ts";
import { type World, world } from "../audit/world.ts";
import { scaled, story } from "./log.ts";
import { clear } from "./stage.ts";

const ENOUGH = 400;
let w: World;
let lines: string[];

/** Several segments, the last one with the beginning of a line that is being written. */
beforeAll(async () => {
  w = await world({ segmentBytes: 24 * 1024 });
  const log = w.open();
  story(log);
  for (let round = 0; log.size < ENOUGH; round++) scaled(log, 3 + (round % 4), 4 + (round % 4), "ä round of “many”");
  log.close();
  const segments = readdirSync(w.folder).filter((name) => name.endsWith(".jsonl"));
  expect(segments.length).toBeGreaterThan(3);
  lines = segments.sort().flatMap((name) => readFileSync(join(w.folder, name), "utf8").trimEnd().split("\n"));
  appendFileSync(join(w.folder, segments.at(-1) ?? ""), '{"action":"sca');
});
afterAll(() => clear(w.folder));

test("lines are read from the log's end, newest first, whole ones only, and on from any of them", () => {
  const end = endOf(realDisk, w.folder);
  expect(end).not.toBeNull();
  const found = [...backwards(realDisk, w.folder, end as Place)];
  expect(found.map(({ line }) => line)).toEqual(lines.toReversed());
  for (const at of [0, 1, 57, found.length - 1]) {
    const rest = [...backwards(realDisk, w.folder, found[at]?.place as Place)].map(({ line }) => line);
    expect(rest).toEqual(lines.toReversed().slice(at + 1));
  }
});

test("a line is found by its index, and what was before a moment by its time", () => {
  for (const [index, line] of lines.entries()) expect(lineAt(realDisk, w.folder, index)).toBe(line);
  expect(lineAt(realDisk, w.folder, lines.length)).toBeNull();
  const times = lines.map((line) => Date.parse((JSON.parse(line) as Entry).time));
  for (const moment of new Set([...times, (times[0] ?? 0) - 1, (times.at(-1) ?? 0) + 1])) {
    const place = placeBefore(realDisk, w.folder, moment);
    const before = times.filter((time) => time < moment).length;
    expect(place === null ? 0 : [...backwards(realDisk, w.folder, place)].length).toBe(before);
  }
});

test("part by part the timeline comes to the same rows, whatever the parts' size, and each outcome has its intent with it", () => {
  const wish = { since: null, until: null, action: null, command: null, outcome: null };
  const statesBy = (most: number): string[] => {
    const history = emptyHistory();
    let place: Place | null = null;
    for (let part = 0; part < 2 * ENOUGH; part++) {
      const rows = rowsFrom(realDisk, w.folder, place, wish, most);
      expect(rows.bad).toEqual([]);
      addLines(history, rows.lines, (line) => JSON.parse(line) as Entry);
      place = rows.next;
      if (place === null) break;
    }
    expect(place).toBeNull();
    expect(history.known.size).toBe(lines.length);
    return [...history.rows.values()].map((row) => `${row.key} ${stateOf(row)} ${row.entries.length}`).sort();
  };
  const whole = statesBy(10_000);
  expect(whole.filter((text) => text.includes(" succeeded ")).length).toBeGreaterThan(100);
  for (const most of [1, 2, 7, 50]) expect(statesBy(most)).toEqual(whole);
  const failed = rowsFrom(realDisk, w.folder, null, { ...wish, outcome: "failed" }, 50);
  expect(failed.lines.map((line) => (JSON.parse(line) as Entry).kind)).toEqual(["outcome", "intent"]);
  const dns = rowsFrom(realDisk, w.folder, null, { ...wish, action: "update-dns" }, 50);
  expect(dns.lines.length).toBe(2);
});

test("the page's tree is the log's: same root at each size, and from the peaks of any size on", () => {
  const ours = emptyTree();
  const page: Tree = { size: 0, peaks: [] };
  for (const line of lines) {
    const before = treeOf(page.size, page.peaks);
    grow(ours, leafHash(line));
    addLeaf(page, leafOf(Buffer.from(line)));
    if (before !== null) addLeaf(before, leafOf(Buffer.from(line)));
    expect(Buffer.from(rootOf(page)).equals(rootOfTree(ours))).toBe(true);
    expect(before === null ? null : Buffer.from(rootOf(before)).equals(rootOfTree(ours))).toBe(true);
  }
  expect(treeOf(3, page.peaks.slice(0, 1))).toBeNull();
});

test("the page takes a head's signature only when it is whole, under the log's name and key", async () => {
  const [key, other] = [7, 8].map((seed) => ed25519Private(Buffer.alloc(32, seed)));
  if (key === undefined || other === undefined) throw new Error("no keys");
  const raw = (of: typeof key): Uint8Array<ArrayBuffer> => new Uint8Array(ed25519Public(of));
  const text = `log.example/1\n5\n${Buffer.alloc(32, 5).toString("base64")}\ntime 2026-11-24T06:49:26.861Z\n`;
  const note = signNote(text, "log.example/1", key);
  const head = headOf(note);
  if (head === null) throw new Error("a head that is none");
  expect(head).toMatchObject({ origin: "log.example/1", size: 5, time: "2026-11-24T06:49:26.861Z" });
  expect(await isSignedBy(head, raw(key))).toBe(true);
  expect(await isSignedBy(head, raw(other))).toBe(false);
  const elsewhere = headOf(signNote(text, "log.example/2", key));
  expect(elsewhere === null ? true : await isSignedBy(elsewhere, raw(key))).toBe(false);
  const changed = headOf(note.replace("\n5\n", "\n6\n"));
  expect(changed === null ? true : await isSignedBy(changed, raw(key))).toBe(false);
  // A second signature line of the same key that is wrong is not passed over.
  const wrong = headOf(note + signatureLine("log.example/1", keyId("log.example/1", raw(key)), Buffer.alloc(64, 1)));
  expect(wrong === null ? true : await isSignedBy(wrong, raw(key))).toBe(false);
  expect(verifierKey("log.example/1", raw(key)).startsWith("log.example/1+")).toBe(true);
  for (const bad of ["", text, `${text}\nx\n`, note.replace("time", "tame"), note.replace("\n5\n", "\n05\n")])
    expect([bad, headOf(bad)]).toEqual([bad, null]);
});

test("the busiest stretch is what a rate is held against: no window of its length holds more", () => {
  const times = fc
    .array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 60 })
    .map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 50 }), (list, seconds) => {
      const windows = list.map((end) => list.filter((time) => time <= end && time > end - seconds * 1000).length);
      expect(busiest(list, seconds)).toBe(Math.max(0, ...windows));
    }),
    { numRuns: 300 },
  );
});

test("the token opens one session, once; cookie and key are both needed, and neither stands in for the other", () => {
  const session = newSession(realRandom);
  const { token } = session;
  expect(session.holds(undefined, undefined)).toBe(false);
  expect(session.open(`${token.slice(0, -1)}!`)).toBeNull();
  expect(session.open("")).toBeNull();
  const opened = session.open(token);
  if (opened === null) throw new Error("the token opened nothing");
  expect(session.open(token)).toBeNull();
  const { cookie, key } = opened;
  expect(session.holds(cookie, key)).toBe(true);
  for (const [one, other] of [
    [cookie, undefined],
    [undefined, key],
    [key, cookie],
    [cookie, cookie],
    [token, token],
    ["", ""],
  ])
    expect(session.holds(one, other)).toBe(false);
  expect(new Set([token, cookie, key]).size).toBe(3);
});

test("a request is answered only under our own name and port, from our own page, and only to read", () => {
  const own = { host: "127.0.0.1:7373", "sec-fetch-site": "same-origin" };
  const request = (headers: Record<string, string>, method = "GET") =>
    new Request("http://127.0.0.1:7373/api/rows", { method, headers });
  const judged = (headers: Record<string, string>, method?: string, page = false) =>
    refusedFor(request(headers, method), 7373, page);
  expect(judged(own)).toBeNull();
  expect(judged({ ...own, host: "localhost:7373" })).toBeNull();
  expect(judged({ ...own, origin: "http://127.0.0.1:7373" }, "POST")).toBeNull();
  expect(judged({ ...own, "sec-fetch-site": "none" }, "GET", true)).toBeNull();
  for (const host of [
    "evil.example:7373",
    "127.0.0.1:7374",
    "127.0.0.1",
    "127.0.0.1.evil.example:7373",
    "[::1]:7373",
    "0.0.0.0:7373",
  ])
    expect([host, judged({ ...own, host })]).toEqual([host, "host"]);
  for (const origin of [
    "http://evil.example",
    "null",
    "http://127.0.0.1:7374",
    "https://127.0.0.1:7373",
    "http://localhost:7373",
  ])
    expect([origin, judged({ ...own, origin })]).toEqual([origin, "origin"]);
  for (const site of ["cross-site", "same-site", "none", ""])
    expect([site, judged({ ...own, "sec-fetch-site": site })]).toEqual([site, "site"]);
  expect(judged({ host: own.host })).toBe("site");
  expect(judged({ host: own.host, "sec-fetch-site": "cross-site" }, "GET", true)).toBe("site");
  expect(judged(own, "POST")).toBe("origin");
  for (const method of ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
    expect([method, judged(own, method)]).toEqual([method, "method"]);
});
