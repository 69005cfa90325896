import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { LogDamaged, LogUnavailable, openLog } from "../../agent/audit/log.ts";
import { parseCheckpoint } from "../../agent/audit/note.ts";
import { rootOf } from "../../agent/audit/tree.ts";
import { verifyLog } from "../../agent/audit/verify.ts";
import { type Appender, DiskError, type Host } from "../../agent/host/host.ts";
import { realDisk, realHost } from "../../agent/host/real.ts";
import { MAX_REFUSAL_ENTRY_BYTES } from "../../agent/limits.ts";
import { fill, intent, outcome, refused, scratch, started, world } from "./world.ts";

const SEGMENT = "00000000000000000000.jsonl";

/** The real host, but each append and sync to a segment asks first; what it throws is what the disk says. */
function faulty(before: (what: "append" | "sync", path: string) => void, clock?: () => number): Host {
  const host = realHost();
  const appender = (path: string, mode: number): Appender => {
    const file = realDisk.appender(path, mode);
    return {
      get size() {
        return file.size;
      },
      append(bytes) {
        before("append", path);
        file.append(bytes);
      },
      sync() {
        before("sync", path);
        file.sync();
      },
      intact: () => file.intact(),
      close: () => file.close(),
    };
  };
  return { ...host, clock: { ...host.clock, ...(clock && { now: clock }) }, disk: { ...realDisk, appender } };
}

test("what was appended is there again after a restart: entries, head, memory", async () => {
  const w = await world();
  const log = w.open();
  const [one, two] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
  log.append([intent(one), refused(two), { kind: "switch", on: true, why: "" }]);
  const [head, size] = [log.checkpoint(), log.size];
  log.close();
  const again = w.open();
  expect(again.size).toBe(size);
  expect(again.checkpoint()).toBe(head);
  expect(again.memory.ids.get(two)).toMatchObject({ index: 2, kind: "refused" });
  expect(again.memory.open.get(one)).toMatchObject({ index: 1, resource: "group:brokers" });
  expect(again.memory.history.intents.get("brokers-grow")?.length).toBe(1);
  expect(again.memory.switchOn).toBe(true);
  again.append([outcome(one, 1)]);
  expect(again.memory.open.size).toBe(0);
  expect(parseCheckpoint(again.checkpoint())?.root).toEqual(rootOf(again.lines(0, 100)));
  again.close();
});

test("files are the agent's alone, whatever the umask", async () => {
  const before = process.umask(0);
  const w = await world({ segmentBytes: 3000 });
  fill(w.open());
  process.umask(before);
  for (const name of realDisk.list(w.folder).filter((one) => one !== ".leaves"))
    expect({ name, mode: realDisk.stat(join(w.folder, name)).mode }).toEqual({ name, mode: 0o600 });
  for (const name of realDisk.list(join(w.folder, ".leaves")))
    expect(realDisk.stat(join(w.folder, ".leaves", name)).mode).toBe(0o600);
  for (const folder of [w.folder, join(w.folder, ".leaves")]) expect(realDisk.stat(folder).mode).toBe(0o700);
});

test("a second opener is refused while the first lives, in this process and in another, and let in after it", async () => {
  const w = await world();
  const log = w.open();
  expect(() => w.open()).toThrow(LogUnavailable);
  const script = `import { realDisk } from ${JSON.stringify(join(import.meta.dir, "../../agent/host/real.ts"))};
    try { realDisk.lock(process.argv[2]); console.log("got it"); } catch (error) { console.log(error.code); }`;
  const file = join(scratch(), "lock.ts");
  writeFileSync(file, script);
  const other = () => spawnSync(process.execPath, [file, join(w.folder, "lock")], { encoding: "utf8" }).stdout.trim();
  expect(other()).toBe("EBUSY");
  log.close();
  expect(other()).toBe("got it");
  w.open().close();
});

test("a failed sync is final: it throws, and so does every later append, without a second sync", async () => {
  const w = await world();
  let fail = false;
  let syncs = 0;
  const log = w.open(
    faulty((what, path) => {
      if (what !== "sync" || !fail) return;
      syncs += 1;
      throw new DiskError("EIO", path, "lost");
    }),
  );
  fail = true;
  const size = log.size;
  expect(() => log.append([started])).toThrow(LogUnavailable);
  fail = false;
  expect(() => log.append([started])).toThrow(LogUnavailable);
  expect(() => log.tick()).toThrow(LogUnavailable);
  expect({ syncs, size: log.size }).toEqual({ syncs: 1, size });
  log.close();
});

