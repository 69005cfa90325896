import { Database } from "bun:sqlite";
import { migrate } from "./migrate.ts";
import { MIGRATIONS, type Migrations } from "./migrations.ts";
import type { News, Sql, Store, Value } from "./store.ts";
import { sayTrouble } from "./terminal.ts";

/** What other processes write is noticed after at most so long. */
const WATCH_MS = 150;

const MAX_STATEMENTS = 256;

/**
 * The store in one SQLite file, shared by `serve` and the commands beside it. WAL with synchronous=FULL: a transaction that
 * resolved is on disk, whatever kills the process. Throws when the file cannot be opened, or is newer than this program.
 */
export async function openSqlite(path: string, migrations: Migrations = MIGRATIONS): Promise<Store> {
  const database = new Database(path, { create: true, strict: false });
  database.run("pragma busy_timeout = 10000");
  database.run("pragma journal_mode = wal");
  database.run("pragma synchronous = full");
  const store = storeOf(database);
  try {
    await store.transaction((sql) => migrate(sql, "sqlite", migrations, path));
  } catch (error) {
    store.close();
    throw error;
  }
  return store;
}

function storeOf(database: Database): Store {
  const listeners = new Set<(news: News) => void>();
  const hear = (all: readonly News[]): void => {
    for (const news of all) for (const heard of listeners) heard(news);
  };
  let told: News[] = [];
  // All statements of this program stay prepared.
  Database.MAX_QUERY_CACHE_SIZE = MAX_STATEMENTS;
  const sql: Sql = {
    rows: async <T>(text: string, ...values: readonly Value[]) => database.query(text).all(named(values)) as T[],
    run: async (text, ...values) => database.query(text).run(named(values)).changes,
    tell: (news) => void told.push(news),
    skipLocked: "",
  };
  // One connection holds one transaction: the next one waits here, other processes wait in SQLite.
  let last: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };
  const begun = <T>(begin: "begin" | "begin immediate", work: (sql: Sql) => Promise<T>): Promise<T> =>
    alone(async () => {
      told = [];
      database.run(begin);
      try {
        const result = await work(sql);
        database.run("commit");
        hear(told);
        return result;
      } catch (error) {
        if (database.inTransaction) database.run("rollback");
        throw error;
      }
    });
  const others = watchOthers(database, () => hear(["all"]));
  return {
    transaction: (work) => begun("begin immediate", work),
    read: (work) => begun("begin", work),
    async listen(heard) {
      listeners.add(heard);
      others.watch();
      return () => {
        listeners.delete(heard);
        if (listeners.size === 0) others.stop();
      };
    },
    settled: () => alone(async () => undefined),
    close() {
      others.stop();
      database.close();
    },
  };
}

/** SQLite says whether another connection has written, not what. */
function watchOthers(database: Database, changed: () => void): { watch(): void; stop(): void } {
  const look = (): number => (database.query("pragma data_version").get() as { data_version: number }).data_version;
  let timer: ReturnType<typeof setInterval> | null = null;
  let seen = 0;
  return {
    watch() {
      if (timer !== null) return;
      seen = look();
      timer = setInterval(() => {
        try {
          const now = look();
          if (now !== seen) changed();
          seen = now;
        } catch (error) {
          sayTrouble("the state cannot be read", error);
        }
      }, WATCH_MS);
    },
    stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
  };
}

function named(values: readonly Value[]): Record<string, Value> {
  return Object.fromEntries(values.map((value, index) => [`$${index + 1}`, value]));
}
