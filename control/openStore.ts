import { existsSync } from "node:fs";
import { join } from "node:path";
import { readDatabaseUrl } from "./databaseFile.ts";
import { openPostgres } from "./postgres.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

/** The state of the control plane in DIR: DIR/state.db, or the PostgreSQL database that DIR/database names. Made when it is not there. */
export async function openStore(dir: string): Promise<Store> {
  const file = join(dir, "state.db");
  const url = readDatabaseUrl(dir);
  if (url === null) return openSqlite(file);
  // What is in the one is not in the other: to begin anew by mistake would give out epochs a second time.
  if (existsSync(file))
    throw new Complaint(
      3,
      `use ${dir}`,
      "it has its state in state.db, and names a database too",
      "Take one of the two away: state.db, or the file `database`.",
    );
  return openPostgres(url);
}

/** Whether there is a state to be opened: a command that only looks makes none. */
export function hasState(dir: string): boolean {
  return existsSync(join(dir, "state.db")) || existsSync(join(dir, "database"));
}
