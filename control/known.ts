import { Entry } from "../agent/audit/entry.ts";
import { timeOf } from "../agent/audit/time.ts";
import type { Found } from "../policy/asked.ts";
import type { RefusalCode } from "../policy/refusal.ts";
import { forgetInventory } from "./inventories.ts";
import type { Peer } from "./peer.ts";
import { countRefusal } from "./refusals.ts";
import { reviseByOutcome } from "./revisions/record.ts";
import type { Sql } from "./store.ts";

/**
 * What the entries of an epoch tell about a cluster's present state, kept as they are handed in, so that `fleet plan` need not read
 * a thousand logs: the policy, what each resource was last seen as, and when each rule was used.
 */
type PolicyEntry = {
  readonly digest: string;
  readonly revision: number;
  readonly code: RefusalCode | null;
};
export type Seen<T> = T & { /** Index of the entry that says so. */ readonly position: number };
/** Null: something is or was at work there, and the entries do not say what it left. */
export type SeenState = Extract<Found, { action: "scale" | "update-dns" }> | null;
type Acting = Extract<Entry, { kind: "refused" | "considered" | "waiting" | "intent" }>;
type Facts = Acting["asked"];

/** What one entry adds. Entries come in their order. */
export async function learn(sql: Sql, peer: Peer, entry: Entry): Promise<void> {
  switch (entry.kind) {
    case "policy":
      return learnPolicy(sql, peer, entry);
    case "intent":
      await sql.run(
        "insert into intents (cluster, epoch, position, rule, at) values ($1, $2, $3, $4, $5)",
        peer.cluster,
        peer.epoch,
        entry.index,
        entry.allowed.rule,
        timeOf(entry.time) ?? 0,
      );
      return learnState(sql, peer, entry.index, thingOf(entry), null);
    case "outcome":
      return learnOutcome(sql, peer, entry);
    case "considered":
    case "waiting":
      return learnState(sql, peer, entry.index, thingOf(entry), foundBy(entry));
    case "rejected":
      return countRefusal(sql, peer, entry);
    case "refused": {
      await countRefusal(sql, peer, entry);
      const found = countThatWasRead(entry);
      if (found !== null) await learnState(sql, peer, entry.index, thingOf(entry), found);
      return;
    }
    default:
      return;
  }
}

async function learnPolicy(sql: Sql, peer: Peer, entry: Extract<Entry, { kind: "policy" }>): Promise<void> {
  const { policy: digest, revision, code } = entry;
  await know(sql, peer, entry.index, "policy", { digest, revision, code });
  // What was shared by another policy is not shared any more, whether the agent comes to say so or not.
  await sql.run(
    "delete from shared where cluster = $1 and digest <> $2",
    peer.cluster,
    code === null ? digest : "none",
  );
  await forgetInventory(sql, peer.cluster, code === null ? digest : null);
}

/** An intent's outcome: only what succeeded is known to be as it was asked for. */
async function learnOutcome(sql: Sql, peer: Peer, outcome: Extract<Entry, { kind: "outcome" }>): Promise<void> {
  const [row] = await sql.rows<{ line: string }>(
    "select line from entries where cluster = $1 and epoch = $2 and position = $3",
    peer.cluster,
    peer.epoch,
    outcome.intent,
  );
  const intent = row === undefined ? null : Entry.parse(JSON.parse(row.line));
  if (intent?.kind !== "intent" || intent.command !== outcome.command) return;
  const state = outcome.result === "succeeded" ? stateAfter(intent) : null;
  await learnState(sql, peer, outcome.index, thingOf(intent), state);
  await reviseByOutcome(sql, peer, intent, outcome);
}

async function learnState(
  sql: Sql,
  peer: Peer,
  position: number,
  thing: string | null,
  state: SeenState,
): Promise<void> {
  if (thing !== null) await know(sql, peer, position, thing, state);
}

async function know(sql: Sql, peer: Peer, position: number, about: string, said: unknown): Promise<void> {
  await sql.run(
    `insert into known (cluster, epoch, about, position, said) values ($1, $2, $3, $4, $5)
     on conflict (cluster, epoch, about) do update set position = excluded.position, said = excluded.said`,
    peer.cluster,
    peer.epoch,
    about,
    position,
    JSON.stringify(said),
  );
}

