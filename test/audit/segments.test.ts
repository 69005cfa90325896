import { expect, test } from "bun:test";
import { appendFileSync, copyFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Entry, type EntryBody } from "../../agent/audit/entry.ts";
import { carryName, carryText, checkpointRecord, readCheckpoints } from "../../agent/audit/folder.ts";
import { loadLog } from "../../agent/audit/load.ts";
import { LogDamaged } from "../../agent/audit/log.ts";
import { maySign, successorOf } from "../../agent/audit/logKeys.ts";
import { ed25519Private, parseCheckpoint, parseNote, signNote, verifyNote } from "../../agent/audit/note.ts";
import { prove } from "../../agent/audit/prove.ts";
import { verifyLog } from "../../agent/audit/verify.ts";
import { verifyProof } from "../../agent/audit/verifyProof.ts";
import { type Disk, DiskError, type Host } from "../../agent/host/host.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { MAX_ENTRY_BYTES } from "../../agent/limits.ts";
import { stopping } from "./stopping.ts";
import { DIGEST, intent, outcome, refused, started, type World, world } from "./world.ts";

const SEGMENT = "00000000000000000000.jsonl";
const DAY = 24 * 3600 * 1000;

function segments(folder: string): string[] {
  return realDisk.list(folder).filter((name) => name.endsWith(".jsonl"));
}

function linesOf(folder: string): string[] {
  return segments(folder).flatMap((name) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n"));
}

function at(now: () => number): Host {
  const host = realHost();
  return { ...host, clock: { ...host.clock, now } };
}

async function filled(more: Parameters<typeof world>[0] = { segmentBytes: 4000 }): Promise<World> {
  const w = await world(more);
  const log = w.open();
  for (let n = 0; n < 60; n++) log.append([started]);
  log.close();
  return w;
}

test("each segment but the first begins with the frontier, and with a key of its own that the one before handed over to", async () => {
  const w = await filled();
  const names = segments(w.folder);
  expect(names.length).toBeGreaterThan(3);
  const entries = linesOf(w.folder).map((line) => Entry.parse(JSON.parse(line)));
  const first = entries[0];
  if (first?.kind !== "epoch") throw new Error("no epoch");
  let key = { origin: first.origin, key: first.log_keys[0]?.key ?? "", from: 0 };
  const keys = [key];
  for (const name of names.slice(1)) {
    const entry = entries[Number(name.slice(0, 20))];
    if (entry?.kind !== "segment") throw new Error(`${name} begins with ${entry?.kind}`);
    const next = successorOf(key, entry);
    if ("fault" in next) throw new Error(next.fault);
    key = next;
    keys.push(key);
    // Nobody but the key before can hand over, and only from where it began.
    expect(
      successorOf({ ...key, key: w.firstKey === entry.before.key ? entry.key : w.firstKey }, entry),
    ).toHaveProperty("fault");
    expect(successorOf(keys.at(-2) ?? key, { ...entry, index: entry.index + 1 })).toHaveProperty("fault");
  }
  expect(new Set(keys.map((one) => one.key)).size).toBe(names.length);
  // Each head is signed by the key of the segment that its newest entry stands in, and by no other.
  const notes = readFileSync(join(w.folder, "checkpoints"), "utf8").split("\n\n");
  let looked = 0;
  for (let n = 0; n + 1 < notes.length; n += 2) {
    const note = `${notes[n]}\n\n${notes[n + 1]}\n`;
    const size = parseCheckpoint(note)?.size ?? 0;
    const signers = keys.filter((one) => verifyNote(note, one.origin, Buffer.from(one.key, "base64")) !== null);
    const due = keys.filter((one, index) => maySign(one, size, keys[index + 1]?.from ?? null));
    expect(signers).toEqual(due);
    expect(due.length).toBe(1);
    looked += 1;
  }
  expect(looked).toBe(entries.length);
});

test("the older key is destroyed once its successor is durable", async () => {
  const w = await filled();
  expect(w.as.keys.current).not.toBe(w.firstKey);
  expect(w.as.keys.privateKey(w.firstKey)).toBeNull();
  expect(JSON.parse(readFileSync(join(w.folder, "../keys.json"), "utf8")).next_log_key).toBeNull();
});

test("a segment begins when the one before is old enough, and not before it holds anything", async () => {
  let now = Date.now();
  const w = await world({ segmentAgeMs: DAY });
  const log = w.open(at(() => now));
  log.tick();
  expect(segments(w.folder).length).toBe(1);
  log.append([started]);
  now += DAY - 1;
  log.tick();
  expect(segments(w.folder).length).toBe(1);
  now += 1;
  log.tick();
  expect(segments(w.folder).length).toBe(2);
  now += DAY;
  log.tick();
  expect(segments(w.folder).length).toBe(2);
  log.append([started]);
  expect(segments(w.folder).length).toBe(3);
  log.close();
  // What begins a segment is judged at its own time: the certificate was valid for a day.
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 11, size: log.size });
});

