import type { Faulted } from "./fault.ts";
import { copied, type Peer } from "./peer.ts";
import { raiseAlarm, readCluster, type Sql } from "./store.ts";

/**
 * A newer process of the agent takes the older one's place for good. One that was replaced and is still heard is not the machine that was
 * restarted: somebody runs a copy. It gets nothing, and the alarm stands; the newer one goes on, because the last poll of a process that has
 * ended may arrive after its successor's, and must lock nobody out (test/model/OneActs.tla). Null when it may go on.
 */
export async function noteProcess(sql: Sql, peer: Peer, process: string): Promise<Faulted | null> {
  const gone = await sql.rows(
    "select process from replaced_processes where cluster = $1 and epoch = $2 and process = $3",
    peer.cluster,
    peer.epoch,
    process,
  );
  if (gone.length > 0) {
    const words = `a process of epoch ${peer.epoch} that another one has replaced still asks: the machine or its disk was copied`;
    await raiseAlarm(sql, peer.cluster, "copied-agent", `${peer.epoch} ${process}`, words);
    return copied(peer.epoch);
  }
  const before = (await readCluster(sql, peer.cluster))?.process ?? null;
  if (before !== null && before !== process)
    await sql.run(
      "insert into replaced_processes (cluster, epoch, process) values ($1, $2, $3) on conflict (cluster, epoch, process) do nothing",
      peer.cluster,
      peer.epoch,
      before,
    );
  return null;
}
