import type { Sql } from "./store.ts";
import { Complaint } from "./terminal.ts";

const OLDEST_VERSION = 14;

/** Whether this server and database keep what they are given, as it was given. Throws a Complaint (3). */
export async function judgeServer(sql: Sql, place: string): Promise<void> {
  const [row] = await sql.rows<{ version: string; fsync: string; encoding: string; collation: string }>(
    `select current_setting('server_version_num') as version, current_setting('fsync') as fsync,
     pg_encoding_to_char(encoding) as encoding, datcollate as collation from pg_database where datname = current_database()`,
  );
  const no = (because: string, hint: string): never => {
    throw new Complaint(3, `use the database ${place}`, because, hint);
  };
  const major = Math.floor(Number(row?.version ?? 0) / 10_000);
  if (major < OLDEST_VERSION)
    no(`its PostgreSQL is version ${major}`, `PostgreSQL ${OLDEST_VERSION} or newer is needed.`);
  if (row?.fsync !== "on") no("fsync is off there: it loses what it said it keeps", "Turn fsync on in its settings.");
  if (row?.encoding !== "UTF8" || !/^(C|POSIX)(\.|$)/.test(row.collation))
    no(
      `its texts are ${row?.encoding}, in the order of ${row?.collation}`,
      "Make one with: create database reeve template template0 encoding 'UTF8' locale 'C'.",
    );
}

/** What the driver or the server says when a store is opened, in an operator's words. What is neither is given back as it came. */
export function databaseTrouble(error: unknown, place: string): unknown {
  const { code, errno } = (typeof error === "object" && error !== null ? error : {}) as {
    code?: unknown;
    errno?: unknown;
  };
  if (error instanceof Complaint || typeof code !== "string") return error;
  const cannot = `use the database ${place}`;
  const state = typeof errno === "string" ? errno : "";
  if (/^28/.test(state) || /AUTHENTICATION|PASSWORD/.test(code))
    return new Complaint(4, cannot, "it does not let this user in", "Look at user and password in DIR/database.");
  if (state === "42501")
    return new Complaint(
      4,
      cannot,
      "this user may not do what is needed",
      "Make the user the database's owner: alter database NAME owner to USER.",
    );
  if (state === "3D000")
    return new Complaint(
      3,
      cannot,
      "there is no such database",
      "Make it with: create database reeve template template0 encoding 'UTF8' locale 'C'.",
    );
  if (state === "55P03")
    return new Complaint(5, cannot, "somebody else is writing, and does not end", "Try again; see pg_stat_activity.");
  // What the server says of a statement of ours is our own mistake; of its connection, its resources or its end it is not.
  if (state !== "" && !/^(08|53|57|58)/.test(state)) return error;
  return new Complaint(
    5,
    cannot,
    `it cannot be reached (${[code, state].filter((part) => part !== "").join(" ")})`,
    "Look whether the server runs, at its address, and at its certificate when DIR/database asks for one.",
  );
}