type Where = Pick<Peer, "cluster" | "epoch">;
async function known<T>(sql: Sql, where: Where, about: string): Promise<{ position: number; said: T } | null> {
  const [row] = await sql.rows<{ position: number; said: string }>(
    "select position, said from known where cluster = $1 and epoch = $2 and about = $3",
    where.cluster,
    where.epoch,
    about,
  );
  // Only `know` writes these.
  return row === undefined ? null : { position: row.position, said: JSON.parse(row.said) as T };
}

/** The newest `policy` entry of this epoch. */
export async function readPolicyEntry(sql: Sql, where: Where): Promise<Seen<PolicyEntry> | null> {
  const row = await known<PolicyEntry>(sql, where, "policy");
  return row === null ? null : { ...row.said, position: row.position };
}

const NO_POLICY = "no policy";

/** A text that is named as in force and is no policy that shares itself: found out once, for that costs a second of parsing. */
export async function noteNoPolicy(sql: Sql, peer: Peer, position: number, digest: string): Promise<void> {
  await know(sql, peer, position, NO_POLICY, digest);
}

export async function isNoPolicy(sql: Sql, where: Where, digest: string): Promise<boolean> {
  return (await known<string>(sql, where, NO_POLICY))?.said === digest;
}

/** What a thing was last seen as; null when no entry of this epoch names it. */
export async function readSeen(
  sql: Sql,
  where: Where,
  thing: string,
): Promise<{ readonly state: SeenState; readonly position: number } | null> {
  const row = await known<SeenState>(sql, where, thing);
  return row === null ? null : { state: row.said, position: row.position };
}

/** Times of a rule's intents after `from`, oldest first. Milliseconds since 1970. */
export async function readIntents(sql: Sql, where: Where, rule: string, from: number): Promise<number[]> {
  const rows = await sql.rows<{ at: number }>(
    "select at from intents where cluster = $1 and epoch = $2 and rule = $3 and at > $4 order by at",
    where.cluster,
    where.epoch,
    rule,
    from,
  );
  return rows.map((row) => row.at);
}

/** A group, or a record set of one type: what has a state that one command leaves to the next. Null for certificates. */
export function thing(asked: {
  readonly action: string;
  readonly args: Readonly<Record<string, unknown>>;
}): string | null {
  const { group, zone, name, type } = asked.args;
  if (asked.action === "scale") return typeof group === "string" ? `group:${group}` : null;
  // A refusal that was too long for its entry does not say what was asked.
  if (asked.action !== "update-dns" || typeof zone !== "string" || typeof name !== "string") return null;
  return `record:${zone}/${name}/${String(type)}`;
}

function thingOf(entry: Acting): string | null {
  return thing({ action: entry.action, args: entry.asked });
}

function stateAfter(intent: Acting): SeenState {
  const { count, change, values, ttl } = intent.asked;
  if (intent.action === "scale") return typeof count === "number" ? { action: "scale", count } : null;
  if (intent.action !== "update-dns") return null;
  if (change === "delete") return { action: "update-dns", record: null };
  return record(values, ttl);
}

function foundBy(entry: Extract<Entry, { kind: "considered" | "waiting" }>): SeenState {
  const { count, record: none, values, ttl } = entry.found;
  if (entry.action === "scale") return typeof count === "number" ? { action: "scale", count } : null;
  if (entry.action !== "update-dns") return null;
  return none === null ? { action: "update-dns", record: null } : record(values, ttl);
}

function record(values: Facts[string] | undefined, ttl: Facts[string] | undefined): SeenState {
  return Array.isArray(values) && typeof ttl === "number" ? { action: "update-dns", record: { values, ttl } } : null;
}

/** A refusal for too large a change says which count was found. */
function countThatWasRead(entry: Extract<Entry, { kind: "refused" }>): SeenState {
  if (entry.action !== "scale" || entry.field !== "change" || !/^\d{1,7}$/.test(entry.found ?? "")) return null;
  return { action: "scale", count: Number(entry.found) };
}
