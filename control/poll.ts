import type { PollAnswer, PollRequest } from "../agent/wire/protocol.ts";
import { late, noteHead, takePlace } from "./copies.ts";
import { Faulted } from "./fault.ts";
import { fencedAgent, type Peer } from "./peer.ts";
import { takeCheckpoint } from "./report.ts";
import { noteCluster, wasAway } from "./rollout/news.ts";
import { readStatements } from "./statement.ts";
import {
  type ClusterRow,
  type CommandRow,
  commandKid,
  nowSeconds,
  OPEN_OR_REPLAYED,
  readCluster,
  type Sql,
} from "./store.ts";

/** The same agent process may hold a command without an entry of it yet, or the answer was lost: after this it gets it again. */
export const REDELIVER_SECONDS = 30;
/** Each is 64 KiB at most, and an agent reads an answer of 1 MiB with its commands. */
const MAX_STATEMENTS_PER_POLL = 8;
const MAX_CANCELS_PER_POLL = 64;
const NOBODY: ReadonlySet<string> = new Set();

/** What an agent process has heard already, so that a standing word does not end every long poll at once. Lost at a restart: harmless. */
export type Told = { process: string; words: Set<string> };

/** What a poll says about the agent, before it waits. A newer process id takes the older one's place. */
export async function notePoll(sql: Sql, trustDomain: string, peer: Peer, poll: PollRequest): Promise<Faulted | null> {
  if (poll.epoch !== peer.epoch) return new Faulted("malformed", "the epoch is not the one of the certificate");
  // Before entry 0 was handed in no checkpoint can be judged, and no command is handed out (chooseCommands looks again).
  const fault = await takeCheckpoint(sql, trustDomain, peer, poll.checkpoint);
  if (fault !== null) return fault;
  const shorter = await noteHead(sql, peer, poll.checkpoint);
  if (shorter !== null) return shorter;
  const before = await readCluster(sql, peer.cluster);
  const notItsPlace = await takePlace(sql, peer, before?.process ?? null, poll);
  if (notItsPlace !== null) return notItsPlace;
  await noteSaid(sql, peer.cluster, before, poll);
  return null;
}

/** Keeps what a poll says. A cluster that was away, or is not as it was, is news for a rollout. `before`: its row so far. */
export async function noteSaid(
  sql: Sql,
  cluster: string,
  before: ClusterRow | null,
  poll: Pick<PollRequest, "process" | "checkpoint" | "state" | "reason" | "version" | "trust_version">,
): Promise<void> {
  await sql.run(
    `update clusters set process = $1, checkpoint = $2, state = $3, reason = $4, version = $5, trust_version = $6, last_seen = $7
     where cluster = $8`,
    poll.process,
    poll.checkpoint,
    poll.state,
    poll.reason,
    poll.version,
    poll.trust_version,
    nowSeconds(),
    cluster,
  );
  if (before === null || wasAway(before, nowSeconds()) || before.state !== poll.state) await noteCluster(sql, cluster);
}

export type Look = {
  readonly answer: PollAnswer;
  /** Something in it is new to this process: it is answered at once. */
  readonly news: boolean;
  /** It stays the answer until something is told of the cluster, or this moment comes (seconds since 1970; null: none). */
  readonly due: number | null;
};

