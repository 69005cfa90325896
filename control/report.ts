import { X509Certificate } from "node:crypto";
import { Entry } from "../agent/audit/entry.ts";
import { type LogKeyRange, maySign, type SegmentEntry } from "../agent/audit/logKeys.ts";
import { keyId, parseCheckpoint, parseNote, verifyLogKeyBinding, verifyNote } from "../agent/audit/note.ts";
import { openingFault, samePeaks } from "../agent/audit/opening.ts";
import {
  emptyTree,
  grow,
  leafHash,
  rootOfTree,
  type Tree,
  type TreeState,
  treeOf,
  treeState,
} from "../agent/audit/tree.ts";
import { namesPrototype, parseCanonical } from "../agent/wire/canonical.ts";
import { logOrigin, spiffeId } from "../agent/wire/names.ts";
import type { ReportRequest } from "../agent/wire/protocol.ts";
import { fenceCopies, noteHead } from "./copies.ts";
import { Faulted } from "./fault.ts";
import { learn } from "./known.ts";
import { findCertificate, type Peer } from "./peer.ts";
import { noteCommand } from "./rollout/news.ts";
import { bumpChanges, type CommandRow, type CommandState, OPEN_STATES, raiseAlarm, type Sql } from "./store.ts";

const MAX_AHEAD = 16;
/**
 * A checkpoint whose entries have not all been handed in: kept until they are. `root` in base64. `note`: while the key that may sign it
 * is not known, for the line that names it is among those entries.
 */
type Ahead = { readonly size: number; readonly root: string; readonly note?: string };
type LogRow = { readonly log_key: string; readonly size: number; readonly peaks: string; readonly ahead: string };
/** `keys`: of the segments so far, oldest first. */
type Log = { readonly keys: LogKeyRange[]; readonly tree: Tree; readonly ahead: readonly Ahead[] };

/** The index that is wanted next. */
type Taken = { readonly next: number };

/**
 * Takes entries in order and without a gap, from `from` on. Those it has already are compared byte for byte. When they begin beyond
 * what is wanted next none is taken; the answer says what is. Nothing is written unless all of it, and the checkpoint, is true;
 * a refusal is returned, not thrown, so that its alarm is kept.
 */
export async function takeReport(
  sql: Sql,
  trustDomain: string,
  peer: Peer,
  report: ReportRequest,
): Promise<Taken | Faulted> {
  const before = await readLog(sql, trustDomain, peer);
  const have = before?.tree.size ?? 0;
  const claimed = parseCheckpoint(report.checkpoint);
  if (claimed === null) return new Faulted("malformed", "the checkpoint cannot be read");
  if (report.from > have || report.entries.length === 0)
    return probe(sql, trustDomain, peer, before, report.checkpoint, claimed.size);
  if (claimed.size < report.from + report.entries.length)
    return new Faulted("malformed", "the checkpoint does not cover the entries");
  const changed = await compareKnown(sql, peer, report, have);
  if (changed !== null) return changed;
  const fresh = report.entries.slice(have - report.from);
  const entries = fresh.map((line, at) => readEntry(line, have + at, peer));
  const log = before ?? (await beginLog(sql, trustDomain, peer, entries[0]));
  if (log instanceof Faulted) return log;
  const known = log.keys.length;
  const roots: string[] = [];
  for (const [at, line] of fresh.entries()) {
    const entry = entries[at];
    const fault = entry?.kind === "segment" ? await beginSegment(sql, peer, log, entry) : null;
    if (fault !== null) return fault;
    grow(log.tree, leafHash(line));
    roots.push(rootOfTree(log.tree).toString("base64"));
  }
  const ahead = await judgeCheckpoint(sql, trustDomain, peer, log, report.checkpoint, roots);
  if (ahead instanceof Faulted) return ahead;
  const shorter = await noteHead(sql, peer, report.checkpoint);
  if (shorter !== null) return shorter;
  await writeEntries(sql, peer, have, fresh, roots);
  await writeLog(sql, peer, { ...log, ahead });
  for (const { key, from } of log.keys.slice(Math.max(known, 1)))
    await sql.run(
      "insert into log_keys (cluster, epoch, position, log_key) values ($1, $2, $3, $4)",
      peer.cluster,
      peer.epoch,
      from,
      key,
    );
  for (const [at, entry] of entries.entries()) {
    await settle(sql, peer, entry, fresh[at] ?? "");
    await learn(sql, peer, entry);
  }
  // A resource may be free now: held polls look again.
  await bumpChanges(sql, peer.cluster);
  return { next: log.tree.size };
}

