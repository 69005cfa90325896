import { existsSync } from "node:fs";
import { join } from "node:path";
import { cosign } from "../agent/audit/cosignature.ts";
import { parseCheckpoint, parseNote } from "../agent/audit/note.ts";
import { leafHash, verifyInclusion } from "../agent/audit/tree.ts";
import type { WitnessAnswer, WitnessRequest } from "../agent/wire/protocol.ts";
import type { Plane } from "./enrol.ts";
import { Faulted } from "./fault.ts";
import type { Peer } from "./peer.ts";
import type { NamedKey } from "./publicKey.ts";
import { rootAt, takeCheckpoint } from "./report.ts";
import { nowSeconds, raiseAlarm, type Sql } from "./store.ts";
import { openWitnessKey, WITNESS_KEY_FILE, type WitnessKey } from "./witness/key.ts";

/** The control plane's own witness key, as trust statements name it; null in a folder whose `serve` has made none yet. */
export function ownWitness(dir: string): NamedKey | null {
  const folder = join(dir, "ca");
  if (!existsSync(join(folder, WITNESS_KEY_FILE))) return null;
  const { name, publicKey } = openWitnessKey(folder, undefined);
  return { kid: name, x: Buffer.from(publicKey).toString("base64url") };
}

/**
 * Cosigns a head of the agent's log, when it is the one of the entries that were handed in, and keeps it with the receipts under it. The
 * control plane has the entries themselves: it needs no consistency proof. A head that goes back behind one that was cosigned, or a
 * receipt that its entry contradicts, is refused and raised.
 */
export async function takeWitness(
  sql: Sql,
  plane: Pick<Plane, "trustDomain" | "witness">,
  peer: Peer,
  asked: WitnessRequest,
): Promise<WitnessAnswer | Faulted> {
  // One for each kind: an agent that makes up names fills nothing.
  for (const { witness, code } of asked.refused)
    await raiseAlarm(sql, peer.cluster, "witness-refused", `${peer.epoch}/${code}`, refusedWords(witness, code));
  const fault = await takeCheckpoint(sql, plane.trustDomain, peer, asked.checkpoint);
  if (fault !== null) return fault;
  const head = parseCheckpoint(asked.checkpoint);
  if (head === null) return new Faulted("malformed", "the checkpoint cannot be read");
  const root = head.size === 0 ? null : await rootAt(sql, peer, head.size);
  // takeCheckpoint has compared it with what was handed in; what was not, waits.
  if (root !== head.root.toString("base64"))
    return new Faulted("unavailable", "not all entries of this head were handed in");
  const newest = await newestCosigned(sql, peer);
  if (newest !== null && head.size < newest.size) {
    const words = `a head of ${head.size} entries was handed in for cosigning after one of ${newest.size}`;
    await raiseAlarm(sql, peer.cluster, "log-shorter", `${peer.epoch}/cosigned`, words);
    return new Faulted("conflict", words);
  }
  const kept = asked.receipts === null ? null : await keepReceipts(sql, peer, head, asked.receipts);
  if (kept !== null) return kept;
  const cosignature = await keepCosigned(sql, peer, plane.witness, asked.checkpoint, head.size);
  return { cosignature, receipts: await firstWithoutReceipt(sql, peer) };
}

function refusedWords(witness: string, code: "rolled-back" | "forked"): string {
  const what = code === "forked" ? "another history of this log" : "more entries of this log than its agent has";
  return `the witness ${witness} has seen ${what}, as the agent says: it has stopped`;
}

type CosignedRow = { readonly size: number; readonly note: string; readonly at: number };

async function newestCosigned(sql: Sql, peer: Pick<Peer, "cluster" | "epoch">): Promise<CosignedRow | null> {
  const [row] = await sql.rows<CosignedRow>(
    "select size, note, at from cosigned where cluster = $1 and epoch = $2 order by size desc limit 1",
    peer.cluster,
    peer.epoch,
  );
  return row ?? null;
}

