import { Database } from "bun:sqlite";
import { MANIFEST_SCHEMA } from "./manifest/inventory.ts";
import { SCHEMA, type Sql, type Store, type Value } from "./store.ts";

const MAX_STATEMENTS = 256;

/**
 * The store in one SQLite file, shared by `serve` and the commands beside it. WAL with synchronous=FULL: a transaction that
 * resolved is on disk, whatever kills the process. Throws when the file cannot be opened.
 */
export async function openSqlite(
  path: string,
  schema: readonly string[] = [...SCHEMA, ...MANIFEST_SCHEMA],
): Promise<Store> {
  const database = new Database(path, { create: true, strict: false });
  database.run("pragma busy_timeout = 10000");
  database.run("pragma journal_mode = wal");
  database.run("pragma synchronous = full");
  const store = storeOf(database);
  await store.transaction(async (sql) => {
    for (const text of schema) await sql.run(text);
  });
  return store;
}

function storeOf(database: Database): Store {
  // All statements of this program stay prepared.
  Database.MAX_QUERY_CACHE_SIZE = MAX_STATEMENTS;
  const sql: Sql = {
    rows: async <T>(text: string, ...values: readonly Value[]) => database.query(text).all(named(values)) as T[],
    run: async (text, ...values) => database.query(text).run(named(values)).changes,
  };
  // One connection holds one transaction: the next one waits here, other processes wait in SQLite.
  let last: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };
  return {
    transaction: (work) =>
      alone(async () => {
        database.run("begin immediate");
        try {
          const result = await work(sql);
          database.run("commit");
          return result;
        } catch (error) {
          if (database.inTransaction) database.run("rollback");
          throw error;
        }
      }),
    close: () => database.close(),
  };
}

function named(values: readonly Value[]): Record<string, Value> {
  return Object.fromEntries(values.map((value, index) => [`$${index + 1}`, value]));
}
