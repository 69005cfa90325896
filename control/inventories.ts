import type { SharedGroup } from "../agent/wire/protocol.ts";
import type { Sql } from "./store.ts";

/** What a customer's policy shares of what its groups run: the agent's own word, the newest only. */
export const INVENTORY_SCHEMA: readonly string[] = [
  "create table if not exists inventories (cluster text primary key, epoch bigint not null, policy text not null, body text not null, at bigint not null)",
];

export type Inventory = { readonly at: number; readonly epoch: number; readonly groups: readonly SharedGroup[] };

/** A new agent shares anew, or does not; another policy does not share what this one did. */
export async function forgetInventory(sql: Sql, cluster: string, exceptPolicy: string | null): Promise<void> {
  await sql.run("delete from inventories where cluster = $1 and policy <> $2", cluster, exceptPolicy ?? "none");
}

/** Null when the cluster shares none. */
export async function readInventory(sql: Sql, cluster: string): Promise<Inventory | null> {
  const [row] = await sql.rows<{ epoch: number; body: string; at: number }>(
    "select epoch, body, at from inventories where cluster = $1",
    cluster,
  );
  return row === undefined
    ? null
    : { at: row.at, epoch: row.epoch, groups: JSON.parse(row.body) as readonly SharedGroup[] };
}