/** The keys' file counts as a disk of its own: a stop may fall before or after each of its writes. */
function stoppingKeys(w: World, stopAt: number, done: boolean) {
  let saves = 0;
  const save = (act: () => unknown): void => {
    saves += 1;
    if (saves === stopAt && !done) throw new Error("stopped here");
    act();
    if (saves === stopAt) throw new Error("stopped here");
  };
  const { keys } = w.as;
  return {
    get current() {
      return keys.current;
    },
    privateKey: (key: string) => keys.privateKey(key),
    next() {
      save(() => keys.next());
      return keys.next();
    },
    handOver: () => save(() => keys.handOver()),
  };
}

test("a process that stops at any change while a segment begins, done or not done, loses nothing and signs on", async () => {
  let points = 0;
  let stopped = 0;
  for (const what of ["disk", "keys"] as const) {
    for (const done of [false, true]) {
      for (let stopAt = 1; stopAt < 40; stopAt++) {
        const w = await world();
        const log = w.open();
        for (let n = 0; n < 5; n++) log.append([started]);
        log.close();
        const { size } = log;
        const disk = stopping(what === "disk" ? stopAt : 0, done);
        const keys = stoppingKeys(w, what === "keys" ? stopAt : 0, done);
        let believed = size;
        let died = false;
        try {
          const going = w.open({ ...realHost(), disk: disk.disk }, { segmentBytes: 100, keys });
          try {
            for (let n = 0; n < 3; n++) believed = (going.append([started]).at(-1)?.index ?? 0) + 1;
          } finally {
            going.close();
          }
        } catch (error) {
          died = true;
          expect(String(error)).toContain("stopped here");
        }
        points += 1;
        if (died) stopped += 1;
        const again = w.open();
        expect(again.size).toBeGreaterThanOrEqual(believed);
        again.append([started]);
        again.close();
        const verdict = await verifyLog(realDisk, w.folder, { ca: w.caPem });
        expect({ what, done, stopAt, exit: verdict.exit, says: verdict.says }).toMatchObject({ exit: 11 });
        rmSync(w.folder, { recursive: true });
        // No change was left to stop at.
        if (!died) break;
      }
    }
  }
  console.log(`      ${points} points, stopped at ${stopped}`);
  expect(stopped).toBeGreaterThan(30);
}, 120_000);

test("a disk too full for a new segment leaves the entries in this one, and begins it when there is room", async () => {
  let full: "carry" | "segment" | null = null;
  const refuse = (path: string): void => {
    throw new DiskError("ENOSPC", path, "full");
  };
  const host = realHost();
  const disk: Disk = {
    ...realDisk,
    replace(path, bytes, mode) {
      if (full === "carry" && path.endsWith("carry.json")) refuse(path);
      realDisk.replace(path, bytes, mode);
    },
    appender(path, mode) {
      if (full === "segment" && path.endsWith("jsonl") && !realDisk.exists(path)) refuse(path);
      return realDisk.appender(path, mode);
    },
  };
  for (const what of ["carry", "segment"] as const) {
    const w = await world({ segmentBytes: 3000 });
    const log = w.open({ ...host, disk });
    full = what;
    for (let n = 0; n < 30; n++) log.append([started]);
    expect(segments(w.folder)).toEqual([SEGMENT]);
    expect(realDisk.list(w.folder).filter((name) => name.endsWith(".carry.json"))).toEqual([]);
    full = null;
    log.append([started]);
    expect(segments(w.folder).length).toBe(2);
    log.close();
    expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 11, size: log.size });
  }
});

