import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteIntrospector,
} from "kysely";
import { Migrator } from "kysely/migration";
import type { Migrations } from "./migrations.ts";
import type { Sql } from "./store.ts";
import { Complaint } from "./terminal.ts";

export type Engine = "sqlite" | "postgres";

/**
 * Brings the state up to the newest migration, within a transaction in which nobody else writes: who starts at the same time finds it done.
 * Kysely's Migrator keeps the order and the names; what it runs is `sql`. Throws a Complaint for a state that is newer than this program.
 */
export async function migrate(sql: Sql, engine: Engine, migrations: Migrations, place: string): Promise<void> {
  // What failed first: after it the database only says that the transaction is over.
  let failed: unknown;
  const noting: Sql["rows"] = (text, ...values) =>
    sql.rows<never>(text, ...values).catch((error: unknown) => {
      failed ??= error;
      throw error;
    });
  const db = new Kysely<unknown>({ dialect: dialectOf(noting, engine) });
  const migrator = new Migrator({
    db,
    migrationTableName: "reeve_migrations",
    migrationLockTableName: "reeve_migrations_lock",
    provider: {
      getMigrations: async () =>
        Object.fromEntries(
          migrations.map(([name, statements]) => [
            name,
            {
              up: async () => {
                for (const text of statements) await sql.run(text);
              },
            },
          ]),
        ),
    },
  });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const newer = /previously executed migration (\S{1,64}) is missing/.exec(String(error))?.[1];
  if (newer === undefined) throw failed ?? error;
  throw new Complaint(
    3,
    `use ${place}`,
    `a newer reeve-control has changed it (${newer}), and this one does not know how`,
    "Use that version, or a newer one.",
  );
}

/** Both engines take what is written for PostgreSQL: `$1` and quoted names. Only where they list their tables they differ. */
function dialectOf(rows: Sql["rows"], engine: Engine): Dialect {
  return {
    createAdapter: () => new WithinTransaction(),
    createDriver: () => driverOf(rows),
    createIntrospector: (db) => (engine === "sqlite" ? new SqliteIntrospector(db) : new PostgresIntrospector(db)),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

/** The transaction around all of it is the lock. */
class WithinTransaction extends PostgresAdapter implements DialectAdapter {
  override async acquireMigrationLock(): Promise<void> {}
  override async releaseMigrationLock(): Promise<void> {}
}

function driverOf(rowsOf: Sql["rows"]): Driver {
  const connection: DatabaseConnection = {
    executeQuery: async <R>({ sql: text, parameters }: CompiledQuery) => ({
      rows: await rowsOf<R>(text, ...(parameters as (string | number | null)[])),
    }),
    streamQuery() {
      throw new Error("nothing is streamed here");
    },
  };
  const nothing = async (): Promise<void> => undefined;
  return {
    init: nothing,
    acquireConnection: async () => connection,
    beginTransaction: nothing,
    commitTransaction: nothing,
    rollbackTransaction: nothing,
    releaseConnection: nothing,
    destroy: nothing,
  };
}
