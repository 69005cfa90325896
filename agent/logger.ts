import { timeText } from "./audit/time.ts";
import { printable } from "./render.ts";

export type Level = "info" | "warn" | "error";
export type Logger = (
  level: Level,
  message: string,
  facts?: Readonly<Record<string, string | number | boolean | null>>,
) => void;

/** Structured lines: JSON for machines, words for a terminal. `write` gets whole lines. */
export function logger(now: () => number, human: boolean, write: (line: string) => void): Logger {
  return (level, message, facts = {}) => {
    const time = timeText(now());
    if (!human) return write(`${JSON.stringify({ time, level, message, ...facts })}\n`);
    const more = Object.entries(facts).map(([name, value]) => `${name}=${printable(String(value))}`);
    write(`${time.slice(11, 19)} ${level === "info" ? "" : `${level}: `}${[printable(message), ...more].join("  ")}\n`);
  };
}