/** An agent that asks what is wanted next. Its log can be longer than what was handed in, never shorter. */
async function probe(
  sql: Sql,
  trustDomain: string,
  peer: Peer,
  log: Log | null,
  note: string,
  size: number,
): Promise<Taken | Faulted> {
  if (log === null) return { next: 0 };
  const fault = await keepAhead(sql, trustDomain, peer, log, note);
  if (fault !== null) return fault;
  if (size < log.tree.size) {
    const words = `the log has ${size} entries, and ${log.tree.size} were handed in`;
    await raiseAlarm(sql, peer.cluster, "log-shorter", String(peer.epoch), words);
  }
  const shorter = await noteHead(sql, peer, note);
  if (shorter !== null) return shorter;
  return { next: log.tree.size };
}

async function readLog(sql: Sql, trustDomain: string, peer: Peer): Promise<Log | null> {
  const [row] = await sql.rows<LogRow>(
    "select * from logs where cluster = $1 and epoch = $2",
    peer.cluster,
    peer.epoch,
  );
  if (row === undefined) return null;
  const later = await sql.rows<{ position: number; log_key: string }>(
    "select position, log_key from log_keys where cluster = $1 and epoch = $2 order by position",
    peer.cluster,
    peer.epoch,
  );
  const origin = logOrigin(spiffeId(trustDomain, peer.cluster), peer.epoch);
  return {
    keys: [
      { origin, key: row.log_key, from: 0 },
      ...later.map((one) => ({ origin, key: one.log_key, from: one.position })),
    ],
    tree: treeOf(JSON.parse(row.peaks) as TreeState),
    ahead: JSON.parse(row.ahead) as Ahead[],
  };
}

async function compareKnown(sql: Sql, peer: Peer, report: ReportRequest, have: number): Promise<Faulted | null> {
  const rows = await sql.rows<{ position: number; line: string }>(
    "select position, line from entries where cluster = $1 and epoch = $2 and position >= $3 and position < $4 order by position",
    peer.cluster,
    peer.epoch,
    report.from,
    Math.min(have, report.from + report.entries.length),
  );
  const other = rows.find((row) => row.line !== report.entries[row.position - report.from]);
  if (other === undefined) return null;
  const words = `entry ${other.position} was handed in twice with different bytes`;
  await raiseAlarm(sql, peer.cluster, "log-changed", `${peer.epoch}/${other.position}`, words);
  return fenceCopies(sql, peer, words);
}

function readEntry(line: string, position: number, peer: Peer): Entry {
  const read = parseCanonical(line);
  if ("fault" in read || namesPrototype(read.value))
    throw new Faulted("malformed", `entry ${position} is not canonical JSON`);
  const entry = Entry.safeParse(read.value);
  if (!entry.success) throw new Faulted("malformed", `entry ${position} is not of the schema`);
  const { index, cluster, epoch, kind } = entry.data;
  if (index !== position || cluster !== peer.cluster || epoch !== peer.epoch || (kind === "epoch") !== (position === 0))
    throw new Faulted("malformed", `entry ${position} does not belong in this place of this log`);
  return entry.data;
}

/** Entry 0 binds the log's key to a certificate that this control plane issued for this cluster and epoch. */
async function beginLog(sql: Sql, trustDomain: string, peer: Peer, first: Entry | undefined): Promise<Log | Faulted> {
  if (first?.kind !== "epoch") return new Faulted("malformed", "the log begins with no epoch entry");
  const origin = logOrigin(spiffeId(trustDomain, peer.cluster), peer.epoch);
  const [bound] = first.log_keys;
  const key = Buffer.from(bound?.key ?? "", "base64");
  const wellFormed =
    key.length === 32 && key.toString("base64") === bound?.key && bound.from === 0 && first.origin === origin;
  if (!wellFormed) return new Faulted("malformed", "the log's key or origin is not of its form");
  const leaf = await issuedLeaf(sql, first.chain[0] ?? "", peer);
  if (leaf === null) return new Faulted("malformed", "entry 0 names no certificate of this epoch");
  const spki = leaf.publicKey.export({ type: "spki", format: "der" });
  if (!verifyLogKeyBinding(spki, origin, bound.key, 0, first.signature))
    return new Faulted("malformed", "the certificate's key did not sign the log's key");
  return { keys: [{ origin, key: bound.key, from: 0 }], tree: emptyTree(), ahead: [] };
}

/**
 * The first line of a segment names the key that signs from there on: the key before handed over to it, a certificate that this control
 * plane issued for this cluster and epoch vouches for it, and its frontier is that of the entries before.
 */
