/** Durations (`30d`, integer and s m h d) in seconds, rates (`4 per hour`), and times (`2026-11-24T09:00:00Z`). */
const UNITS = { s: 1, m: 60, h: 3600, d: 86400 } as const;
export const DURATION = /^(?:0|[1-9]\d{0,7})[smhd]$/;

/** Seconds of a duration that DURATION matches. */
export function durationSeconds(text: string): number {
  const unit = UNITS[text.slice(-1) as keyof typeof UNITS];
  if (!DURATION.test(text) || unit === undefined) throw new Error("a duration was not checked");
  return Number(text.slice(0, -1)) * unit;
}

/** The shortest spelling: 3600 is `1h`. */
export function durationText(seconds: number): string {
  for (const unit of ["d", "h", "m"] as const) {
    if (seconds > 0 && seconds % UNITS[unit] === 0) return `${seconds / UNITS[unit]}${unit}`;
  }
  return `${seconds}s`;
}

const PERIODS = { minute: 60, hour: 3600, day: 86400, week: 604800 } as const;
export type Rate = { readonly times: number; readonly per: keyof typeof PERIODS; readonly seconds: number };
export const RATE = /^([1-9]\d{0,5}) per (minute|hour|day|week)$/;

export function parseRate(text: string): Rate {
  const match = RATE.exec(text);
  const per = match?.[2] as Rate["per"] | undefined;
  if (match === null || per === undefined) throw new Error("a rate was not checked");
  return { times: Number(match[1]), per, seconds: PERIODS[per] };
}

export function rateText(rate: Rate): string {
  return `${rate.times} per ${rate.per}`;
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?Z$/;

/** Milliseconds since 1970 of an RFC 3339 time in UTC, seconds optional; null when there is no such time (30 February, 24:00). */
export function parseTime(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1).map((part) => Number(part ?? "0"));
  // biome-ignore lint/style/noRestrictedGlobals: arithmetic on a time that was given; the clock is not read
  const at = Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0, hour ?? 0, minute ?? 0, second ?? 0);
  // Date.UTC carries 30 February into March: only what comes out as it went in is a time.
  const full = match[6] === undefined ? `${text.slice(0, -1)}:00Z` : text;
  return timeText(at) === full ? at : null;
}

/** RFC 3339 in UTC, whole seconds. */
export function timeText(milliseconds: number): string {
  // biome-ignore lint/style/noRestrictedGlobals: arithmetic on a time that was given; the clock is not read
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
