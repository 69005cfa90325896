import type { Summary } from "../rollout/read.ts";
import { lineOf, summaryText } from "../rollout/text.ts";
import { out } from "./state.ts";

/**
 * Shows a rollout again and again: on a terminal the whole table in its place, elsewhere a line for each change, with `json` the summary as a
 * line.
 */
export function teller(json: boolean): { show(summary: Summary): void } {
  const live = !json && process.stdout.isTTY === true;
  let last = "";
  return {
    show(summary) {
      const text = json ? `${JSON.stringify(summary)}\n` : live ? summaryText(summary) : `${lineOf(summary)}\n`;
      if (text === last) return;
      // Up to the first line of what was shown, and away with it (ECMA-48 CPL and ED).
      if (live && last !== "") out(`\u001b[${heightOf(last, process.stdout.columns)}F\u001b[J`);
      last = text;
      out(text);
    },
  };
}

/** Rows of a terminal that lines take: what is wider than it goes on in the next row. `columns`: 0 when it does not say. */
function heightOf(text: string, columns: number): number {
  const rows = (line: string): number => (columns > 0 ? Math.max(1, Math.ceil(Bun.stringWidth(line) / columns)) : 1);
  return text
    .slice(0, -1)
    .split("\n")
    .reduce((sum, line) => sum + rows(line), 0);
}
