import { createHash } from "node:crypto";
import type { Store, Value } from "../../control/store.ts";

/** What the handlers' state was: by table, its rows as JSON. */
export type Kept = Readonly<Record<string, string>>;

const TABLES = [
  "clusters",
  "tokens",
  "certificates",
  "retired_certificates",
  "copies",
  "replaced_processes",
  "seen_heads",
  "commands",
  "logs",
  "log_keys",
  "entries",
  "alarms",
  "known",
  "intents",
] as const;

export async function keep(store: Store): Promise<Kept> {
  return store.transaction(async (sql) => {
    const kept: Record<string, string> = {};
    for (const table of TABLES) {
      const rows = await sql.rows<Record<string, Value>>(`select * from ${table}`);
      kept[table] = JSON.stringify(rows);
    }
    return kept;
  });
}

/** Makes the state what it was. Tables that are so already are left alone. */
export async function restore(store: Store, kept: Kept): Promise<void> {
  const present = await keep(store);
  await store.transaction(async (sql) => {
    for (const table of TABLES.filter((one) => present[one] !== kept[one])) {
      await sql.run(`delete from ${table}`);
      for (const row of JSON.parse(kept[table] ?? "[]") as Record<string, Value>[]) {
        const names = Object.keys(row);
        const places = names.map((_, at) => `$${at + 1}`).join(", ");
        await sql.run(`insert into ${table} (${names.join(", ")}) values (${places})`, ...Object.values(row));
      }
    }
  });
}

/**
 * A name for a state. Of moments only their order counts, of connections only when they were accepted and by which key: by the clock, and by the
 * control plane's own moments, of which a connection is after some.
 */
export function digestOf(state: object): string {
  const text = JSON.stringify(state, (name, value: unknown) => {
    if (name === "port") return undefined;
    return name === "stamp" ? `#${value}` : value;
  }).replaceAll('\\"', '"');
  const clocked = ranked(text, /"(\d{13} \d+)"/g, (at) => Number(at.split(" ")[1]));
  const counted = [...new Set([...clocked.matchAll(COUNTED)].map(([, at]) => Number(at)))].sort((a, b) => a - b);
  const named = clocked
    .replaceAll(COUNTED, (_, at: string) => `"at":@${counted.indexOf(Number(at))}`)
    .replaceAll(/"#(\d+)"/g, (_, at: string) => `#${counted.filter((one) => one <= Number(at)).length}`);
  return createHash("sha256").update(named).digest("base64");
}

const COUNTED = /"at":"(\d+)"/g;

function ranked(text: string, moment: RegExp, since: (at: string) => number): string {
  const moments = [...new Set([...text.matchAll(moment)].map(([, at = ""]) => at))];
  moments.sort((one, other) => since(one) - since(other));
  const ranks = new Map(moments.map((at, rank) => [at, rank]));
  return text.replaceAll(moment, (_, at: string) => `@${ranks.get(at)}`);
}