test("on a full disk an outcome is written all the same, no intent may be, and the reserve comes back with the room", async () => {
  const w = await world();
  let full = false;
  const log = w.open(
    faulty((what, path) => {
      // Full until a reserve is given up, as a disk would be.
      if (what === "append" && path.endsWith("jsonl") && full && !released())
        throw new DiskError("ENOSPC", path, "full");
    }),
  );
  let given = 0;
  const there = () => ["ballast", "ballast-outcomes"].filter((name) => realDisk.exists(join(w.folder, name))).length;
  const released = () => there() < 2 - given;
  const id = Bun.randomUUIDv7();
  log.append([intent(id)]);
  expect(log.roomy).toBe(true);
  full = true;
  log.append([started]);
  expect({ roomy: log.roomy, there: there() }).toEqual({ roomy: false, there: 1 });
  given = 1;
  expect(() => log.append([started])).toThrow(LogUnavailable);
  log.append([outcome(id, 1)]);
  expect({ roomy: log.roomy, there: there() }).toEqual({ roomy: false, there: 0 });
  given = 2;
  expect(() => log.append([started])).toThrow(LogUnavailable);
  full = false;
  log.tick();
  expect({ roomy: log.roomy, there: there() }).toEqual({ roomy: true, there: 2 });
  log.append([started]);
  log.close();
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({
    exit: 11,
    size: 5,
    open: [],
    remarks: [],
  });
});

test("on a real full disk (tmpfs) the outcome of an open intent is written, and the log is whole", async () => {
  if (process.getuid?.() !== 0) return void console.log("skipped: mounting a tmpfs needs root");
  const place = scratch();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", place]);
  if (mounted.status !== 0) return void console.log("skipped: a tmpfs cannot be mounted here");
  try {
    const w = await world();
    const folder = join(place, "audit");
    const log = openLog(realHost(), folder, w.as);
    const id = Bun.randomUUIDv7();
    log.append([intent(id)]);
    spawnSync("dd", ["if=/dev/zero", `of=${place}/fill`, "bs=4096"]);
    // Now no block is free. Fill the log's own last block, too, and what the first reserve gave.
    let refusals = 0;
    expect(() => {
      for (; refusals < 5000; refusals++) log.append([refused(Bun.randomUUIDv7())]);
    }).toThrow(LogUnavailable);
    expect(refusals).toBeGreaterThan(100);
    expect(log.roomy).toBe(false);
    log.append([outcome(id, 1)]);
    log.close();
    expect(await verifyLog(realDisk, folder, { ca: w.caPem })).toMatchObject({
      exit: 11,
      open: [],
      size: refusals + 3,
    });
    rmSync(join(place, "fill"));
    const again = openLog(realHost(), folder, w.as);
    expect(again.roomy).toBe(true);
    again.close();
  } finally {
    spawnSync("umount", ["-l", place]);
  }
});

test("EIO of a real fdatasync, injected by strace, ends the log before anything believes the entry", async () => {
  if (spawnSync("strace", ["-V"]).status !== 0) return void console.log("skipped: apt-get install strace");
  const w = await world();
  fill(w.open());
  const size = statSync(join(w.folder, SEGMENT)).size;
  const script = `
    import { realHost } from ${JSON.stringify(join(import.meta.dir, "../../agent/host/real.ts"))};
    import { openLog } from ${JSON.stringify(join(import.meta.dir, "../../agent/audit/log.ts"))};
    import { savedIdentity } from ${JSON.stringify(join(import.meta.dir, "world.ts"))};
    const log = openLog(realHost(), ${JSON.stringify(w.folder)}, savedIdentity(${JSON.stringify(w.folder)}));
    for (let n = 0; n < 2; n++) try { log.append([${JSON.stringify(started)}]); console.log("believed", log.size); } catch (error) { console.log(error.name, log.size); }`;
  const file = join(scratch(), "append.ts");
  writeFileSync(file, script);
  const trace = [
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-P",
    join(w.folder, SEGMENT),
    "-e",
    "inject=fdatasync:error=EIO:when=1",
  ];
  const run = spawnSync("strace", [...trace, process.execPath, file], { encoding: "utf8" });
  const { status, signal, stdout, stderr } = run;
  expect({ status, signal, stderr, stdout }).toEqual({
    status: 0,
    signal: null,
    stderr: "",
    stdout: "LogUnavailable 8\nLogUnavailable 8\n",
  });
  // The line was written, its sync failed: at most this one line is there, and the next start decides by what is on the disk.
  expect(statSync(join(w.folder, SEGMENT)).size).toBeGreaterThanOrEqual(size);
  const log = w.open();
  expect([8, 9]).toContain(log.size);
  log.close();
});

/** Runs a script that prints a size a line, kills it after so many lines, and returns the last size that it printed. */
async function killedAfter(script: string, lines: number): Promise<number | null> {
  const child = Bun.spawn([process.execPath, script], { stdout: "pipe", stderr: "inherit" });
  let said = "";
  for await (const chunk of child.stdout) {
    said += Buffer.from(chunk).toString("utf8");
    if (said.split("\n").length > lines) child.kill("SIGKILL");
  }
  await child.exited;
  const last = said.split("\n").at(-2);
  return last === undefined ? null : Number(last);
}

