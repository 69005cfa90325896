import { timeText } from "../policy/duration.ts";

/** The config's line by which the machine that joins now, or within half a day, is its cluster's first. */
export function firstUntil(): string {
  return `first_until: ${timeText(Date.now() + 12 * 3_600_000)}\n`;
}
