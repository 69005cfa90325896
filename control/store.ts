/**
 * The control plane's state behind one interface. SQL is limited to what SQLite and PostgreSQL both take: `$1` placeholders,
 * text and bigint columns, `on conflict`. The engines are control/sqlite.ts and control/postgres.ts.
 */
export type Value = string | number | null;
export type Sql = {
  rows<T>(text: string, ...values: readonly Value[]): Promise<T[]>;
  /** The number of changed rows. */
  run(text: string, ...values: readonly Value[]): Promise<number>;
  /** Tells every process that serves on this store, this one too, when the transaction is durable; never when it is undone. */
  tell(news: News): void;
  /** Ends a `select` of work that one of many takes: rows that another has in hand are passed over. Nothing where one writes at a time. */
  readonly skipLocked: "" | " for update skip locked";
};
/**
 * What a transaction may change. A cluster's name: only what is of this cluster, so that those of other clusters go on beside it. Asked
 * within the transaction when it is known only there. Left out: anything, and nobody else writes meanwhile.
 */
export type About = string | ((sql: Sql) => Promise<string | null>);
/** For the polls of a cluster; of every one; a moment (moment.ts) that is on record. */
export type News = { readonly cluster: string } | { readonly moment: number } | "all";
export type Store = {
  /** One transaction that may write: durable when it resolves, undone when `work` throws. */
  transaction<T>(work: (sql: Sql) => Promise<T>, about?: About): Promise<T>;
  /** Looks at one state of everything, and holds nobody up. Writes nothing. */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Hears what is told from now on. "all": something may have been missed. Resolves when nothing more can be; returns the end of it. */
  listen(heard: (news: News) => void): Promise<() => void>;
  /** When every transaction that this process began is over. */
  settled(): Promise<void>;
  close(): void;
};

export const SCHEMA: readonly string[] = [
  "create table if not exists meta (name text primary key, value text not null)",
  `create table if not exists clusters (cluster text primary key, epoch bigint not null, enrolled_at bigint not null,
    process text, checkpoint text, state text, reason text, version text, trust_version bigint not null, last_seen bigint,
    trust_waiting bigint)`,
  `create table if not exists tokens (jti text primary key, cluster text not null, exp bigint not null,
    spki text, epoch bigint, answer text)`,
  `create table if not exists certificates (serial text primary key, cluster text not null, epoch bigint not null,
    slot text not null, spki text not null, chain text not null, not_after bigint not null, used_at bigint)`,
  // When a certificate was replaced (moment.ts).
  "create table if not exists retired_certificates (serial text primary key, at text not null)",
  // Epochs whose identity two hold; the processes that others replaced; the longest head that was shown.
  "create table if not exists copies (cluster text not null, epoch bigint not null, at bigint not null, why text not null, primary key (cluster, epoch))",
  `create table if not exists replaced_processes (cluster text not null, epoch bigint not null, process text not null, at text not null,
    primary key (cluster, epoch, process))`,
  `create table if not exists seen_heads (cluster text not null, epoch bigint not null, size bigint not null, at text not null,
    primary key (cluster, epoch))`,
  "create table if not exists trust (cluster text not null, version bigint not null, jws text not null, primary key (cluster, version))",
  `create table if not exists commands (id text primary key, cluster text not null, epoch bigint not null, resource text not null,
    jws text not null, digest text not null, exp bigint not null, state text not null, code text, handed_at bigint,
    handed_process text, cancel bigint not null, replay bigint not null, replay_line text, line text)`,
  "create index if not exists commands_by_cluster on commands (cluster, state)",
  "create index if not exists commands_by_digest on commands (digest)",
  `create table if not exists logs (cluster text not null, epoch bigint not null, log_key text not null, size bigint not null,
    peaks text not null, ahead text not null, primary key (cluster, epoch))`,
  // Keys of later segments, by the index that each begins at; the first one stands in logs.
  `create table if not exists log_keys (cluster text not null, epoch bigint not null, position bigint not null, log_key text not null,
    primary key (cluster, epoch, position))`,
  `create table if not exists entries (cluster text not null, epoch bigint not null, position bigint not null, line text not null,
    root text not null, primary key (cluster, epoch, position))`,
  `create table if not exists alarms (cluster text not null, kind text not null, about text not null, words text not null,
    at bigint not null, primary key (cluster, kind, about))`,
  "create table if not exists shared (cluster text primary key, epoch bigint not null, digest text not null, body text not null, at bigint not null)",
  `create table if not exists known (cluster text not null, epoch bigint not null, about text not null, position bigint not null,
    said text not null, primary key (cluster, epoch, about))`,
  `create table if not exists intents (cluster text not null, epoch bigint not null, position bigint not null, rule text not null,
    at bigint not null, primary key (cluster, epoch, position))`,
  "create index if not exists intents_by_rule on intents (cluster, epoch, rule, at)",
  `create table if not exists cosigned (cluster text not null, epoch bigint not null, size bigint not null, note text not null,
    at bigint not null, primary key (cluster, epoch, size))`,
  `create table if not exists receipts (cluster text not null, epoch bigint not null, position bigint not null, size bigint not null,
    path text not null, primary key (cluster, epoch, position))`,
  `create table if not exists cleared_alarms (id text not null, cluster text not null, kind text not null, about text not null,
    words text not null, at bigint not null, cleared_at bigint not null, cleared_by text not null, cleared_why text not null)`,
  `create table if not exists admissions (cluster text primary key, platform text not null, place text not null, who text not null,
    budget bigint not null, used bigint not null, said_by text not null, said_why text not null, at bigint not null)`,
  // Enrolments by a proof: what was shown, and the answer, which may be lost. jti: of the token that came along.
  `create table if not exists proven (cluster text not null, epoch bigint not null, spki text not null, platform text not null,
    place text not null, who text not null, machine text not null, jti text, answer text not null, at bigint not null,
    primary key (cluster, epoch))`,
  "create index if not exists proven_by_key on proven (cluster, spki)",
];

