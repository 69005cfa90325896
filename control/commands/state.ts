import { existsSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../sqlite.ts";
import type { Store } from "../store.ts";
import { Complaint } from "../terminal.ts";

/** Opens the state of a control plane that was started once, for one piece of work. */
export async function withStore<T>(dir: string, work: (store: Store) => Promise<T>): Promise<T> {
  const path = join(dir, "state.db");
  if (!existsSync(path))
    throw new Complaint(3, `use ${dir}`, "it holds no control plane yet", "Start `reeve-control serve` on it once.");
  const store = await openSqlite(path);
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

export function out(text: string): void {
  process.stdout.write(text);
}
