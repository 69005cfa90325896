import type { DnsArgs } from "../policy/asked.ts";
import type { Changed, RecordState } from "./provider.ts";

/** RFC 2181 section 8: a TTL has 31 bits. */
export const MAX_TTL_SECONDS = 2 ** 31 - 1;

/** A record set as a policy judges it; null: there is none. */
export type Judged = RecordState["record"];

export function same(a: Judged, b: Judged): boolean {
  if (a === null || b === null) return a === b;
  const text = ({ values }: NonNullable<Judged>): string => JSON.stringify([...new Set(values)].sort());
  return a.ttl === b.ttl && text(a) === text(b);
}

/** An intent holds at most 64 values of at most 4096 characters, in a line under 64 KiB. */
export function fitsEntry({ values }: NonNullable<Judged>): boolean {
  return (
    values.length <= 64 &&
    values.every((value) => value.length <= 4096) &&
    Buffer.byteLength(JSON.stringify(values)) <= 16 * 1024
  );
}

export function changes({ name, type }: DnsArgs, from: Judged, to: Judged): Changed[] {
  if (same(from, to)) return [];
  const text = (set: Judged): string | null =>
    set === null ? null : `${[...set.values].sort().join(" ")} ttl ${set.ttl}`.slice(0, 4096).toWellFormed();
  return [{ what: `${name} ${type}`, from: text(from), to: text(to) }];
}