export const COMMAND_STATES = [
  "queued",
  "handed-out",
  "waiting",
  "intent",
  "succeeded",
  "failed",
  "unknown",
  "refused",
  "considered",
  "cancelled",
  "expired",
] as const;
export type CommandState = (typeof COMMAND_STATES)[number];
/** What is not decided yet. */
export const OPEN_STATES: readonly CommandState[] = ["queued", "handed-out", "waiting", "intent"];
/** Commands that a poll may have to speak of. */
export const OPEN_OR_REPLAYED = `(state in (${OPEN_STATES.map((state) => `'${state}'`).join(", ")}) or replay = 1)`;

export type CommandRow = {
  readonly id: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly resource: string;
  readonly jws: string;
  readonly digest: string;
  readonly exp: number;
  readonly state: CommandState;
  readonly code: string | null;
  readonly handed_at: number | null;
  readonly handed_process: string | null;
  readonly cancel: number;
  readonly replay: number;
  readonly replay_line: string | null;
  /** The newest entry about it, as it was handed in. */
  readonly line: string | null;
};

/** The key that a command's header names. */
export function commandKid(jws: string): string {
  const header = JSON.parse(Buffer.from(jws.split(".")[0] ?? "", "base64url").toString()) as { kid: string };
  return header.kid;
}

export type ClusterRow = {
  readonly cluster: string;
  readonly epoch: number;
  readonly enrolled_at: number;
  readonly process: string | null;
  readonly checkpoint: string | null;
  readonly state: "ready" | "suspended" | "refusing" | null;
  readonly reason: string | null;
  readonly version: string | null;
  readonly trust_version: number;
  readonly last_seen: number | null;
  /** Version of the trust statement that waits for the customer; null when none does. */
  readonly trust_waiting: number | null;
};

export async function readMeta(sql: Sql, name: string): Promise<string | null> {
  const [row] = await sql.rows<{ value: string }>("select value from meta where name = $1", name);
  return row?.value ?? null;
}

export async function writeMeta(sql: Sql, name: string, value: string): Promise<void> {
  await sql.run(
    "insert into meta (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
    name,
    value,
  );
}

/** Wakes the polls that are held for this cluster, by whichever process. */
export async function bumpChanges(sql: Sql, cluster: string): Promise<void> {
  sql.tell({ cluster });
}

export async function readCluster(sql: Sql, cluster: string): Promise<ClusterRow | null> {
  const [row] = await sql.rows<ClusterRow>("select * from clusters where cluster = $1", cluster);
  return row ?? null;
}

/** Makes a cluster known; epoch 0 means that nobody has enrolled. */
export async function ensureCluster(sql: Sql, cluster: string): Promise<void> {
  await sql.run(
    "insert into clusters (cluster, epoch, enrolled_at, trust_version) values ($1, 0, 0, 0) on conflict (cluster) do nothing",
    cluster,
  );
}

/** An alarm stays until an operator looked; the same one is kept once, so that nobody can fill the store with them. */
export async function raiseAlarm(sql: Sql, cluster: string, kind: string, about: string, words: string): Promise<void> {
  await sql.run(
    "insert into alarms (cluster, kind, about, words, at) values ($1, $2, $3, $4, $5) on conflict (cluster, kind, about) do nothing",
    cluster,
    kind,
    about,
    words,
    nowSeconds(),
  );
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
