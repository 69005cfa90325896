import type { Migrations } from "../migrations.ts";
import type { Sql } from "../store.ts";
import { nowSeconds } from "../store.ts";

const FIRST: readonly string[] = [
  `create table if not exists witnessed_logs (origin text primary key, agent text not null, epoch bigint not null,
    first text not null, size bigint not null, root text not null, note text not null, at bigint not null, ended_by text)`,
  "create index if not exists witnessed_logs_by_agent on witnessed_logs (agent, epoch)",
  `create table if not exists witnessed_keys (origin text not null, position bigint not null, log_key text not null, line text not null,
    primary key (origin, position))`,
  `create table if not exists witness_refusals (origin text not null, kind text not null, about text not null, words text not null,
    note text not null, at bigint not null, primary key (origin, kind, about))`,
];

/** What a witness remembers, in a SQLite file of its own. */
export const WITNESS_MIGRATIONS: Migrations = [["0001-first", FIRST]];

/** A log that this witness knows. `size` 0: it has cosigned nothing of it yet. */
export type LogRow = {
  readonly origin: string;
  /** The agent's SPIFFE ID. */
  readonly agent: string;
  readonly epoch: number;
  /** Entry 0, as it was shown. */
  readonly first: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** The newest checkpoint with this witness's line; "" before the first. */
  readonly note: string;
  /** Unix seconds of the newest cosignature; 0 before the first. */
  readonly at: number;
  /** The origin of a later epoch: nothing of this one is taken any more. Null while there is none. */
  readonly ended_by: string | null;
};
/** A key of a log, and the first index that it may sign. */
export type KeyRow = { readonly origin: string; readonly position: number; readonly log_key: string };
/** Why a checkpoint or a log was refused that its own key had signed: evidence against whoever holds that key. */
export type RefusalKind = "rolled-back" | "forked" | "second-key" | "older-epoch" | "older-key" | "epoch-cut";
export type RefusalRow = {
  readonly origin: string;
  readonly kind: RefusalKind;
  readonly about: string;
  readonly words: string;
  /** What was refused, as it came. */
  readonly note: string;
  readonly at: number;
};
const MAX_REFUSALS_PER_LOG = 64;

export async function readLog(sql: Sql, origin: string): Promise<LogRow | null> {
  const [row] = await sql.rows<LogRow>("select * from witnessed_logs where origin = $1", origin);
  return row ?? null;
}

export async function readKeys(sql: Sql, origin: string): Promise<KeyRow[]> {
  return sql.rows<KeyRow>(
    "select origin, position, log_key from witnessed_keys where origin = $1 order by position",
    origin,
  );
}

/**
 * Forgets a log and its keys, as if it had never been shown: what it ended goes on. Evidence stays. False when it is not known.
 */
export async function forgetLog(sql: Sql, origin: string): Promise<boolean> {
  const log = await readLog(sql, origin);
  if (log === null) return false;
  const [next] = await sql.rows<LogRow>(
    "select * from witnessed_logs where agent = $1 and epoch > $2 order by epoch limit 1",
    log.agent,
    log.epoch,
  );
  await sql.run("update witnessed_logs set ended_by = $1 where ended_by = $2", next?.origin ?? null, origin);
  await sql.run("delete from witnessed_keys where origin = $1", origin);
  await sql.run("delete from witnessed_logs where origin = $1", origin);
  return true;
}

/** Keeps evidence, once for each thing that it is about, and bounded: whoever holds a log's key cannot fill the disk with it. */
export async function keepRefusal(sql: Sql, refusal: Omit<RefusalRow, "at">): Promise<void> {
  const { origin, kind, about, words, note } = refusal;
  const [count] = await sql.rows<{ n: number }>("select count(*) as n from witness_refusals where origin = $1", origin);
  if ((count?.n ?? 0) >= MAX_REFUSALS_PER_LOG) return;
  await sql.run(
    `insert into witness_refusals (origin, kind, about, words, note, at) values ($1, $2, $3, $4, $5, $6)
     on conflict (origin, kind, about) do nothing`,
    origin,
    kind,
    about,
    words,
    note,
    nowSeconds(),
  );
}

export async function readLogs(sql: Sql): Promise<LogRow[]> {
  return sql.rows<LogRow>("select * from witnessed_logs order by agent, epoch");
}

export async function readRefusals(sql: Sql): Promise<RefusalRow[]> {
  return sql.rows<RefusalRow>("select * from witness_refusals order by at, origin, kind");
}
