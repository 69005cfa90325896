import { type Command, InvalidArgumentError } from "commander";
import { type AskedOutcome, type FilterWish, OUTCOMES } from "../audit/filter.ts";

/** A moment, or how long ago: milliseconds. */
export type Moment = { readonly at: number } | { readonly ago: number };
export type FilterFlags = {
  readonly since?: Moment;
  readonly until?: Moment;
  readonly action?: string;
  readonly command?: string;
  readonly outcome?: AskedOutcome;
};

/** Adds the flags by which entries are chosen, the same wherever the log is read. */
export function filterFlags(command: Command): Command {
  return command
    .option(
      "--since <when>",
      "only entries from then on: 2026-11-24, 2026-11-24T09:00:00Z, or 30d, 12h, 15m ago",
      moment,
    )
    .option("--until <when>", "only entries before then", moment)
    .option("--action <name>", "only entries of this action: scale, issue-certificate, …")
    .option("--command <id>", "only entries of this command")
    .option("--outcome <what>", `only entries that say this: ${OUTCOMES.join(", ")}`, outcome);
}

/** `now`: milliseconds since 1970. */
export function wishOfFlags({ since, until, action, command, outcome }: FilterFlags, now: number): FilterWish {
  return {
    since: since === undefined ? null : momentMs(since, now),
    until: until === undefined ? null : momentMs(until, now),
    action: action ?? null,
    command: command ?? null,
    outcome: outcome ?? null,
  };
}

export function momentMs(moment: Moment, now: number): number {
  return "at" in moment ? moment.at : now - moment.ago;
}

const AGO = /^([1-9]\d{0,5})([smhd])$/;
const SECONDS = { s: 1, m: 60, h: 3600, d: 24 * 3600 } as const;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** A day (UTC), a moment with its offset, or a duration back from now. */
export function moment(text: string): Moment {
  const [, count, unit] = AGO.exec(text) ?? [];
  if (count !== undefined) return { ago: Number(count) * SECONDS[unit as keyof typeof SECONDS] * 1000 };
  try {
    return { at: Temporal.Instant.from(DAY.test(text) ? `${text}T00:00:00Z` : text).epochMilliseconds };
  } catch {
    throw new InvalidArgumentError(
      "a day such as 2026-11-24, a moment such as 2026-11-24T09:00:00Z, or 30d, 12h, 15m.",
    );
  }
}

function outcome(text: string): AskedOutcome {
  const found = OUTCOMES.find((one) => one === text);
  if (found === undefined) throw new InvalidArgumentError(`one of ${OUTCOMES.join(", ")}.`);
  return found;
}
