import { copiesOf } from "../copies.ts";
import { type ClusterRow, nowSeconds, readCluster, type Sql } from "../store.ts";
import { type CommandFact, type Facts, isOpen, NOT_HEARD, type Reach } from "./decide.ts";
import { wasAway } from "./news.ts";
import type { MemberRow } from "./schema.ts";

/** What a cluster can do. A poll from far ahead of this clock says no more than one from long ago: one of the two clocks was set. */
function reachOf(row: ClusterRow | null, fenced: string | null): Reach {
  const not = (state: "suspended" | "refused" | "cut-off", why: string): Reach => ({ can: "not", state, why });
  if (row === null || row.epoch === 0) return not("cut-off", "never-started");
  if (fenced !== null) return not("cut-off", "fenced");
  if (wasAway(row, nowSeconds())) return not("cut-off", NOT_HEARD);
  if (row.state === "suspended") return not("suspended", "by-customer");
  return row.state === "refusing" ? not("refused", "refusing-everything") : { can: "act" };
}

type Joined = CommandFact & {
  readonly rollout: number;
  readonly phase: string;
  readonly id: string;
  readonly exp: number;
};

/**
 * Reads what is the case with one cluster of a rollout. A command that expired before anybody got it is closed here, so that nobody gets it
 * after its successor.
 */
export async function factsOf(
  sql: Sql,
  member: Pick<MemberRow, "rollout" | "cluster" | "phase">,
): Promise<Facts & { readonly cluster: ClusterRow | null }> {
  const cluster = await readCluster(sql, member.cluster);
  const fenced = cluster === null ? null : await copiesOf(sql, cluster);
  const rows = await sql.rows<Joined>(
    `select k.rollout as rollout, k.phase as phase, k.grp as "group", k.attempt as attempt, k.sent_ms as "sentMs", c.id as id,
     c.state as state, c.code as code, c.exp as exp from rollout_commands k join commands c on c.id = k.command
     where k.cluster = $1 order by k.rollout, k.attempt`,
    member.cluster,
  );
  const commands: Joined[] = [];
  for (const row of rows) commands.push(await closedWhenOver(sql, row));
  const own = (row: Joined): boolean => row.rollout === member.rollout && row.phase === member.phase;
  const [count] = await sql.rows<{ count: number }>(
    `select count(*) as count from commands where cluster = $1 and (state = 'failed' or (state = 'unknown' and coalesce(code, '') <> 'epoch'))`,
    member.cluster,
  );
  return {
    cluster,
    reach: reachOf(cluster, fenced),
    commands: commands.filter(own),
    busy: commands.some((row) => !own(row) && isOpen(row)),
    failures: count?.count ?? 0,
  };
}

async function closedWhenOver(sql: Sql, row: Joined): Promise<Joined> {
  if (row.state !== "queued" || row.exp > nowSeconds()) return row;
  const closed = await sql.run("update commands set state = 'expired' where id = $1 and state = 'queued'", row.id);
  return closed === 1 ? { ...row, state: "expired" } : row;
}
