import type { Sql } from "../store.ts";
import type { MemberRow, RolloutRow } from "./schema.ts";

/**
 * Where several drivers meet. In SQLite a transaction that may write is alone, and that is all. An engine with more than one writer adds its
 * row locks here: `rowsSuffix` for the clusters in hand, which others pass over, `rolloutSuffix` for the rollout, which others may read.
 */
export async function holdRollout(sql: Sql, id: number): Promise<RolloutRow | null> {
  const [row] = await sql.rows<RolloutRow>("select * from rollouts where id = $1", id);
  return row ?? null;
}

/** The clusters of a rollout that are due for a look, those of which something was heard first. */
export async function takeDue(sql: Sql, rollout: number, elapsed: number, limit: number): Promise<MemberRow[]> {
  return sql.rows<MemberRow>(
    "select * from rollout_clusters where rollout = $1 and due <= $2 order by due limit $3",
    rollout,
    elapsed,
    limit,
  );
}