test("kill -9 at any moment of writing leaves a log that opens, with every entry that was believed", async () => {
  const w = await world({ segmentBytes: 20_000 });
  w.open().close();
  const script = `
    import { writeSync } from "node:fs";
    import { realHost } from ${JSON.stringify(join(import.meta.dir, "../../agent/host/real.ts"))};
    import { openLog } from ${JSON.stringify(join(import.meta.dir, "../../agent/audit/log.ts"))};
    import { savedIdentity } from ${JSON.stringify(join(import.meta.dir, "world.ts"))};
    const log = openLog(realHost(), ${JSON.stringify(w.folder)}, savedIdentity(${JSON.stringify(w.folder)}));
    for (;;) { log.append(Array(7).fill(${JSON.stringify(started)})); writeSync(1, log.size + "\\n"); }`;
  const file = join(scratch(), "append.ts");
  writeFileSync(file, script);
  let before = 1;
  for (let round = 0; round < 6; round++) {
    const believed = (await killedAfter(file, 5 + 7 * round)) ?? before;
    const log = w.open();
    expect(log.size).toBeGreaterThanOrEqual(believed);
    expect(believed).toBeGreaterThanOrEqual(before);
    before = log.size;
    log.close();
    expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(11);
  }
  expect(before).toBeGreaterThan(100);
  expect(realDisk.list(w.folder).filter((name) => name.endsWith(".jsonl")).length).toBeGreaterThan(1);
}, 120_000);

test("a torn last line is moved aside and recorded, at whichever byte the write was cut", async () => {
  const w = await world();
  fill(w.open());
  const line = `${readFileSync(join(w.folder, SEGMENT), "utf8").split("\n")[7]}\n`.replace('"index":7', '"index":8');
  let looked = 0;
  for (let length = 1; length < line.length; length += 3) {
    const folder = join(scratch(), "audit");
    cpSync(w.folder, folder, { recursive: true });
    appendFileSync(join(folder, SEGMENT), line.slice(0, length));
    expect(await verifyLog(realDisk, folder, { ca: w.caPem })).toMatchObject({
      exit: 11,
      size: 8,
      remarks: [expect.stringContaining("cut off")],
    });
    const log = openLog(realHost(), folder, w.as);
    expect(log.size).toBe(9);
    const entry = JSON.parse(log.lines(8, 1)[0] ?? "");
    expect(entry).toMatchObject({ kind: "torn", bytes: length });
    expect(readFileSync(join(folder, entry.name), "utf8")).toBe(line.slice(0, length));
    log.close();
    const again = openLog(realHost(), folder, w.as);
    expect(again.size).toBe(9);
    again.close();
    rmSync(folder, { recursive: true });
    looked += 1;
  }
  expect(looked).toBeGreaterThan(20);
}, 30_000);

test("a whole line beyond the checkpoint is taken in: a crash between the sync and the head loses nothing", async () => {
  const w = await world();
  fill(w.open());
  const bytes = readFileSync(join(w.folder, "checkpoints"), "utf8");
  const records = bytes.split(/(?<=\n)\n(?!\u2014)/);
  writeFileSync(join(w.folder, "checkpoints"), `${records.slice(0, 3).join("\n")}\n`);
  const log = w.open();
  expect(log.size).toBe(8);
  expect(parseCheckpoint(log.checkpoint())?.size).toBe(8);
  log.close();
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(11);
});

test("a log shorter than its newest checkpoint, changed below it, or without its beginning is not opened", async () => {
  const w = await world();
  fill(w.open());
  const bytes = readFileSync(join(w.folder, SEGMENT));
  const path = join(w.folder, SEGMENT);
  const cases: [string, () => void][] = [
    ["shorter by a byte", () => truncateSync(path, bytes.length - 1)],
    ["shorter by a line", () => truncateSync(path, bytes.lastIndexOf(10, bytes.length - 2) + 1)],
    ["changed", () => writeFileSync(path, bytes.toString().replace("told to", "told ot"))],
    ["not JSON", () => writeFileSync(path, bytes.toString().replace('"kind"', '"kind'))],
    ["null", () => writeFileSync(path, bytes.toString().replace(/^.*started.*$/m, "null"))],
    ["longer by nonsense and a line", () => writeFileSync(path, `${bytes}{}\n${bytes}`)],
    ["gone", () => rmSync(path)],
  ];
  for (const [name, damage] of cases) {
    damage();
    expect(() => w.open(), name).toThrow(LogDamaged);
    writeFileSync(path, bytes);
  }
  const other = await world({ epoch: 2 });
  expect(() => openLog(realHost(), w.folder, other.as)).toThrow(LogDamaged);
  w.open().close();
});

