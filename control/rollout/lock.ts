import type { Sql } from "../store.ts";
import type { MemberRow, RolloutRow } from "./schema.ts";

/**
 * Where several drivers meet. A transaction of theirs names no cluster, so it is alone (store.ts), in SQLite and in PostgreSQL: that keeps them from
 * each other's clusters. Nobody else has rows in hand meanwhile, so SKIP LOCKED passes none over; it would were steps to run side by side.
 */
export async function holdRollout(sql: Sql, id: number): Promise<RolloutRow | null> {
  const [row] = await sql.rows<RolloutRow>("select * from rollouts where id = $1", id);
  return row ?? null;
}

/** The clusters of a rollout that are due for a look, those of which something was heard first. */
export async function takeDue(sql: Sql, rollout: number, elapsed: number, limit: number): Promise<MemberRow[]> {
  return sql.rows<MemberRow>(
    `select * from rollout_clusters where rollout = $1 and due <= $2 order by due limit $3${sql.skipLocked}`,
    rollout,
    elapsed,
    limit,
  );
}
