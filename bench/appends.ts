import { Database } from "bun:sqlite";
import {
  closeSync,
  constants,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type Effort, type Figure, inTurn, perSecond, times } from "./figure.ts";
import { benchLog, sampleEntry } from "./log.ts";

const TARGET_OF_RAW = 1.5;

/** One line of a segment that the log itself wrote: its rivals write these very bytes. */
function sampleLine(scratch: string): Uint8Array {
  const folder = mkdtempSync(join(scratch, "sample-"));
  const log = benchLog(folder);
  log.append([sampleEntry(Bun.randomUUIDv7())]);
  log.close();
  const audit = join(folder, "audit");
  const segment = readdirSync(audit).find((name) => name.endsWith(".jsonl"));
  if (segment === undefined) throw new Error("the log wrote no segment");
  const line = readFileSync(join(audit, segment), "utf8").trimEnd().split("\n").at(-1);
  return new TextEncoder().encode(`${line}\n`);
}

function perEntry(groups: number, size: number, append: () => void): number {
  const start = Bun.nanoseconds();
  for (let at = 0; at < groups; at++) append();
  return (Bun.nanoseconds() - start) / (groups * size);
}

/** What stands for appending `size` entries, three ways; `close` frees what they hold. */
function rivals(scratch: string, line: Uint8Array, size: number) {
  const folder = mkdtempSync(join(scratch, "rivals-"));
  mkdirSync(join(folder, "reeve"));
  const log = benchLog(join(folder, "reeve"));
  const raw = openSync(join(folder, "raw"), constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND, 0o600);
  const group = Buffer.concat(Array.from({ length: size }, () => line));
  const db = new Database(join(folder, "sqlite"), { create: true, strict: true });
  db.run("PRAGMA journal_mode=WAL");
  db.run("PRAGMA synchronous=FULL");
  db.run("CREATE TABLE entries (at INTEGER PRIMARY KEY, line BLOB NOT NULL)");
  const insert = db.prepare("INSERT INTO entries (line) VALUES (?)");
  const insertGroup = db.transaction(() => {
    for (let at = 0; at < size; at++) insert.run(line);
  });
  return {
    reeve: () => void log.append(Array.from({ length: size }, () => sampleEntry(Bun.randomUUIDv7()))),
    raw: () => {
      if (writeSync(raw, group) !== group.length) throw new Error("a short write");
      fdatasyncSync(raw);
    },
    sqlite: () => insertGroup(),
    close() {
      log.close();
      closeSync(raw);
      db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Log appends in groups of 1 and of 100, beside raw `write` and `fdatasync` of the same bytes, and beside SQLite (WAL, FULL). */
export async function appends({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const line = sampleLine(scratch);
  const figures: Figure[] = [];
  for (const size of [1, 100]) {
    const groups = Math.ceil((quick ? 50 : 300) / (size === 1 ? 1 : 4));
    const each = rivals(scratch, line, size);
    const taken = await inTurn(
      {
        raw: () => perEntry(groups, size, each.raw),
        reeve: () => perEntry(groups, size, each.reeve),
        sqlite: () => perEntry(groups, size, each.sqlite),
      },
      quick ? 3 : 9,
    );
    each.close();
    const what = `log appends by ${size}, entries of ${line.length} bytes`;
    const target = size === 100 ? `within ${TARGET_OF_RAW}×` : "none";
    const ratio = taken.reeve / taken.raw;
    figures.push({
      what,
      ours: perSecond(taken.reeve),
      beside: `write + fdatasync ${perSecond(taken.raw)}`,
      ratio: times(ratio),
      target,
      reached: size !== 100 || ratio <= TARGET_OF_RAW,
    });
    figures.push({
      what,
      ours: perSecond(taken.reeve),
      beside: `SQLite ${perSecond(taken.sqlite)}`,
      ratio: times(taken.reeve / taken.sqlite),
      target: "none",
      reached: true,
    });
  }
  return figures;
}