/** The note, the others' lines as they came, and ours below them: what both sides hold. */
async function keepCosigned(sql: Sql, peer: Peer, key: WitnessKey, note: string, size: number): Promise<string> {
  const seconds = nowSeconds();
  const line = cosign(parseNote(note)?.text ?? "", key.name, key.privateKey, seconds);
  await sql.run(
    `insert into cosigned (cluster, epoch, size, note, at) values ($1, $2, $3, $4, $5)
     on conflict (cluster, epoch, size) do update set note = excluded.note, at = excluded.at`,
    peer.cluster,
    peer.epoch,
    size,
    `${note}${line}`,
    seconds,
  );
  return line;
}

async function keepReceipts(
  sql: Sql,
  peer: Peer,
  head: { readonly size: number; readonly root: Buffer },
  receipts: NonNullable<WitnessRequest["receipts"]>,
): Promise<Faulted | null> {
  const lines = await sql.rows<{ position: number; line: string }>(
    "select position, line from entries where cluster = $1 and epoch = $2 and position >= $3 and position < $4 order by position",
    peer.cluster,
    peer.epoch,
    receipts.from,
    receipts.from + receipts.paths.length,
  );
  if (lines.length !== receipts.paths.length)
    return new Faulted("malformed", "receipts of entries that were not handed in");
  for (const [at, { position, line }] of lines.entries()) {
    const path = (receipts.paths[at] ?? []).map((hash) => Buffer.from(hash, "base64"));
    if (verifyInclusion(leafHash(line), position, head.size, path, head.root)) continue;
    const words = `the receipt of entry ${position} does not prove it in the cosigned head of ${head.size} entries`;
    await raiseAlarm(sql, peer.cluster, "receipt-contradicts", `${peer.epoch}/${position}`, words);
    return new Faulted("conflict", words);
  }
  const next = await firstWithoutReceipt(sql, peer);
  if (receipts.from > next) {
    const words = `entries ${next} to ${receipts.from - 1} have no receipt: the agent went on at ${receipts.from}`;
    await raiseAlarm(sql, peer.cluster, "receipt-missing", `${peer.epoch}/${next}`, words);
  }
  for (const [at, path] of receipts.paths.entries())
    await sql.run(
      `insert into receipts (cluster, epoch, position, size, path) values ($1, $2, $3, $4, $5)
       on conflict (cluster, epoch, position) do nothing`,
      peer.cluster,
      peer.epoch,
      receipts.from + at,
      head.size,
      path.join(" "),
    );
  return null;
}

/** The first entry without a receipt, as far as they came in order: one that was left out is an alarm. */
async function firstWithoutReceipt(sql: Sql, peer: Pick<Peer, "cluster" | "epoch">): Promise<number> {
  const [last] = await sql.rows<{ position: number | null }>(
    "select max(position) as position from receipts where cluster = $1 and epoch = $2",
    peer.cluster,
    peer.epoch,
  );
  return (last?.position ?? -1) + 1;
}

/** What `fleet` shows of a cluster's receipts. `missing`: of an entry that was recorded longer ago than this, by the agent's clock. */
export const RECEIPT_LATE_SECONDS = 600;
export type Witnessed = {
  /** The newest head that was cosigned here; null before the first. */
  readonly cosigned: { readonly size: number; readonly at: number } | null;
  /** Entries before this index have receipts. */
  readonly receipts: number;
  /** The entry whose receipt is late; null when none is. */
  readonly missing: number | null;
};

export async function readWitnessed(sql: Sql, cluster: string, epoch: number): Promise<Witnessed> {
  const peer = { cluster, epoch };
  const newest = await newestCosigned(sql, peer);
  const receipts = await firstWithoutReceipt(sql, peer);
  const [first] = await sql.rows<{ line: string }>(
    "select line from entries where cluster = $1 and epoch = $2 and position = $3",
    cluster,
    epoch,
    receipts,
  );
  const time = first === undefined ? null : Date.parse((JSON.parse(first.line) as { time: string }).time) / 1000;
  return {
    cosigned: newest === null ? null : { size: newest.size, at: newest.at },
    receipts,
    missing: time !== null && time + RECEIPT_LATE_SECONDS < nowSeconds() ? receipts : null,
  };
}
