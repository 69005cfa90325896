import { parseCheckpoint } from "../agent/audit/note.ts";
import { hashesOf, inclusionRanges, type Node } from "../agent/audit/proof.ts";
import { provenBy, type TlogProof, tlogProofText } from "../agent/audit/tlogProof.ts";
import { leafHash } from "../agent/audit/tree.ts";
import { readCluster, type Sql } from "./store.ts";
import { Complaint } from "./terminal.ts";

const BATCH_ROWS = 1000;
type Log = { readonly cluster: string; readonly epoch: number };

/**
 * A receipt as the vendor holds it, as a proof of its own (c2sp.org/tlog-proof): the entry, its audit path, the cosigned head with every
 * line, and the line that names the key. Throws a Complaint when there is none, or when what is stored does not prove it.
 */
export async function receiptOf(sql: Sql, cluster: string, epoch: number | null, index: number): Promise<string> {
  const cannot = `show the receipt of entry ${index}`;
  const acts = (await readCluster(sql, cluster))?.epoch;
  const log = { cluster, epoch: epoch ?? acts ?? 0 };
  const [receipt] = await sql.rows<{ size: number; path: string }>(
    "select size, path from receipts where cluster = $1 and epoch = $2 and position = $3",
    log.cluster,
    log.epoch,
    index,
  );
  const [head] = await sql.rows<{ note: string }>(
    "select note from cosigned where cluster = $1 and epoch = $2 and size = $3",
    log.cluster,
    log.epoch,
    receipt?.size ?? -1,
  );
  if (receipt === undefined || head === undefined)
    throw new Complaint(
      1,
      cannot,
      `there is none of ${cluster}, epoch ${log.epoch}`,
      "See `reeve-control fleet`: how many entries there are, and which receipt is late.",
    );
  const key = await namingIndex(sql, log, receipt.size);
  const proof: TlogProof = {
    index,
    hashes: receipt.path.split(" ").flatMap((hash) => (hash === "" ? [] : [Buffer.from(hash, "base64")])),
    note: head.note,
    entry: await lineAt(sql, log, index),
    key: await lineAt(sql, log, key),
    keyPath: await pathOf(sql, log, key, receipt.size),
  };
  const proven = provenBy(proof);
  if ("fault" in proven || parseCheckpoint(head.note)?.size !== receipt.size)
    throw new Complaint(
      1,
      cannot,
      `what is stored does not prove it: ${"fault" in proven ? proven.fault : "its head is of another size"}`,
      "Bring state.db back from its backup, and look who changed it.",
    );
  return tlogProofText(proof);
}

/** Where the key is named that signed the head of this size. */
async function namingIndex(sql: Sql, log: Log, size: number): Promise<number> {
  const [row] = await sql.rows<{ position: number | null }>(
    "select max(position) as position from log_keys where cluster = $1 and epoch = $2 and position < $3",
    log.cluster,
    log.epoch,
    size,
  );
  return row?.position ?? 0;
}

async function lineAt(sql: Sql, log: Log, index: number): Promise<string> {
  const [row] = await sql.rows<{ line: string }>(
    "select line from entries where cluster = $1 and epoch = $2 and position = $3",
    log.cluster,
    log.epoch,
    index,
  );
  return row?.line ?? "";
}

/** An audit path from the entries themselves: their hashes are held, their lines are not. */
async function pathOf(sql: Sql, log: Log, index: number, size: number): Promise<Buffer[]> {
  const nodes: Node[] = [];
  for (let from = 0; from < size; from += BATCH_ROWS) {
    const rows = await sql.rows<{ position: number; line: string }>(
      "select position, line from entries where cluster = $1 and epoch = $2 and position >= $3 and position < $4 order by position",
      log.cluster,
      log.epoch,
      from,
      Math.min(from + BATCH_ROWS, size),
    );
    for (const { position, line } of rows) nodes.push({ from: position, height: 0, hash: leafHash(line) });
  }
  return hashesOf(inclusionRanges(index, size), nodes);
}
