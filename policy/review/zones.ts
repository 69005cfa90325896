/** When the clocks of an IANA zone are changed, as this executable's time zone data have it. Times in milliseconds since 1970. */

const DAY = 86_400_000;

export type Stretch = { readonly from: number; readonly to: number };

const formatters = new Map<string, Intl.DateTimeFormat>();

/** What is to be added to UTC to get the wall clock there, in milliseconds. */
export function offsetAt(zone: string, at: number): number {
  let formatter = formatters.get(zone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    formatters.set(zone, formatter);
  }
  const text = formatter.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const match = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text);
  if (match === null) throw new Error(`the offset of ${zone} could not be read`);
  const [, sign, hours, minutes, seconds] = match;
  const size = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
  return (sign === "-" ? -size : size) * 1000;
}

/** The first whole second after `before` at which the offset is not what it was; it is known to have changed at `after`. */
function changeBetween(zone: string, before: number, after: number): number {
  const offset = offsetAt(zone, before);
  let [low, high] = [before / 1000, after / 1000];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(zone, middle * 1000) === offset) low = middle;
    else high = middle;
  }
  return high * 1000;
}

const kept = new Map<string, readonly number[]>();

/** The changes within the stretch, oldest first. No zone changes twice in a day. Kept: a zone's data do not change while we run. */
export function changesIn(zone: string, { from, to }: Stretch): readonly number[] {
  const key = `${zone} ${from} ${to}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const found: number[] = [];
  for (let at = from, offset = offsetAt(zone, from); at < to; at += DAY) {
    const next = Math.min(at + DAY, to);
    const then = offsetAt(zone, next);
    if (then !== offset) found.push(changeBetween(zone, at, next));
    offset = then;
  }
  kept.set(key, found);
  return found;
}
