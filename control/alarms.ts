import { createHash } from "node:crypto";
import { nowSeconds, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

export type Alarm = {
  /** Names this alarm, as long as it stands. */
  readonly id: string;
  readonly cluster: string;
  readonly kind: string;
  readonly words: string;
  /** Seconds since 1970. */
  readonly at: number;
};
/** An alarm that an operator has looked at. */
export type ClearedAlarm = Alarm & {
  readonly cleared_at: number;
  readonly cleared_by: string;
  readonly cleared_why: string;
};
type Row = Omit<Alarm, "id"> & { readonly about: string };

/** Those that stand, oldest first; of one cluster, or of all. */
export async function readAlarms(sql: Sql, cluster: string | null): Promise<Alarm[]> {
  return (await standing(sql, cluster)).map(alarmOf);
}

/** The newest ones that stand, newest first, at most `most`; of each cluster the newest of each kind, so that no cluster hides another's. */
export async function newestAlarms(sql: Sql, cluster: string | null, most: number): Promise<Alarm[]> {
  const text = `select a.cluster as cluster, a.kind as kind, a.about as about, a.words as words, a.at as at from alarms a
    where ${cluster === null ? "$1 = ''" : "a.cluster = $1"} and not exists (select 1 from alarms b where b.cluster = a.cluster and b.kind = a.kind
    and (b.at > a.at or (b.at = a.at and b.about > a.about))) order by a.at desc, a.cluster, a.kind limit $2`;
  return (await sql.rows<Row>(text, cluster ?? "", most)).map(alarmOf);
}

async function standing(sql: Sql, cluster: string | null): Promise<Row[]> {
  const text = "select cluster, kind, about, words, at from alarms";
  const order = "order by at, cluster, kind, about";
  return cluster === null
    ? sql.rows<Row>(`${text} ${order}`)
    : sql.rows<Row>(`${text} where cluster = $1 ${order}`, cluster);
}

function alarmOf({ about, ...row }: Row): Alarm {
  const name = createHash("sha256").update(`${row.cluster}\n${row.kind}\n${about}\n${row.at}`).digest("hex");
  return { id: name.slice(0, 12), ...row };
}

/** Those that were cleared, newest first. */
export async function readClearedAlarms(sql: Sql, cluster: string | null): Promise<ClearedAlarm[]> {
  const text = "select id, cluster, kind, words, at, cleared_at, cleared_by, cleared_why from cleared_alarms";
  const order = "order by cleared_at desc, at desc, id";
  return cluster === null
    ? sql.rows<ClearedAlarm>(`${text} ${order}`)
    : sql.rows<ClearedAlarm>(`${text} where cluster = $1 ${order}`, cluster);
}

/**
 * An operator who looked says so: each alarm moves to the cleared ones, with the time, who and why. All or none. What goes on raises it
 * again, as a new one.
 */
export async function clearAlarms(store: Store, ids: readonly string[], by: string, why: string): Promise<Alarm[]> {
  return store.transaction(async (sql) => {
    const rows = await standing(sql, null);
    const now = nowSeconds();
    const cleared: Alarm[] = [];
    for (const id of new Set(ids)) {
      const row = rows.find((one) => alarmOf(one).id === id);
      if (row === undefined)
        throw new Complaint(
          1,
          `clear the alarm ${id}`,
          "no alarm of this name stands",
          "See `reeve-control fleet alarms`.",
        );
      const { cluster, kind, about, words, at } = row;
      await sql.run(
        `insert into cleared_alarms (id, cluster, kind, about, words, at, cleared_at, cleared_by, cleared_why)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        ...[id, cluster, kind, about, words, at, now, by, why],
      );
      await sql.run("delete from alarms where cluster = $1 and kind = $2 and about = $3", cluster, kind, about);
      cleared.push(alarmOf(row));
    }
    return cleared;
  });
}

export function alarmText(alarm: Alarm): string {
  return `alarm ${alarm.id}: ${alarm.cluster}: ${alarm.words} (${alarm.kind}, ${new Date(alarm.at * 1000).toISOString()})`;
}