test("with older segments moved away the agent starts, and still knows ids, rates, open intents and its policy", async () => {
  const w = await world({ segmentBytes: 6000 });
  const log = w.open();
  const [one, two] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
  log.append([
    intent(one),
    refused(two),
    { kind: "policy", policy: `sha256:${"ab".repeat(32)}`, revision: 7, code: null },
  ]);
  for (let n = 0; n < 90; n++) log.append([started]);
  const size = log.size;
  log.close();
  const names = realDisk.list(w.folder).filter((name) => name.endsWith(".jsonl"));
  expect(names.length).toBeGreaterThan(2);
  const away = scratch();
  for (const name of names.slice(0, -1)) renameSync(join(w.folder, name), join(away, name));
  const again = w.open();
  expect(again.size).toBe(size);
  expect(again.memory.ids.get(one)).toMatchObject({ index: 1, kind: "intent" });
  expect(again.memory.ids.get(two)).toMatchObject({ index: 2, kind: "refused" });
  expect(again.memory.open.get(one)?.index).toBe(1);
  expect(again.memory.history).toMatchObject({ revision: 7 });
  expect(again.memory.history.intents.get("brokers-grow")?.length).toBe(1);
  expect(again.lines(0, 5)).toEqual([]);
  expect(again.lines(size - 1, 5).length).toBe(1);
  again.append([outcome(one, 1)]);
  again.close();
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(12);
  for (const name of names.slice(0, -1)) renameSync(join(away, name), join(w.folder, name));
  expect(await verifyLog(realDisk, w.folder, { ca: w.caPem })).toMatchObject({ exit: 11, size: size + 1 });
});

test("lines are handed out byte for byte, over all segments and from any index", async () => {
  const w = await world({ segmentBytes: 3000 });
  const log = w.open();
  for (let n = 0; n < 60; n++) log.append([started]);
  const all = realDisk
    .list(w.folder)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(w.folder, name), "utf8").trimEnd().split("\n"));
  expect(log.lines(0, 1000)).toEqual(all);
  for (const from of [60, 3, 30, 33, 36, 0, 59, 61, 7]) expect(log.lines(from, 5)).toEqual(all.slice(from, from + 5));
  log.close();
});

test("time never runs behind the newest entry, nor behind the newest head", async () => {
  const w = await world();
  let now = Date.now();
  const log = w.open(
    faulty(
      () => undefined,
      () => now,
    ),
  );
  log.append([started]);
  const newest = log.memory.newest;
  now -= 3600_000;
  log.append([started]);
  expect(log.memory.newest).toBe(newest);
  expect(parseCheckpoint(log.checkpoint())?.time).toBe(newest);
  const head = log.checkpoint();
  log.tick();
  expect(log.checkpoint()).toBe(head);
  now += 2 * 3600_000;
  log.tick();
  expect(parseCheckpoint(log.checkpoint())).toMatchObject({ size: log.size, time: now });
  log.close();
});

test("the checkpoints file stays bounded", async () => {
  const w = await world();
  const log = w.open();
  for (let n = 0; n < 4500; n++) log.append([started]);
  log.close();
  expect(statSync(join(w.folder, "checkpoints")).size).toBeLessThan(1024 * 1024 + 1024);
  expect((await verifyLog(realDisk, w.folder, { ca: w.caPem })).exit).toBe(11);
}, 60_000);

test("an entry that is too long, or not of the schema, is our own mistake: it throws and nothing is written", async () => {
  const w = await world();
  const log = w.open();
  const long = {
    ...refused(Bun.randomUUIDv7()),
    because: "\u20ac".repeat(500),
    hint: "\u20ac".repeat(500),
  } as ReturnType<typeof refused>;
  expect(() => log.append([long])).toThrow(RangeError);
  expect(() => log.append([{ ...started, more: 1 } as never])).toThrow();
  expect(MAX_REFUSAL_ENTRY_BYTES).toBe(2048);
  expect(log.size).toBe(1);
  log.append([started]);
  log.close();
});

test("a read-only folder is a log that cannot be written", async () => {
  if (process.getuid?.() !== 0) return void console.log("skipped: mounting needs root");
  const place = scratch();
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", place]).status !== 0)
    return void console.log("skipped: a tmpfs cannot be mounted here");
  try {
    const w = await world();
    const folder = join(place, "audit");
    openLog(realHost(), folder, w.as).close();
    expect(spawnSync("mount", ["-o", "remount,ro", place]).status).toBe(0);
    expect(() => openLog(realHost(), folder, w.as)).toThrow(LogUnavailable);
  } finally {
    spawnSync("umount", ["-l", place]);
  }
});
