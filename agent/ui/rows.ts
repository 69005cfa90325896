import type { Entry } from "../audit/entry.ts";
import { type Filter, type Intent, matches, outcomeOf } from "../audit/filter.ts";
import { readLine } from "../audit/line.ts";
import { timeOf } from "../audit/time.ts";
import type { Disk } from "../host/host.ts";
import { backwards, endOf, lineAt, placeBefore } from "./lines.ts";
import type { Place, Rows } from "./shapes.ts";

/** Lines that one answer looks at, at most: a page never waits for the whole of a long log. */
export const MAX_LOOKED_LINES = 10_000;
export const MAX_ROWS = 50;

/** `from`: null begins at the newest line. `most`: of rows. */
export function rowsFrom(disk: Disk, folder: string, from: Place | null, filter: Filter, most: number): Rows {
  const begin = from ?? (filter.until === null ? endOf(disk, folder) : placeBefore(disk, folder, filter.until));
  const rows = { lines: [] as string[], bad: [] as string[], next: null as Place | null, back: null as string | null };
  if (begin === null) return rows;
  const everything = filter.action === null && filter.command === null && filter.outcome === null;
  /** Intents that were given with their outcomes. */
  const given = new Set<number>();
  let looked = 0;
  let made = 0;
  for (const { line, place } of backwards(disk, folder, begin)) {
    if (made >= most || looked >= MAX_LOOKED_LINES) return rows;
    rows.next = place;
    looked += 1;
    const read = readLine(line);
    if (!("entry" in read)) {
      rows.bad.push(line);
      continue;
    }
    const { entry } = read;
    if (filter.since !== null && (timeOf(entry.time) ?? 0) < filter.since) break;
    rows.back = entry.time;
    if (given.has(entry.index) || !(everything || isOfCommand(entry))) continue;
    const intent = entry.kind === "outcome" ? intentOf(disk, folder, entry.intent) : null;
    if (!matches(filter, entry, intent?.entry ?? null)) continue;
    made += 1;
    rows.lines.push(line);
    if (intent === null) continue;
    rows.lines.push(intent.line);
    given.add(intent.entry.index);
  }
  rows.next = null;
  return rows;
}

function isOfCommand(entry: Entry): boolean {
  return outcomeOf(entry) !== null || entry.kind === "intent" || entry.kind === "approval";
}

function intentOf(disk: Disk, folder: string, index: number): { readonly line: string; readonly entry: Intent } | null {
  const line = lineAt(disk, folder, index);
  const read = line === null ? null : readLine(line);
  return line !== null && read !== null && "entry" in read && read.entry.kind === "intent"
    ? { line, entry: read.entry }
    : null;
}