async function beginSegment(sql: Sql, peer: Peer, log: Log, entry: SegmentEntry): Promise<Faulted | null> {
  const bad = (because: string): Faulted => new Faulted("malformed", `the segment at entry ${entry.index}: ${because}`);
  const before = log.keys.at(-1);
  if (before === undefined) return bad("no key is known before it");
  if (!samePeaks(entry.peaks, log.tree))
    return fenceCopies(sql, peer, `the segment at entry ${entry.index} goes on from other entries than were handed in`);
  const opening = openingFault(entry, true, { tree: log.tree, memory: { logKey: before }, carry: null });
  if (opening !== null) return bad(opening.because);
  const leaf = await issuedLeaf(sql, entry.chain[0] ?? "", peer);
  if (leaf === null) return bad("it names no certificate of this epoch");
  const spki = leaf.publicKey.export({ type: "spki", format: "der" });
  if (!verifyLogKeyBinding(spki, entry.origin, entry.key, entry.index, entry.signature))
    return bad("the certificate's key did not sign the log's key");
  log.keys.push({ origin: entry.origin, key: entry.key, from: entry.index });
  return null;
}

async function issuedLeaf(sql: Sql, base64: string, peer: Peer): Promise<X509Certificate | null> {
  try {
    const leaf = new X509Certificate(Buffer.from(base64, "base64"));
    const row = await findCertificate(sql, leaf.serialNumber.toLowerCase(), base64);
    return row?.cluster === peer.cluster && row.epoch === peer.epoch ? leaf : null;
  } catch {
    return null;
  }
}

/** Each entry is kept with the root of the tree that ends with it: any checkpoint can be compared later. */
async function writeEntries(
  sql: Sql,
  peer: Peer,
  from: number,
  lines: readonly string[],
  roots: readonly string[],
): Promise<void> {
  const text = "insert into entries (cluster, epoch, position, line, root) values ($1, $2, $3, $4, $5)";
  for (const [at, line] of lines.entries())
    await sql.run(text, peer.cluster, peer.epoch, from + at, line, roots[at] ?? "");
}

async function writeLog(sql: Sql, peer: Peer, log: Log): Promise<void> {
  await sql.run(
    `insert into logs (cluster, epoch, log_key, size, peaks, ahead) values ($1, $2, $3, $4, $5, $6)
     on conflict (cluster, epoch) do update set size = excluded.size, peaks = excluded.peaks, ahead = excluded.ahead`,
    peer.cluster,
    peer.epoch,
    log.keys[0]?.key ?? "",
    log.tree.size,
    JSON.stringify(treeState(log.tree)),
    JSON.stringify(log.ahead),
  );
}

/** Judges the checkpoint of a poll. Null when nothing speaks against it, or when there is no entry 0 yet to judge it by. */
export async function takeCheckpoint(sql: Sql, trustDomain: string, peer: Peer, note: string): Promise<Faulted | null> {
  const log = await readLog(sql, trustDomain, peer);
  return log === null ? null : keepAhead(sql, trustDomain, peer, log, note);
}

/** Judges a head that came without entries; one that is ahead of those that are here is kept until they come. */
async function keepAhead(sql: Sql, trustDomain: string, peer: Peer, log: Log, note: string): Promise<Faulted | null> {
  const ahead = await judgeCheckpoint(sql, trustDomain, peer, log, note, []);
  if (ahead instanceof Faulted) return ahead;
  if (JSON.stringify(ahead) !== JSON.stringify(log.ahead)) await writeLog(sql, peer, { ...log, ahead });
  return null;
}

/**
 * Compares a signed checkpoint, and those kept before, with the entries that were handed in; `roots` are those of the newest ones,
 * not written yet. The answer is what is still ahead of the entries.
 */
async function judgeCheckpoint(
  sql: Sql,
  trustDomain: string,
  peer: Peer,
  log: Log,
  note: string,
  roots: readonly string[],
): Promise<readonly Ahead[] | Faulted> {
  const checkpoint = parseCheckpoint(note);
  const origin = logOrigin(spiffeId(trustDomain, peer.cluster), peer.epoch);
  if (checkpoint === null || checkpoint.origin !== origin)
    return new Faulted("malformed", "the checkpoint is not one of this log");
  const signed = isSigned(note, checkpoint.size, log);
  // A later segment's key is not known before the line that names it was handed in: until then the head is only kept.
  if (!signed && checkpoint.size <= log.tree.size) return notSigned(sql, peer, note, checkpoint.size, log);
  const written = log.tree.size - roots.length;
  const newest = { size: checkpoint.size, root: checkpoint.root.toString("base64"), ...(signed ? {} : { note }) };
  const claimed: Ahead[] = [...log.ahead, newest];
  for (const one of claimed.filter((each) => each.size <= log.tree.size && each.size > 0)) {
    if (one.note !== undefined && !isSigned(one.note, one.size, log))
      return notSigned(sql, peer, one.note, one.size, log);
    const root = one.size > written ? roots[one.size - written - 1] : await rootAt(sql, peer, one.size);
    if (one.root === root) continue;
    const words = `the signed checkpoint of size ${one.size} is not the one of the entries that were handed in`;
    await raiseAlarm(sql, peer.cluster, "log-forked", `${peer.epoch}/${one.size}`, words);
    return fenceCopies(sql, peer, words);
  }
  const ahead = new Map(
    claimed.filter((each) => each.size > log.tree.size).map((each) => [`${each.size} ${each.root}`, each]),
  );
  return [...ahead.values()].slice(-MAX_AHEAD);
}