test("closed segments go when their retention is over and they were handed in, and what rates, ids and open intents need stays", async () => {
  let now = Date.now();
  const w = await world({ segmentAgeMs: DAY, retentionMs: 8 * DAY });
  const log = w.open(at(() => now));
  const [open, old] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
  log.append([intent(open), refused(old)]);
  for (let day = 0; day < 12; day++) {
    now += DAY;
    log.append([started]);
  }
  // Nothing was handed in: nothing goes.
  expect(segments(w.folder).length).toBeGreaterThan(10);
  expect(segments(w.folder)[0]).toBe(SEGMENT);
  log.handedIn(log.size - 1);
  for (let day = 0; day < 12; day++) {
    now += DAY;
    log.append([started]);
    log.handedIn(log.size);
  }
  const left = segments(w.folder);
  expect(left[0]).not.toBe(SEGMENT);
  expect(left.length).toBeGreaterThanOrEqual(8);
  expect(left.length).toBeLessThanOrEqual(11);
  expect(realDisk.list(join(w.folder, ".leaves")).length).toBeGreaterThan(left.length);
  const { size } = log;
  log.close();
  const again = w.open(at(() => now));
  expect(again.size).toBe(size);
  expect(again.memory.open.get(open)?.index).toBe(1);
  again.append([outcome(open, 1)]);
  again.close();
  const verdict = await verifyLog(realDisk, w.folder, { ca: null });
  expect(verdict).toMatchObject({ exit: 12, open: [], damage: null, from: Number(left[0]?.slice(0, 20)) });
});

test("a clock that jumps ahead by years takes away no more than a segment or two, and one that jumps back writes no earlier time", async () => {
  let now = Date.now();
  const w = await world({ segmentAgeMs: DAY, retentionMs: 8 * DAY });
  const log = w.open(at(() => now));
  for (let day = 0; day < 6; day++) {
    now += DAY;
    log.append([started]);
    log.handedIn(log.size);
  }
  const before = segments(w.folder).length;
  now += 3650 * DAY;
  log.append([started]);
  log.tick();
  log.tick();
  const after = segments(w.folder).length;
  expect(after).toBeGreaterThanOrEqual(before - 2);
  const newest = log.memory.newest;
  now -= 3660 * DAY;
  log.append([started]);
  expect(log.memory.newest).toBe(newest);
  log.tick();
  log.close();
  expect((await verifyLog(realDisk, w.folder, { ca: null })).damage).toBeNull();
});

test("the largest entry that there can be is written, verified and proven; a byte more is our own mistake", async () => {
  const w = await world({ segmentBytes: 100_000 });
  const log = w.open();
  const waiting = (more: number): EntryBody => ({
    kind: "trust-waiting",
    version: 2,
    digest: DIGEST,
    statement: "s".repeat(48 * 1024),
    changes: [...Array.from({ length: 3 }, () => "c".repeat(4096)), "d".repeat(more)],
  });
  const [short] = log.append([waiting(0)]);
  const left = MAX_ENTRY_BYTES - Buffer.byteLength(JSON.stringify(short));
  expect(() => log.append([waiting(left + 1)])).toThrow(RangeError);
  const [entry] = log.append([waiting(left)]);
  expect(Buffer.byteLength(JSON.stringify(entry))).toBe(MAX_ENTRY_BYTES);
  log.append([started]);
  log.close();
  expect(segments(w.folder).length).toBe(2);
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 11, size: log.size });
  const proof = prove(realDisk, [w.folder], entry?.index ?? 0, "newest");
  if ("cannot" in proof) throw new Error(proof.cannot);
  expect(await verifyProof(proof.text, { ca: w.caPem, witnesses: [] })).toMatchObject({ exit: 11 });
});

test("a segment that begins without the line that names its key is refused: by verify, and by the agent that starts", async () => {
  const w = await world();
  const log = w.open();
  for (let n = 0; n < 20; n++) log.append([started]);
  log.close();
  // Whole in itself but for that line: the carry file is the true one of its place.
  const lines = readFileSync(join(w.folder, SEGMENT), "utf8").trimEnd().split("\n");
  const notes = readCheckpoints(realDisk, w.folder).notes;
  const heads = (from: readonly string[]): string => from.map(checkpointRecord).join("");
  writeFileSync(join(w.folder, SEGMENT), `${lines.slice(0, 12).join("\n")}\n`);
  writeFileSync(join(w.folder, "checkpoints"), heads(notes.slice(0, 12)));
  writeFileSync(join(w.folder, carryName(12)), carryText(loadLog(realDisk, w.folder, null, null)));
  const second = "00000000000000000012.jsonl";
  writeFileSync(join(w.folder, second), `${lines.slice(12).join("\n")}\n`);
  writeFileSync(join(w.folder, "checkpoints"), heads(notes));
  const because = "the segment begins without the line that names its key";
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({
    exit: 13,
    damage: { kind: "edited", file: second, line: 1, what: "segment", because },
  });
  expect(() => w.open()).toThrow(because);
});

