import { printable } from "../render.ts";
import type { Level, Line } from "./line.ts";

const CHECK_WIDTH = 11;

/** Lines for people: the level first, what to do below. Others' words are escaped. */
export function linesText(lines: readonly Line[]): string {
  return [...lines.flatMap(wordsOf), tallyText(lines), ""].join("\n");
}

function wordsOf({ check, level, looked_at, found, hint }: Line): string[] {
  const head = `${level.padEnd(4)}  ${check.padEnd(CHECK_WIDTH)}  ${printable(looked_at)}: ${printable(found)}`;
  return hint === null ? [head] : [head, `      hint: ${printable(hint)}`];
}

export function countOf(lines: readonly Line[], level: Level): number {
  return lines.filter((line) => line.level === level).length;
}

function tallyText(lines: readonly Line[]): string {
  return `${countOf(lines, "ok")} ok, ${countOf(lines, "warn")} warn, ${countOf(lines, "fail")} fail`;
}

/** The same as one JSON object. */
export function linesJson(lines: readonly Line[], facts: { readonly version: string; readonly time: string }): string {
  const escaped = lines.map((line) => ({
    ...line,
    looked_at: printable(line.looked_at),
    found: printable(line.found),
    hint: line.hint === null ? null : printable(line.hint),
  }));
  const tally = { ok: countOf(lines, "ok"), warn: countOf(lines, "warn"), fail: countOf(lines, "fail") };
  return JSON.stringify({ ...facts, ...tally, lines: escaped });
}
