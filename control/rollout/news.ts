import { SILENT_SECONDS } from "../fleet.ts";
import type { ClusterRow, CommandState, Sql } from "../store.ts";

/**
 * Tells an open rollout that something of a cluster is otherwise, in the same transaction: its driver looks at what changed, and at nothing
 * else. `gap`: it was away, or not as it was, so that its soak begins anew.
 */
export async function noteCluster(sql: Sql, cluster: string): Promise<void> {
  await sql.run(
    "update rollout_clusters set due = 0, gap = 1, news = case when news > 1 then news else 1 end where cluster = $1 and claimed = 1",
    cluster,
  );
}

/** A command of a cluster's became something. One that failed keeps the whole rollout from sending before it was looked at. */
export async function noteCommand(sql: Sql, cluster: string, state: CommandState): Promise<void> {
  const news = state === "failed" || state === "unknown" ? 2 : 1;
  await sql.run(
    "update rollout_clusters set due = 0, news = case when news > $1 then news else $1 end where cluster = $2 and claimed = 1",
    news,
    cluster,
  );
}

/** Whether nothing was heard of a cluster for a while, until `now` (Unix seconds). */
export function wasAway({ last_seen }: Pick<ClusterRow, "last_seen">, now: number): boolean {
  return last_seen === null || Math.abs(now - last_seen) > SILENT_SECONDS;
}
