import { parseTime } from "./duration.ts";

/**
 * When a rule may be used. Three spellings:
 * - `always`
 * - `Mon-Fri 08:00-17:00 Europe/Berlin`: days (one, a range inside the week Mon…Sun, or several by commas), from (included)
 *   to (excluded, at most 24:00) by the wall clock of an IANA zone. A window over midnight is two rules, so it is refused.
 *   When the clock is put forward the hour that is skipped does not exist; when it is put back both hours of that name count.
 * - `2026-12-01T08:00Z to 2026-12-02T08:00Z`: from (included) to (excluded), UTC.
 */
export type When =
  | { readonly kind: "always" }
  | {
      readonly kind: "weekly";
      /** 0 is Monday. */
      readonly days: readonly number[];
      /** Minutes since midnight. */
      readonly from: number;
      readonly to: number;
      readonly zone: string;
      readonly text: string;
    }
  | { readonly kind: "dated"; readonly from: number; readonly to: number; readonly text: string };

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY = `(?:${DAYS.join("|")})`;
const WEEKLY = new RegExp(`^(${DAY}(?:-${DAY})?(?:,${DAY}(?:-${DAY})?)*) (\\d\\d):(\\d\\d)-(\\d\\d):(\\d\\d) (\\S+)$`);
const DATED = /^(\S+) to (\S+)$/;
/** Area/City or UTC: an offset or an abbreviation is not a zone, it knows no summer time. */
const ZONE = /^(?:UTC|[A-Z][A-Za-z_]+(?:\/[A-Za-z0-9_+-]+)+)$/;

// One formatter a zone: making one costs more than a decision. There are only some 600 zones.
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(zone: string): Intl.DateTimeFormat {
  const kept = formatters.get(zone);
  if (kept !== undefined) return kept;
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  formatters.set(zone, made);
  return made;
}

function isZone(zone: string): boolean {
  if (!ZONE.test(zone)) return false;
  try {
    formatterOf(zone);
    return true;
  } catch {
    return false;
  }
}

function parseDays(text: string): readonly number[] | null {
  const days = new Set<number>();
  for (const part of text.split(",")) {
    const [first, last = first] = part.split("-").map((day) => DAYS.indexOf(day));
    if (first === undefined || last === undefined || first > last) return null;
    for (let day = first; day <= last; day++) {
      if (days.has(day)) return null;
      days.add(day);
    }
  }
  return [...days].sort((a, b) => a - b);
}

function minutes(hour: string | undefined, minute: string | undefined): number | null {
  const [h, m] = [Number(hour), Number(minute)];
  return m < 60 && (h < 24 || (h === 24 && m === 0)) ? h * 60 + m : null;
}

function parseWeekly(text: string, match: RegExpExecArray): When | { readonly fault: string } {
  const days = parseDays(match[1] ?? "");
  if (days === null) return { fault: "days run forward inside a week Mon…Sun, each once" };
  const from = minutes(match[2], match[3]);
  const to = minutes(match[4], match[5]);
  if (from === null || to === null) return { fault: "hours are 00:00 to 24:00" };
  if (from >= to)
    return { fault: "a window ends after it begins, on the same day: write one over midnight as two rules" };
  const zone = match[6] ?? "";
  if (!isZone(zone)) return { fault: "the zone is not an IANA name such as Europe/Berlin or UTC" };
  return { kind: "weekly", days, from, to, zone, text };
}

export function parseWhen(text: string): When | { readonly fault: string } {
  if (text === "always") return { kind: "always" };
  const weekly = WEEKLY.exec(text);
  if (weekly !== null) return parseWeekly(text, weekly);
  const dated = DATED.exec(text);
  if (dated !== null) {
    const from = parseTime(dated[1] ?? "");
    const to = parseTime(dated[2] ?? "");
    if (from === null || to === null) return { fault: "times are written 2026-12-01T08:00Z" };
    return from < to ? { kind: "dated", from, to, text } : { fault: "a window ends after it begins" };
  }
  return { fault: "`always`, `Mon-Fri 08:00-17:00 Europe/Berlin` or `2026-12-01T08:00Z to 2026-12-02T08:00Z`" };
}

/** Day (0 is Monday) and minute of the wall clock there. */
function wallClock(zone: string, at: number): { readonly day: number; readonly minute: number } {
  const parts = formatterOf(zone).formatToParts(at);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? "";
  const day = DAYS.indexOf(part("weekday"));
  const minute = minutes(part("hour"), part("minute"));
  if (day < 0 || minute === null) throw new Error("the time zone's clock could not be read");
  return { day, minute };
}

/** Whether the window is open at a time, in milliseconds since 1970. */
export function isOpen(when: When, at: number): boolean {
  switch (when.kind) {
    case "always":
      return true;
    case "dated":
      return when.from <= at && at < when.to;
    case "weekly": {
      const { day, minute } = wallClock(when.zone, at);
      return when.days.includes(day) && when.from <= minute && minute < when.to;
    }
  }
}

export function whenText(when: When): string {
  return when.kind === "always" ? "always" : when.text;
}
