import { spiffeId } from "../agent/wire/names.ts";
import type { EnrolAnswer } from "../agent/wire/protocol.ts";
import type { Asker, Plane } from "./enrol.ts";
import { highestEpoch, letAct } from "./epoch.ts";
import { ensureCluster, nowSeconds, type Sql } from "./store.ts";

/** Raises the cluster's epoch for this key: the certificate is recorded, and the agent before is fenced from the end of the transaction on. */
export async function newEpoch(plane: Plane, sql: Sql, { cluster, request }: Asker): Promise<EnrolAnswer> {
  await ensureCluster(sql, cluster);
  const epoch = (await highestEpoch(sql, cluster)) + 1;
  const now = nowSeconds();
  await letAct(sql, cluster, epoch, now);
  const issued = await plane.authority.issue(spiffeId(plane.trustDomain, cluster), request.spki);
  await sql.run(
    "insert into certificates (serial, cluster, epoch, slot, spki, chain, not_after) values ($1, $2, $3, 'current', $4, $5, $6)",
    issued.serial,
    cluster,
    epoch,
    request.spkiSha256,
    JSON.stringify(issued.chain),
    issued.notAfter,
  );
  const trust = await sql.rows<{ jws: string }>("select jws from trust where cluster = $1 order by version", cluster);
  return {
    chain: [...issued.chain],
    trust: trust.map((row) => row.jws),
    epoch,
    enrolled_at: now,
    agents_url: plane.agentsUrl,
  };
}

/** Whether anybody has called with a certificate of this epoch: then no answer was lost. */
export async function wasUsed(sql: Sql, cluster: string, epoch: number): Promise<boolean> {
  const used = await sql.rows(
    "select serial from certificates where cluster = $1 and epoch = $2 and used_at is not null",
    cluster,
    epoch,
  );
  return used.length > 0;
}
