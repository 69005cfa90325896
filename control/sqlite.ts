import { Database } from "bun:sqlite";
import { closeSync, existsSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { migrate } from "./migrate.ts";
import { MIGRATIONS, type Migrations } from "./migrations.ts";
import type { News, Sql, Store, Value } from "./store.ts";
import { sayTrouble } from "./terminal.ts";

/** What other processes write is noticed after at most so long. */
const WATCH_MS = 150;
/** Whoever has not looked for so many is told that something was missed. */
const NEWS_KEPT = 2000;
/** This engine's own, beside the state. */
const NEWS = "create table if not exists news (number integer primary key, teller text not null, said text not null)";

const MAX_STATEMENTS = 256;

/**
 * The store in one SQLite file, shared by `serve` and the commands beside it. WAL with synchronous=FULL: a transaction that
 * resolved is on disk, whatever kills the process. Throws when the file cannot be opened, or is newer than this program.
 */
export async function openSqlite(path: string, migrations: Migrations = MIGRATIONS): Promise<Store> {
  // What is beside it (-wal, -shm) takes its mode. A folder that is not there is SQLite's to complain of.
  if (path !== ":memory:" && existsSync(dirname(path))) closeSync(openSync(path, "a", 0o600));
  const database = new Database(path, { create: true, strict: false });
  database.run("pragma busy_timeout = 10000");
  database.run("pragma journal_mode = wal");
  database.run("pragma synchronous = full");
  const store = storeOf(database);
  try {
    await store.transaction(async (sql) => {
      await migrate(sql, "sqlite", migrations, path);
      await sql.run(NEWS);
    });
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
        others.tell(told);
        database.run("commit");
        hear(told);
        return result;
      } catch (error) {
        if (database.inTransaction) database.run("rollback");
        throw error;
      }
    });
  const others = watchOthers(database, hear);
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

type Others = { tell(told: readonly News[]): void; watch(): void; stop(): void };

/**
 * SQLite says whether another connection has written, not what: that lies in the table `news`, the newest NEWS_KEPT of it. What is told stands there
 * within the transaction that it is about.
 */
function watchOthers(database: Database, hear: (news: readonly News[]) => void): Others {
  const self = crypto.randomUUID();
  const version = (): number => (database.query("pragma data_version").get() as { data_version: number }).data_version;
  const newest = (): number =>
    (database.query("select coalesce(max(number), 0) as number from news").get() as { number: number }).number;
  let timer: ReturnType<typeof setInterval> | null = null;
  let [seen, read] = [0, 0];
  function look(): void {
    const now = version();
    if (now === seen) return;
    const rows = database.query("select number, teller, said from news where number > $1 order by number").all({
      $1: read,
    }) as { number: number; teller: string; said: string }[];
    seen = now;
    const missed = rows[0] !== undefined && rows[0].number > read + 1;
    read = rows.at(-1)?.number ?? read;
    hear(missed ? ["all"] : rows.filter(({ teller }) => teller !== self).map(({ said }) => JSON.parse(said) as News));
  }
  return {
    tell(told) {
      for (const news of told)
        database
          .query("insert into news (number, teller, said) select coalesce(max(number), 0) + 1, $1, $2 from news")
          .run({ $1: self, $2: JSON.stringify(news) });
      if (told.length > 0)
        database.query("delete from news where number <= (select max(number) from news) - $1").run({ $1: NEWS_KEPT });
    },
    watch() {
      if (timer !== null) return;
      [seen, read] = [version(), newest()];
      timer = setInterval(() => {
        try {
          look();
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
