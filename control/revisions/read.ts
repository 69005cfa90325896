import type { Sql } from "../store.ts";
import type { Asked, Change, Groups } from "./state.ts";

export type Revision = {
  readonly cluster: string;
  /** From 1 on. */
  readonly position: number;
  /** Unix seconds. */
  readonly at: number;
  /** The manifest that the cluster is at; null where none is known here. */
  readonly digest: string | null;
  readonly said_by: string;
  readonly why: string;
  /** "import", or the command's action. */
  readonly action: string;
  /** "unknown": nobody can tell whether it changed anything. */
  readonly result: "succeeded" | "failed" | "unknown";
  readonly asked: Asked;
  readonly changed: readonly Change[];
  /** The groups from then on. */
  readonly groups: Groups;
  /** The command, and the entry of its outcome; null for an import. */
  readonly command: string | null;
  readonly epoch: number | null;
  readonly entry: number | null;
};

type Row = Omit<Revision, "asked" | "changed" | "groups" | "digest"> & {
  readonly digest: string;
  readonly asked: string;
  readonly changed: string;
  readonly state: string;
};

function read({ state, ...row }: Row): Revision {
  return {
    ...row,
    digest: row.digest === "" ? null : row.digest,
    asked: JSON.parse(row.asked) as Asked,
    changed: JSON.parse(row.changed) as Change[],
    groups: JSON.parse(state) as Groups,
  };
}

export async function newestRevision(sql: Sql, cluster: string): Promise<Revision | null> {
  const [row] = await sql.rows<Row>(
    "select * from revisions where cluster = $1 order by position desc limit 1",
    cluster,
  );
  return row === undefined ? null : read(row);
}

/** Newest first. */
export async function revisionsOf(sql: Sql, cluster: string): Promise<Revision[]> {
  const rows = await sql.rows<Row>("select * from revisions where cluster = $1 order by position desc", cluster);
  return rows.map(read);
}

/** What held at a time (Unix seconds), oldest first; empty before the first. */
export async function revisionsUntil(sql: Sql, cluster: string, at: number): Promise<Revision[]> {
  const rows = await sql.rows<Row>(
    "select * from revisions where cluster = $1 and at <= $2 order by position",
    cluster,
    at,
  );
  return rows.map(read);
}

export type NewRevision = Omit<Revision, "position">;

/** Adds one. Times never run backwards along the line, whatever the clocks said. */
export async function addRevision(sql: Sql, revision: NewRevision): Promise<void> {
  const before = await newestRevision(sql, revision.cluster);
  await sql.run(
    `insert into revisions (cluster, position, at, digest, said_by, why, action, result, asked, changed, state, command, epoch, entry)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
    revision.cluster,
    (before?.position ?? 0) + 1,
    Math.max(revision.at, before?.at ?? 0),
    revision.digest ?? "",
    revision.said_by,
    revision.why,
    revision.action,
    revision.result,
    JSON.stringify(revision.asked),
    JSON.stringify(revision.changed),
    JSON.stringify(revision.groups),
    revision.command,
    revision.epoch,
    revision.entry,
  );
}