/**
 * Each begins its segments with a key of its own: by it a copy shows itself even where its head is not compared yet. A head that names the
 * right key and was not signed by it was spoilt, and is nobody's.
 */
async function notSigned(sql: Sql, peer: Peer, note: string, size: number, log: Log): Promise<Faulted> {
  const due = dueKey(size, log);
  const id = due === undefined ? null : keyId(due.origin, Buffer.from(due.key, "base64"));
  if (id === null || parseNote(note)?.signatures.some((one) => one.name === due?.origin && one.id.equals(id)) !== false)
    return new Faulted("malformed", "the checkpoint is not signed by the log's key");
  return fenceCopies(sql, peer, `a head of ${size} entries is signed by another key than the one of those entries`);
}

function dueKey(size: number, { keys }: Log): Log["keys"][number] | undefined {
  return keys.findLast((key) => maySign(key, size)) ?? keys[0];
}

/** By the key whose segment the newest entry that it covers stands in. */
function isSigned(note: string, size: number, log: Log): boolean {
  const due = dueKey(size, log);
  return due !== undefined && verifyNote(note, due.origin, Buffer.from(due.key, "base64")) !== null;
}

/** The root of the first `size` entries that were handed in, base64; null when they were not. */
export async function rootAt(sql: Sql, peer: Peer, size: number): Promise<string | null> {
  const text = "select root from entries where cluster = $1 and epoch = $2 and position = $3";
  const [row] = await sql.rows<{ root: string }>(text, peer.cluster, peer.epoch, size - 1);
  return row?.root ?? null;
}

/** What an entry says about a command. */
export async function settle(sql: Sql, peer: Peer, entry: Entry, line: string): Promise<void> {
  if (entry.kind === "rejected") {
    const [row] = await sql.rows<CommandRow>(
      "select * from commands where digest = $1 and cluster = $2",
      entry.digest,
      peer.cluster,
    );
    if (row !== undefined && isOpen(row.state)) await become(sql, row, "refused", entry.code, line, 0);
    return;
  }
  if (entry.kind === "trust-waiting" || entry.kind === "trust")
    await sql.run(
      "update clusters set trust_waiting = $1 where cluster = $2",
      entry.kind === "trust" ? null : entry.version,
      peer.cluster,
    );
  const said = stateSaid(entry);
  if (said === null) return;
  const [row] = await sql.rows<CommandRow>(
    "select * from commands where id = $1 and cluster = $2 and epoch = $3",
    said.command,
    peer.cluster,
    peer.epoch,
  );
  if (row === undefined || (said.digest !== null && said.digest !== row.digest)) return;
  if (entry.kind === "refused" && entry.code === "verify.replayed") {
    await sql.run("update commands set replay = 0, replay_line = $1 where id = $2", line, row.id);
    return;
  }
  if (isOpen(row.state) || isClosedByEpoch(row)) await become(sql, row, said.state, said.code, line, row.cancel);
}

/** Its agent was fenced while it had it in hand, and acts again: what it says of it is what became of it. */
function isClosedByEpoch(row: CommandRow): boolean {
  return row.state === "unknown" && row.code === "epoch";
}

type Said = {
  readonly command: string;
  readonly digest: string | null;
  readonly state: CommandState;
  readonly code: string | null;
};
function stateSaid(entry: Entry): Said | null {
  switch (entry.kind) {
    case "refused":
      return {
        command: entry.command,
        digest: entry.digest,
        state: entry.code === "verify.cancelled" ? "cancelled" : "refused",
        code: entry.code,
      };
    case "considered":
    case "waiting":
    case "intent":
      return { command: entry.command, digest: entry.digest, state: entry.kind, code: null };
    case "outcome":
      return { command: entry.command, digest: null, state: entry.result, code: entry.code };
    case "cancelled":
      return { command: entry.command, digest: null, state: "cancelled", code: null };
    default:
      return null;
  }
}

function isOpen(state: CommandState): boolean {
  return OPEN_STATES.includes(state);
}

/** What waits for people can still be taken back: of what was asked meanwhile the agent is told. */
async function become(
  sql: Sql,
  { id, cluster }: CommandRow,
  state: CommandState,
  code: string | null,
  line: string,
  cancel: number,
): Promise<void> {
  await sql.run(
    "update commands set state = $1, code = $2, line = $3, cancel = $4 where id = $5",
    state,
    code,
    line,
    state === "waiting" ? cancel : 0,
    id,
  );
  await noteCommand(sql, cluster, state);
}
