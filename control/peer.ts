import { copied, copiesOf, fenceCopies } from "./copies.ts";
import { Faulted } from "./fault.ts";
import { isAfter, moment } from "./moment.ts";
import { type ClusterRow, nowSeconds, raiseAlarm, readCluster, type Sql } from "./store.ts";

/** An agent whose certificate this control plane issued and still takes. */
export type Peer = {
  readonly cluster: string;
  readonly epoch: number;
  readonly serial: string;
  /** When its connection was accepted, by acceptedAt(); null when it is not known. */
  readonly accepted: number | null;
};
export type CertificateRow = {
  readonly serial: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly slot: "current" | "pending" | "old";
  readonly spki: string;
  readonly chain: string;
  readonly not_after: number;
  readonly used_at: number | null;
};
/** What the TLS layer says of the other side. Every field is checked to be there. */
export type Presented = {
  readonly authorized: boolean;
  readonly raw: Uint8Array;
  readonly serial: string;
  readonly accepted: number | null;
};

/**
 * Who speaks: decided by the very certificate that we issued, byte for byte, so that nothing is left to reading names out of one.
 * A pending certificate becomes current by its first use, and the one before is refused from then on.
 * Faulted: certificate (not ours, or replaced), fenced (of another epoch than the cluster's, or two hold it).
 */
export async function admit(sql: Sql, presented: Presented): Promise<Peer | Faulted> {
  const row = await findCertificate(sql, presented.serial, Buffer.from(presented.raw).toString("base64"));
  if (!presented.authorized || row === null) return new Faulted("certificate", "this certificate is not known here");
  const cluster = await readCluster(sql, row.cluster);
  if (cluster?.epoch !== row.epoch) return fencedAgent(sql, row, cluster);
  const why = await copiesOf(sql, row);
  if (why !== null) return copied(row.epoch, why);
  if (row.slot === "old") return replaced(sql, row, presented.accepted);
  if (row.not_after <= nowSeconds()) return new Faulted("certificate", "this certificate has expired");
  if (row.slot === "pending") await becomeCurrent(sql, row);
  if (row.used_at === null)
    await sql.run("update certificates set used_at = $1 where serial = $2", nowSeconds(), row.serial);
  return { cluster: row.cluster, epoch: row.epoch, serial: row.serial, accepted: presented.accepted };
}

/** A pending certificate's key was shown: the one before is not taken any more. */
export async function becomeCurrent(sql: Sql, row: CertificateRow): Promise<void> {
  await retire(sql, row, "current");
  await sql.run("update certificates set slot = 'current' where serial = $1", row.serial);
}

/** The certificates of a slot are old from now on. */
export async function retire(
  sql: Sql,
  of: Pick<Peer, "cluster" | "epoch">,
  slot: "current" | "pending",
): Promise<void> {
  const rows = await sql.rows<{ serial: string }>(
    "select serial from certificates where cluster = $1 and epoch = $2 and slot = $3",
    of.cluster,
    of.epoch,
    slot,
  );
  for (const { serial } of rows) {
    await sql.run("update certificates set slot = 'old' where serial = $1", serial);
    const kept = "insert into retired_certificates (serial, at) values ($1, $2) on conflict (serial) do nothing";
    await sql.run(kept, serial, await moment(sql));
  }
}

/**
 * An agent makes a new certificate durable and closes what it opened with the older one before the new one is used: who makes a connection
 * with the older one after that holds a copy.
 */
async function replaced(sql: Sql, row: CertificateRow, accepted: number | null): Promise<Faulted> {
  const text = "select at from retired_certificates where serial = $1";
  const [retired] = await sql.rows<{ at: string }>(text, row.serial);
  if (retired !== undefined && isAfter(accepted, retired.at))
    return fenceCopies(sql, row, "a certificate that a newer one had replaced was shown again");
  return new Faulted("certificate", "this certificate has been replaced by a newer one", true);
}

/** An agent that does not act is told so, and the fleet shows that it still speaks. */
export async function fencedAgent(
  sql: Sql,
  of: Pick<Peer, "cluster" | "epoch">,
  cluster: ClusterRow | null,
): Promise<Faulted> {
  const words = `an agent of epoch ${of.epoch} still speaks`;
  await raiseAlarm(sql, of.cluster, "fenced-agent", String(of.epoch), words);
  return fenced(of.epoch, cluster);
}

export function fenced(epoch: number, cluster: ClusterRow | null): Faulted {
  return new Faulted("fenced", `epoch ${epoch} is over: the agent of epoch ${cluster?.epoch ?? 0} acts`);
}

/** Whose a certificate is never changes: what is about it is about that cluster. Null for one that was not issued here. */
export function clusterOf(serial: string): (sql: Sql) => Promise<string | null> {
  return async (sql) => {
    const text = "select cluster from certificates where serial = $1";
    const [row] = await sql.rows<{ cluster: string }>(text, serial);
    return row?.cluster ?? null;
  };
}

/** The issued certificate with this serial, if `leaf` (base64 DER) is exactly that one. */
export async function findCertificate(sql: Sql, serial: string, leaf: string): Promise<CertificateRow | null> {
  const [row] = await sql.rows<CertificateRow>("select * from certificates where serial = $1", serial);
  if (row === undefined) return null;
  const chain = JSON.parse(row.chain) as string[];
  return chain[0] === leaf ? row : null;
}
