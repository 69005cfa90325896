/** What doctor looks at, in its order. */
export const CHECKS = [
  "environment",
  "config",
  "policy",
  "switch",
  "owner",
  "approvals",
  "clock",
  "disk",
  "permissions",
  "dns",
  "tls-pin",
  "proxy",
  "endpoint",
  "enrolment",
  "epoch",
  "trust",
  "log",
  "contact",
  "witness",
  "provider",
] as const;
export type Check = (typeof CHECKS)[number];
export type Level = "ok" | "warn" | "fail";

/** One thing that was looked at. Words of others stand in `looked_at` and `found` as they are: whoever prints them escapes them. */
export type Line = {
  readonly check: Check;
  readonly level: Level;
  readonly looked_at: string;
  /** What is the case. */
  readonly found: string;
  /** What to do; null when nothing is to be done. */
  readonly hint: string | null;
};

export function ok(check: Check, looked_at: string, found: string): Line {
  return { check, level: "ok", looked_at, found, hint: null };
}
export function warn(check: Check, looked_at: string, found: string, hint: string): Line {
  return { check, level: "warn", looked_at, found, hint };
}
export function fail(check: Check, looked_at: string, found: string, hint: string): Line {
  return { check, level: "fail", looked_at, found, hint };
}

/** `3 h 5 min`, for people: two units at most. `milliseconds` may be negative. */
export function span(milliseconds: number): string {
  let seconds = Math.round(Math.abs(milliseconds) / 1000);
  const parts: string[] = [];
  for (const [unit, length] of [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** `1.5 GiB`, for people. */
export function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let value = bytes;
  for (; value >= 1024 && at < units.length - 1; at++) value /= 1024;
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}
