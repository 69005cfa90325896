import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../control/openStore.ts";
import { openSqlite } from "../../control/sqlite.ts";
import type { Store } from "../../control/store.ts";
import { type Postgres, placeDatabase, startPostgres } from "./postgres.ts";

/** Which engine the worlds of test/control, test/rollout and test/manifest begin with: SQLite, unless a file says that it runs them on PostgreSQL. */
let postgres: Postgres | null = null;
/** What each world's database is a copy of: empty, with its tables, so that they are made once. */
let empty: string | null = null;

export async function onPostgres(): Promise<Postgres> {
  postgres ??= await startPostgres();
  return postgres;
}

/** Before a control plane's first start on a folder. */
export async function placeState(dir: string): Promise<void> {
  if (postgres !== null) placeDatabase(dir, await newDatabase(postgres));
}

/** An empty state for one world: in memory, or in a database of its own. The world closes it. */
export async function newStore(): Promise<Store> {
  return postgres === null ? openSqlite(":memory:") : opened(await newDatabase(postgres));
}

async function newDatabase(server: Postgres): Promise<string> {
  if (empty === null) {
    const text = await server.database();
    (await opened(text)).close();
    empty = new URL(text).pathname.slice(1);
  }
  return server.database(`template ${empty}`);
}

async function opened(text: string): Promise<Store> {
  const dir = mkdtempSync(join(tmpdir(), "reeve-engine-"));
  try {
    placeDatabase(dir, text);
    return await openStore(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