/** Commands that are handed out are marked in the same transaction, before they leave. */
export async function handOut(
  sql: Sql,
  peer: Peer,
  poll: PollRequest,
  told: Told,
  redeliverSeconds: number,
): Promise<Look | Faulted> {
  const cluster = await readCluster(sql, peer.cluster);
  if (cluster?.epoch !== peer.epoch) return fencedAgent(sql, peer, cluster);
  const trust = await sql.rows<{ version: number; jws: string }>(
    "select version, jws from trust where cluster = $1 and version > $2 order by version limit $3",
    peer.cluster,
    poll.trust_version,
    MAX_STATEMENTS_PER_POLL,
  );
  const later =
    trust.length < MAX_STATEMENTS_PER_POLL ? NOBODY : await laterKeys(sql, peer, poll, trust.at(-1)?.version ?? 0);
  if (cluster.process !== poll.process) return late();
  const open = await sql.rows<CommandRow>(
    `select * from commands where cluster = $1 and epoch = $2 and ${OPEN_OR_REPLAYED} order by id`,
    peer.cluster,
    peer.epoch,
  );
  const cancel = open
    .filter(({ cancel, state }) => cancel === 1 && (state === "handed-out" || state === "waiting"))
    .slice(0, MAX_CANCELS_PER_POLL)
    .map(({ id }) => id);
  const { commands, due } = await chooseCommands(sql, peer, poll, open, later, redeliverSeconds);
  const words = [...trust.map((one) => `trust ${one.version}`), ...cancel.map((id) => `cancel ${id}`)];
  const heard = told.process === poll.process ? told.words : NOBODY;
  const fresh = words.some((word) => !heard.has(word));
  told.process = poll.process;
  told.words = new Set(words);
  const answer = { commands, cancel, trust: trust.map((one) => one.jws) };
  return { answer, news: commands.length > 0 || fresh, due };
}

/**
 * Command keys that only statements beyond this answer name. A command by one of them waits for the poll that brings its statement: now it
 * would be refused for a key that the agent is about to learn.
 */
async function laterKeys(sql: Sql, peer: Peer, poll: PollRequest, last: number): Promise<ReadonlySet<string>> {
  const statements = (await readStatements(sql, peer.cluster)).filter((one) => one.version >= poll.trust_version);
  const kids = (beyond: boolean): string[] =>
    statements
      .filter((one) => one.version > last === beyond)
      .flatMap((one) => one.claims.command_keys.map((key) => key.kid));
  const within = new Set(kids(false));
  return new Set(kids(true).filter((kid) => !within.has(kid)));
}

/** `due`: when one that is in hand is to be handed out again, by time alone. */
async function chooseCommands(
  sql: Sql,
  peer: Peer,
  poll: PollRequest,
  open: readonly CommandRow[],
  later: ReadonlySet<string>,
  redeliverSeconds: number,
): Promise<{ readonly commands: string[]; readonly due: number | null }> {
  const now = nowSeconds();
  const [log] = await sql.rows<{ size: number }>(
    "select size from logs where cluster = $1 and epoch = $2",
    peer.cluster,
    peer.epoch,
  );
  if (log === undefined || log.size === 0 || poll.take === 0) return { commands: [], due: null };
  const over = ({ state, exp }: CommandRow): boolean => state === "queued" && exp <= now;
  if (open.some(over)) {
    const text = "update commands set state = 'expired' where cluster = $1 and state = 'queued' and exp <= $2";
    await sql.run(text, peer.cluster, now);
  }
  const rows = open.filter((row) => row.replay === 1 || (row.state !== "waiting" && !over(row)));
  const dueAt = (row: CommandRow): number =>
    row.handed_process === poll.process ? (row.handed_at ?? 0) + redeliverSeconds : now;
  const inHand = rows.filter((row) => row.state === "handed-out" && dueAt(row) > now);
  const busy = new Set([...rows.filter((row) => row.state === "intent"), ...inHand].map((row) => row.resource));
  const texts: string[] = [];
  // What was handed out before comes first: it holds its resource.
  const ordered = [...rows.filter((row) => row.state !== "queued"), ...rows.filter((row) => row.state === "queued")];
  for (const row of ordered) {
    if (texts.length >= poll.take) break;
    if (later.has(commandKid(row.jws))) {
      busy.add(row.resource);
      continue;
    }
    if (row.replay === 1) await sql.run("update commands set replay = 2 where id = $1", row.id);
    else if (row.state === "intent" || busy.has(row.resource)) continue;
    else await markHandedOut(sql, row, poll.process, now);
    busy.add(row.resource);
    texts.push(row.jws);
  }
  return { commands: texts, due: inHand.length === 0 ? null : Math.min(...inHand.map(dueAt)) };
}

async function markHandedOut(sql: Sql, row: CommandRow, process: string, now: number): Promise<void> {
  await sql.run(
    "update commands set state = 'handed-out', handed_at = $1, handed_process = $2 where id = $3",
    now,
    process,
    row.id,
  );
}
