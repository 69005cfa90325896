import { SQL, type TransactionSQL } from "bun";
import type { DatabaseUrl } from "./databaseFile.ts";
import { migrate } from "./migrate.ts";
import { MIGRATIONS, type Migrations } from "./migrations.ts";
import { databaseTrouble, judgeServer } from "./postgresServer.ts";
import type { About, News, Sql, Store, Value } from "./store.ts";
import { sayTrouble } from "./terminal.ts";

/** Connections of one process. A transaction that waits for its turn holds one. */
const CONNECTIONS = 8;
const CONNECT_SECONDS = 10;
/** As long as SQLite's busy_timeout: for a turn. */
const WAIT_FOR_TURN_MS = 10_000;
/** A machine that is gone in the middle of a transaction: what it held is free again after so long. */
const IDLE_IN_TRANSACTION_MS = 30_000;
const CHANNEL = "reeve";
/** The two halves of an advisory lock's key: first everything, or clusters by their hash. */
const EVERYTHING = "select pg_advisory_xact_lock(1919247717, 0)";
const BESIDE_OTHERS = "select pg_advisory_xact_lock_shared(1919247717, 0)";
const OF_CLUSTER = "select pg_advisory_xact_lock(1919247718, hashtext($1))";

/**
 * The store in a PostgreSQL database of its own, for several replicas. A transaction takes its turn before it reads: alone, or beside those about
 * other clusters. So it never sees what another one is at, is never undone for another's sake and never tried again, as with SQLite; no replica
 * leads. A killed replica's transaction is undone by the server, and its turn is over. Durable when it resolves: synchronous_commit is on.
 * Throws a Complaint: 5 not reachable, 4 not let in, 3 a server or a database that cannot be used.
 */
export async function openPostgres(url: DatabaseUrl, migrations: Migrations = MIGRATIONS): Promise<Store> {
  const pool = new SQL({
    ...url.connect,
    adapter: "postgres",
    max: CONNECTIONS,
    connectionTimeout: CONNECT_SECONDS,
    bigint: true,
    connection: {
      application_name: "reeve-control",
      client_min_messages: "warning",
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      lock_timeout: WAIT_FOR_TURN_MS,
      synchronous_commit: "on",
    },
  });
  const store = storeOf(pool);
  try {
    await store.read((sql) => judgeServer(sql, url.place));
    await store.transaction((sql) => migrate(sql, "postgres", migrations, url.place));
  } catch (error) {
    store.close();
    throw databaseTrouble(error, url.place);
  }
  return store;
}

function storeOf(pool: SQL): Store {
  const self = crypto.randomUUID();
  const running = new Set<Promise<unknown>>();
  const listeners = new Set<(news: News) => void>();
  const hear = (all: readonly News[]): void => {
    for (const news of all) for (const heard of listeners) heard(news);
  };
  const counted = <T>(work: Promise<T>): Promise<T> => {
    running.add(work);
    const over = (): void => void running.delete(work);
    work.then(over, over);
    return work;
  };
  return {
    transaction: (work, about) =>
      counted(
        (async () => {
          const told: News[] = [];
          const result = await pool.begin("isolation level read committed", async (tx) => {
            const sql = sqlOf(tx, told);
            await takeTurn(tx, sql, about);
            const done = await work(sql);
            // Sent by the server with the commit, or not at all.
            if (told.length > 0) await tx.unsafe("select pg_notify($1, $2)", [CHANNEL, letter(self, told)]);
            return done;
          });
          hear(told);
          return result;
        })(),
      ),
    read: (work) =>
      counted(
        pool.begin("isolation level repeatable read read only", (tx) => work(sqlOf(tx, []))) as ReturnType<typeof work>,
      ),
    async listen(heard) {
      listeners.add(heard);
      const onLetter = (text: string): void => {
        for (const news of opened(text, self)) heard(news);
      };
      // Told again after each connection that was lost: what came meanwhile was missed.
      const listening = await pool.listen(CHANNEL, onLetter, () => heard("all"));
      return () => {
        listeners.delete(heard);
        listening.unlisten().catch((error: unknown) => sayTrouble("the database is not listened to any more", error));
      };
    },
    async settled() {
      while (running.size > 0) await Promise.allSettled(running);
    },
    close() {
      pool.close().catch((error: unknown) => sayTrouble("the database could not be left", error));
    },
  };
}

async function takeTurn(tx: TransactionSQL, sql: Sql, about: About | undefined): Promise<void> {
  if (about === undefined) {
    await tx.unsafe(EVERYTHING);
    return;
  }
  await tx.unsafe(BESIDE_OTHERS);
  const cluster = typeof about === "string" ? about : await about(sql);
  if (cluster !== null) await tx.unsafe(OF_CLUSTER, [cluster]);
}

function sqlOf(tx: TransactionSQL, told: News[]): Sql {
  return {
    rows: async <T>(text: string, ...values: readonly Value[]) =>
      ((await tx.unsafe(text, [...values])) as Record<string, unknown>[]).map((row) => withNumbers(row) as T),
    run: async (text, ...values) => Number((await tx.unsafe(text, [...values])).count ?? 0),
    tell: (news) => void told.push(news),
    skipLocked: " for update skip locked",
  };
}

/** Every bigint of ours is a count, an index or a time: a safe integer. */
function withNumbers(row: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(row)) {
    if (typeof value !== "bigint") continue;
    if (!Number.isSafeInteger(Number(value))) throw new Error(`${name} is no safe integer`);
    row[name] = Number(value);
  }
  return row;
}

/** Under NOTIFY's 8000 bytes: more than fits is "all". */
const MAX_LETTER = 4000;
function letter(from: string, told: readonly News[]): string {
  const text = JSON.stringify({ from, told });
  return text.length <= MAX_LETTER ? text : JSON.stringify({ from, told: ["all", ...told.filter(isMoment).slice(-1)] });
}

function isMoment(news: News): boolean {
  return news !== "all" && "moment" in news;
}

/** What others told; one's own was heard at its commit. Only those who may write the state can send here. */
function opened(text: string, self: string): readonly News[] {
  const { from, told } = JSON.parse(text) as { from: string; told: News[] };
  return from === self ? [] : told;
}
