import { copiesOf, forgetCopies } from "./copies.ts";
import { noteCluster } from "./rollout/news.ts";
import { forgetShared } from "./share.ts";
import { bumpChanges, nowSeconds, raiseAlarm, readCluster, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

/** The highest epoch that was ever given to this cluster, whichever acts now; 0 for none. Each enrolment records a certificate of its own. */
export async function highestEpoch(sql: Sql, cluster: string): Promise<number> {
  const [row] = await sql.rows<{ epoch: number | null }>(
    "select max(epoch) as epoch from certificates where cluster = $1",
    cluster,
  );
  return row?.epoch ?? 0;
}

/**
 * From the end of this transaction on the agent of `epoch` acts, and that of every other is fenced: both listeners ask clusters.epoch, within
 * the transaction of each call. What is known of the agent that acted is forgotten.
 */
export async function letAct(sql: Sql, cluster: string, epoch: number, enrolledAt: number): Promise<void> {
  await sql.run(
    `update clusters set epoch = $1, enrolled_at = $2, process = null, checkpoint = null, state = null, reason = null, version = null,
     trust_version = 0, trust_waiting = null, last_seen = null where cluster = $3`,
    epoch,
    enrolledAt,
    cluster,
  );
  await closeOtherCommands(sql, cluster, epoch);
  await forgetShared(sql, cluster);
  await noteCluster(sql, cluster);
  await bumpChanges(sql);
}

/** What a fenced agent had in hand is unknown, what it never got is out of date. */
async function closeOtherCommands(sql: Sql, cluster: string, epoch: number): Promise<void> {
  const other = "where cluster = $1 and epoch <> $2 and state";
  await sql.run(
    `update commands set state = 'unknown', code = 'epoch', cancel = 0 ${other} in ('handed-out', 'waiting', 'intent')`,
    cluster,
    epoch,
  );
  await sql.run(`update commands set state = 'expired', code = 'epoch' ${other} = 'queued'`, cluster, epoch);
}

/** Of an epoch that is fenced as a whole: what its agents had in hand is unknown, what they never got is out of date. */
export async function closeCommandsInHand(sql: Sql, cluster: string, epoch: number): Promise<void> {
  const own = "where cluster = $1 and epoch = $2 and state";
  await sql.run(
    `update commands set state = 'unknown', code = 'epoch', cancel = 0 ${own} in ('handed-out', 'waiting', 'intent')`,
    cluster,
    epoch,
  );
  await sql.run(`update commands set state = 'expired', code = 'epoch' ${own} = 'queued'`, cluster, epoch);
  await noteCluster(sql, cluster);
}

export type Unfenced = { readonly cluster: string; readonly epoch: number; readonly fenced: number };

/**
 * The control plane's operator says that an earlier (or later) epoch acts again, for instance because the newest was enrolled with a stolen
 * token. The epoch that acted is fenced from then on; an epoch that two held acts again too. And the next enrolment still gets one that nobody ever had. Who said it, and why,
 * stays as an alarm until somebody clears it. The owner's own word is asked on the agent's side.
 */
export async function unfence(
  store: Store,
  cluster: string,
  epoch: number,
  by: string,
  said: string,
): Promise<Unfenced> {
  return store.transaction(async (sql) => {
    const cannot = `let epoch ${epoch} of ${cluster} act`;
    const row = await readCluster(sql, cluster);
    const highest = await highestEpoch(sql, cluster);
    if (row === null || highest === 0)
      throw new Complaint(1, cannot, "no agent has enrolled for this cluster", "See `reeve-control fleet`.");
    const why = await copiesOf(sql, { cluster, epoch });
    if (row.epoch === epoch && why === null)
      throw new Complaint(1, cannot, "it acts already", "Nothing is to be done.");
    const enrolledAt = await enrolmentOf(sql, cluster, epoch);
    if (enrolledAt === null)
      throw new Complaint(1, cannot, "there never was such an epoch", `The epochs so far are 1 to ${highest}.`);
    const other = row.epoch === epoch ? "" : ` and epoch ${row.epoch} is fenced`;
    const words = `epoch ${epoch} acts again${other}, said ${by}: ${said}`;
    await forgetCopies(sql, cluster, epoch);
    await raiseAlarm(sql, cluster, "unfenced", `${epoch} ${row.epoch} ${nowSeconds()}`, words);
    await letAct(sql, cluster, epoch, enrolledAt);
    return { cluster, epoch, fenced: row.epoch };
  });
}

/** When an epoch was enrolled, in seconds since 1970, as its agent was told; null when there was no such epoch. */
async function enrolmentOf(sql: Sql, cluster: string, epoch: number): Promise<number | null> {
  const issued = await sql.rows(
    "select serial from certificates where cluster = $1 and epoch = $2 limit 1",
    cluster,
    epoch,
  );
  if (issued.length === 0) return null;
  const [row] = await sql.rows<{ answer: string | null }>(
    `select answer from proven where cluster = $1 and epoch = $2
     union all select answer from tokens where cluster = $1 and epoch = $2`,
    cluster,
    epoch,
  );
  const answer = JSON.parse(row?.answer ?? "{}") as { enrolled_at?: number };
  return answer.enrolled_at ?? 0;
}
