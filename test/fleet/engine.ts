import { type Postgres, placeDatabase, startPostgres } from "./postgres.ts";

/** Which engine the worlds of test/control begin with: SQLite, unless a file says that it runs them on PostgreSQL. */
let postgres: Postgres | null = null;

export async function onPostgres(): Promise<Postgres> {
  postgres ??= await startPostgres();
  return postgres;
}

/** Before a control plane's first start on a folder. */
export async function placeState(dir: string): Promise<void> {
  if (postgres !== null) placeDatabase(dir, await postgres.database());
}
