import { FLEET_STATES, type FleetState, stateOf } from "../fleet.ts";
import { type ClusterRow, type CommandState, nowSeconds, type Sql } from "../store.ts";

/** How a cluster stands, for lists and numbers: a few questions to the store for all clusters, however many there are. */
export type Standing = {
  readonly cluster: string;
  readonly state: FleetState;
  /** The agent's own words, or why it is fenced. */
  readonly reason: string | null;
  readonly epoch: number;
  /** Unix seconds; null when nobody of this epoch has asked for commands. */
  readonly last_seen: number | null;
  readonly version: string | null;
  /** Entries of this epoch's log that were handed in. */
  readonly entries: number;
  readonly open_commands: number;
  readonly alarms: number;
};
type Row = ClusterRow & { readonly why: string | null; readonly size: number | null };
type Open = { readonly cluster: string; readonly open: number; readonly waiting: number };

/** By name. */
export async function readStandings(sql: Sql): Promise<Standing[]> {
  const rows = await sql.rows<Row>(
    `select c.*, k.why as why, l.size as size from clusters c
     left join copies k on k.cluster = c.cluster and k.epoch = c.epoch
     left join logs l on l.cluster = c.cluster and l.epoch = c.epoch order by c.cluster`,
  );
  const open = await byCluster<Open>(
    sql,
    `select cluster, count(*) as open, count(case when state = 'waiting' then 1 end) as waiting from commands
     where state in ('handed-out', 'waiting', 'intent') or (state = 'queued' and exp > $1) group by cluster`,
    nowSeconds(),
  );
  const alarms = await byCluster<{ cluster: string; times: number }>(
    sql,
    "select cluster, count(*) as times from alarms group by cluster",
  );
  return rows.map((row) => {
    const { cluster, epoch, last_seen, version, why } = row;
    const commands = open.get(cluster);
    return {
      cluster,
      state: why === null ? stateOf(row, (commands?.waiting ?? 0) > 0 ? [{ state: "waiting" }] : []) : "fenced",
      reason: why ?? (row.reason === "" ? null : row.reason),
      epoch,
      last_seen,
      version,
      entries: row.size ?? 0,
      open_commands: commands?.open ?? 0,
      alarms: alarms.get(cluster)?.times ?? 0,
    };
  });
}

async function byCluster<T extends { readonly cluster: string }>(
  sql: Sql,
  text: string,
  ...values: readonly number[]
): Promise<Map<string, T>> {
  const rows = await sql.rows<T>(text, ...values);
  return new Map(rows.map((row) => [row.cluster, row]));
}

/** How many are in each state; every state is named. */
export function countStates(standings: readonly Standing[]): Record<FleetState, number> {
  const counts = Object.fromEntries(FLEET_STATES.map((state) => [state, 0])) as Record<FleetState, number>;
  for (const { state } of standings) counts[state] += 1;
  return counts;
}

/** How many commands are in each state, of all clusters. */
export async function countCommands(sql: Sql): Promise<ReadonlyMap<CommandState, number>> {
  const rows = await sql.rows<{ state: CommandState; times: number }>(
    `select case when state = 'queued' and exp <= $1 then 'expired' else state end as state, count(*) as times
     from commands group by 1`,
    nowSeconds(),
  );
  return new Map(rows.map(({ state, times }) => [state, times]));
}

/** When the oldest command that an agent has in hand was handed out, in Unix seconds; null when none is. */
export async function oldestHanded(sql: Sql): Promise<number | null> {
  const [row] = await sql.rows<{ at: number | null }>(
    "select min(handed_at) as at from commands where state in ('handed-out', 'intent')",
  );
  return row?.at ?? null;
}

/** Alarms that stand, by kind. */
export async function countAlarms(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql.rows<{ kind: string; times: number }>(
    "select kind, count(*) as times from alarms group by kind order by kind",
  );
  return new Map(rows.map(({ kind, times }) => [kind, times]));
}
