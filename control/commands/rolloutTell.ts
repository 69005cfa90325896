import type { Summary } from "../rollout/read.ts";
import { lineOf, summaryText } from "../rollout/text.ts";
import { out } from "./state.ts";

/**
 * Shows a rollout again and again: on a terminal the whole table in its place, elsewhere a line for each change, with `json` the summary as a
 * line.
 */
export function teller(json: boolean): { show(summary: Summary): void; end(): void } {
  const live = !json && process.stdout.isTTY === true;
  let last = "";
  let height = 0;
  return {
    show(summary) {
      const text = json ? `${JSON.stringify(summary)}\n` : live ? summaryText(summary) : `${lineOf(summary)}\n`;
      if (text === last) return;
      last = text;
      // Up to the first line of what was shown, and away with it (ECMA-48 CPL and ED).
      if (live && height > 0) out(`\u001b[${height}F\u001b[J`);
      height = text.split("\n").length - 1;
      out(text);
    },
    end() {
      height = 0;
    },
  };
}