test("a log whose key this machine does not hold is not gone on with, and the hint says what to do", async () => {
  const w = await filled();
  const other = await world();
  expect(() => w.open(realHost(), { keys: other.as.keys })).toThrow(LogDamaged);
  try {
    w.open(realHost(), { keys: other.as.keys });
  } catch (error) {
    expect((error as LogDamaged).hint).toContain("restore both, or `reeve leave`");
  }
});

test("a log whose newest head another key signed is not gone on with; a cosigned one that ours did not sign counts for nothing", async () => {
  const stranger = ed25519Private(Buffer.alloc(32, 9));
  for (const file of ["checkpoints", "cosigned"]) {
    const w = await filled();
    const note = readCheckpoints(realDisk, w.folder).notes.at(-1) ?? "";
    const forged = signNote(parseNote(note)?.text ?? "", w.as.origin, stranger);
    writeFileSync(join(w.folder, file), checkpointRecord(forged));
    if (file === "cosigned") w.open().close();
    else
      expect(() => w.open()).toThrow(
        `the newest note of ${w.folder}/${file} is not signed by the log's key of that place`,
      );
    writeFileSync(join(w.folder, file), checkpointRecord(note));
    w.open().close();
  }
});

test("a file that was cut, replaced, removed, moved or written to under the running agent is seen before the next entry, and not written to", async () => {
  const acts: Record<string, (path: string) => void> = {
    "logrotate copytruncate": (path) => {
      copyFileSync(path, `${path}.1`);
      truncateSync(path, 0);
    },
    "logrotate move and create": (path) => {
      renameSync(path, `${path}.1`);
      writeFileSync(path, "", { mode: 0o600 });
    },
    moved: (path) => renameSync(path, `${path}.1`),
    removed: (path) => rmSync(path),
    "truncate to a shorter one": (path) => truncateSync(path, 300),
    "truncate to a longer one": (path) => truncateSync(path, 100_000),
    "replaced by a copy": (path) => {
      copyFileSync(path, `${path}.1`);
      renameSync(`${path}.1`, path);
    },
    "written to by another": (path) => appendFileSync(path, "{}\n"),
  };
  for (const [name, act] of Object.entries(acts)) {
    const w = await world();
    const log = w.open();
    log.append([started]);
    const path = join(w.folder, SEGMENT);
    act(path);
    const left = realDisk.exists(path) ? readFileSync(path) : null;
    const { size } = log;
    expect({ name, thrown: thrownBy(() => log.append([started])) }).toEqual({ name, thrown: "LogDamaged" });
    // Final: also when the file comes back.
    expect(thrownBy(() => log.append([started]))).toBe("LogDamaged");
    expect(thrownBy(() => log.tick())).toBe("LogDamaged");
    expect(log.size).toBe(size);
    expect(realDisk.exists(path) ? readFileSync(path) : null).toEqual(left);
    log.close();
  }
});

test("who reads a log that was cut inside a line hears so, and gets no part of a line", async () => {
  const w = await world();
  const log = w.open();
  log.append([started]);
  const path = join(w.folder, SEGMENT);
  const whole = readFileSync(path);
  const first = whole.indexOf(10);
  for (const cut of [0, 1, 100, first, first + 1, first + 2, whole.length - 1]) {
    truncateSync(path, cut);
    expect([cut, thrownBy(() => log.lines(0, 10))]).toEqual([cut, cut === first + 1 ? "DiskError" : "LogDamaged"]);
    writeFileSync(path, whole);
  }
  log.close();
});

test("the checkpoints file is held to the same", async () => {
  const w = await world();
  const log = w.open();
  log.append([started]);
  rmSync(join(w.folder, "checkpoints"));
  expect(thrownBy(() => log.append([started]))).toBe("LogDamaged");
  log.close();
});

function thrownBy(act: () => unknown): string {
  try {
    act();
    return "nothing";
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}
