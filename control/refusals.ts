import type { Entry } from "../agent/audit/entry.ts";
import { timeOf } from "../agent/audit/time.ts";
import type { Peer } from "./peer.ts";
import { nowSeconds, type Sql } from "./store.ts";

/**
 * How often agents refused, by code and by the field that failed, as their entries say: hour by hour for a week, and in all. Nobody reads a thousand
 * logs for it. Rows are by cluster, so that two agents' reports never wait for one row, and codes, fields and hours are few: no agent can fill it.
 */
export const REFUSALS_SCHEMA: readonly string[] = [
  `create table if not exists refusal_hours (cluster text not null, hour bigint not null, code text not null, field text not null,
    times bigint not null, primary key (cluster, hour, code, field))`,
  "create index if not exists refusal_hours_by_hour on refusal_hours (hour)",
  `create table if not exists refusal_totals (cluster text not null, code text not null, times bigint not null,
    primary key (cluster, code))`,
];
const HOUR_SECONDS = 3600;
const DAY_HOURS = 24;
const WEEK_HOURS = 7 * DAY_HOURS;
/** Fields that a refusal names (policy/); what is none of them is an agent's own word. */
const FIELDS: ReadonlySet<string> = new Set([
  ..."approval change changes command_keys count csr dry_run image key manifest names people place policy rate revision".split(
    " ",
  ),
  ..."rules share signers tests ttl types unavailable usages validity values version when".split(" "),
]);
const NO_FIELD = "";
const OTHER_FIELD = "other";

type Refusing = Extract<Entry, { kind: "refused" | "rejected" }>;

/** One refusal that was handed in. An hour to come is this one: a cluster's clock is its own. */
export async function countRefusal(sql: Sql, peer: Pick<Peer, "cluster">, entry: Refusing): Promise<void> {
  await sql.run(
    `insert into refusal_totals (cluster, code, times) values ($1, $2, 1)
     on conflict (cluster, code) do update set times = refusal_totals.times + 1`,
    peer.cluster,
    entry.code,
  );
  const now = hourOf(nowSeconds());
  const hour = Math.min(now, hourOf((timeOf(entry.time) ?? 0) / 1000));
  if (hour <= now - WEEK_HOURS) return;
  await sql.run("delete from refusal_hours where cluster = $1 and hour <= $2", peer.cluster, now - WEEK_HOURS);
  await sql.run(
    `insert into refusal_hours (cluster, hour, code, field, times) values ($1, $2, $3, $4, 1)
     on conflict (cluster, hour, code, field) do update set times = refusal_hours.times + 1`,
    peer.cluster,
    hour,
    entry.code,
    fieldOf(entry),
  );
}

function hourOf(seconds: number): number {
  return Math.floor(seconds / HOUR_SECONDS);
}

function fieldOf(entry: Refusing): string {
  const field = entry.kind === "refused" ? entry.field : null;
  if (field === null) return NO_FIELD;
  return FIELDS.has(field) ? field : OTHER_FIELD;
}

export type Refusals = {
  readonly code: string;
  /** The field of the rule that failed; empty where a refusal names none. */
  readonly field: string;
  /** In the last 24 hours, and in the last 7 days, by whole hours of the clusters' clocks. */
  readonly day: number;
  readonly week: number;
};

/** Of one cluster, or of all; what was refused most stands first. */
export async function readRefusals(sql: Sql, cluster: string | null): Promise<Refusals[]> {
  const now = hourOf(nowSeconds());
  const since = async (hours: number): Promise<Map<string, number>> => {
    const text = `select code, field, cast(sum(times) as bigint) as times from refusal_hours where hour > $1
      ${cluster === null ? "and $2 = ''" : "and cluster = $2"} group by code, field`;
    const rows = await sql.rows<{ code: string; field: string; times: number }>(text, now - hours, cluster ?? "");
    return new Map(rows.map(({ code, field, times }) => [`${code} ${field}`, times]));
  };
  const [day, week] = [await since(DAY_HOURS), await since(WEEK_HOURS)];
  return [...week]
    .map(([key, times]) => {
      const [code = "", field = ""] = key.split(" ");
      return { code, field, day: day.get(key) ?? 0, week: times };
    })
    .sort((one, other) => other.week - one.week || (one.code < other.code ? -1 : 1));
}

/** Since the control plane began, by code. */
export async function readRefusalTotals(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql.rows<{ code: string; times: number }>(
    "select code, cast(sum(times) as bigint) as times from refusal_totals group by code order by code",
  );
  return new Map(rows.map(({ code, times }) => [code, times]));
}
