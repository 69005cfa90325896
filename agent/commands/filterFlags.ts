import { type Command, InvalidArgumentError, Option } from "commander";
import type { Filter } from "../audit/filter.ts";
import { ACTIONS, type Action, OUTCOMES, type OutcomeWord } from "../audit/filterWords.ts";

export type FilterOptions = {
  readonly since?: number;
  readonly until?: number;
  readonly action?: Action;
  readonly command?: string;
  readonly outcome?: OutcomeWord;
};

/** Adds the flags by which `audit show` and `audit export` leave entries out. */
export function withFilterFlags(command: Command): Command {
  return command
    .option("--since <time>", "leave out what was before, e.g. 2026-11-01T00:00:00Z", instant)
    .option("--until <time>", "leave out what was from then on", instant)
    .addOption(new Option("--action <action>", "only entries of commands of this action").choices(ACTIONS))
    .option("--command <id>", "only entries of this command")
    .addOption(new Option("--outcome <outcome>", "only entries by which a command ended so").choices(OUTCOMES));
}

export function filterOf(options: FilterOptions): Filter {
  return {
    since: options.since ?? null,
    until: options.until ?? null,
    action: options.action ?? null,
    command: options.command ?? null,
    outcome: options.outcome ?? null,
  };
}

/** A moment, or the beginning of a day: milliseconds since 1970. */
export function instant(text: string): number {
  try {
    return Temporal.Instant.from(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text).epochMilliseconds;
  } catch {
    throw new InvalidArgumentError("a time such as 2026-11-24T09:00:00Z, or a day such as 2026-11-24.");
  }
}
