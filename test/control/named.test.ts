import "reflect-metadata";
import { expect, test } from "bun:test";
import type { Command } from "commander";
import { sources } from "../architecture/sources.ts";

const { programOf } = await import("../../control/main.ts");

/** The words of each command, groups of commands too: `manifest`, `manifest import`. */
function wordsOf(of: Command, above = ""): string[] {
  return of.commands.flatMap((command) => {
    const words = `${above}${command.name()}`;
    return [words, ...wordsOf(command, `${words} `)];
  });
}

/** Commands that texts tell people to run, in backquotes or as a page's code. */
const NAMED = /(?:`|<code>)reeve-control((?: [a-z][a-z-]*)+)/g;

test("each command of reeve-control that a page, a hint or a refusal names exists", () => {
  const known = new Set([...wordsOf(programOf()), "help"]);
  const groups = new Set([...known].filter((words) => [...known].some((other) => other.startsWith(`${words} `))));
  const named = sources(["agent", "policy", "providers", "control"]).flatMap(({ path, text }) =>
    [...text.matchAll(NAMED)].map(([, words = ""]) => ({ path, words: words.trim().split(" ") })),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.some(({ path }) => path.startsWith("control/pages/"))).toBe(true);
  // Behind a command that has none below it stands what it is given.
  const wrong = named.filter(({ words }) => {
    const last = words.findIndex((_, at) => !groups.has(words.slice(0, at + 1).join(" ")));
    return last >= 0 && !known.has(words.slice(0, last + 1).join(" "));
  });
  expect(wrong).toEqual([]);
});
