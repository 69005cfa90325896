import { checksumOf, type Manifest } from "../../agent/wire/manifest.ts";
import { ensureCluster, nowSeconds, type Sql } from "../store.ts";
import type { ManifestFile } from "./file.ts";
import { readPurl } from "./purl.ts";

/** What the control plane knows of manifests. Packages are kept once a content, however many clusters have it. */
export const MANIFEST_SCHEMA: readonly string[] = [
  "create table if not exists manifests (digest text primary key, cluster text not null, checksum text not null, note text not null)",
  `create table if not exists manifest_packages (checksum text not null, image text not null, name text not null, version text not null,
    purl text not null, primary key (checksum, image, purl))`,
  "create index if not exists manifest_packages_by_name on manifest_packages (name, version)",
  "create index if not exists manifests_by_checksum on manifests (checksum)",
  `create table if not exists manifest_history (cluster text not null, at bigint not null, position bigint not null, digest text not null,
    said_by text not null, why text not null, primary key (cluster, position))`,
];

export type Revision = {
  readonly cluster: string;
  /** From 1 on; each change of a cluster's manifest is one. */
  readonly position: number;
  /** Unix seconds. */
  readonly at: number;
  readonly digest: string;
  readonly said_by: string;
  readonly why: string;
};

/** Keeps a manifest and makes it its cluster's newest. False when it is that already. */
export async function keepManifest(
  sql: Sql,
  file: Pick<ManifestFile, "manifest" | "digest" | "note">,
  by: string,
  why: string,
): Promise<boolean> {
  const { cluster } = file.manifest.parameters;
  await ensureCluster(sql, cluster);
  const newest = await newestRevision(sql, cluster);
  if (newest?.digest === file.digest) return false;
  const checksum = checksumOf(file.manifest.content);
  await keepPackages(sql, checksum, file.manifest);
  await sql.run(
    "insert into manifests (digest, cluster, checksum, note) values ($1, $2, $3, $4) on conflict (digest) do nothing",
    file.digest,
    cluster,
    checksum,
    file.note,
  );
  await sql.run(
    "insert into manifest_history (cluster, at, position, digest, said_by, why) values ($1, $2, $3, $4, $5, $6)",
    cluster,
    nowSeconds(),
    (newest?.position ?? 0) + 1,
    file.digest,
    by,
    why,
  );
  return true;
}

async function keepPackages(sql: Sql, checksum: string, manifest: Manifest): Promise<void> {
  const known = await sql.rows("select purl from manifest_packages where checksum = $1 limit 1", checksum);
  if (known.length > 0) return;
  for (const { name: image, packages } of manifest.content.images)
    for (const text of packages) {
      const read = readPurl(text);
      await sql.run(
        "insert into manifest_packages (checksum, image, name, version, purl) values ($1, $2, $3, $4, $5)",
        checksum,
        image,
        read?.name ?? text,
        read?.version ?? "",
        text,
      );
    }
}

export async function newestRevision(sql: Sql, cluster: string): Promise<Revision | null> {
  const [row] = await sql.rows<Revision>(
    "select * from manifest_history where cluster = $1 order by position desc limit 1",
    cluster,
  );
  return row ?? null;
}

/** A cluster's revisions, newest first. */
export async function history(sql: Sql, cluster: string): Promise<Revision[]> {
  return sql.rows<Revision>("select * from manifest_history where cluster = $1 order by position desc", cluster);
}

/** The revision that held at a time (Unix seconds); null before the first. */
export async function revisionAt(sql: Sql, cluster: string, at: number): Promise<Revision | null> {
  const [row] = await sql.rows<Revision>(
    "select * from manifest_history where cluster = $1 and at <= $2 order by position desc limit 1",
    cluster,
    at,
  );
  return row ?? null;
}

export async function noteOf(sql: Sql, digest: string): Promise<string | null> {
  const [row] = await sql.rows<{ note: string }>("select note from manifests where digest = $1", digest);
  return row?.note ?? null;
}

/** The same for who may have no other cluster's. */
export async function noteFor(sql: Sql, cluster: string, digest: string): Promise<string | null> {
  const [row] = await sql.rows<{ note: string }>(
    "select note from manifests where digest = $1 and cluster = $2",
    digest,
    cluster,
  );
  return row?.note ?? null;
}

export type Holding = {
  readonly cluster: string;
  readonly image: string;
  readonly purl: string;
  readonly version: string;
};

/**
 * Clusters whose newest manifest has a package. `name` is exact, or with `*` at its end what it begins with; `version` likewise, and
 * `3.0.11` is also what a distribution made of it: 3.0.11-1~deb12u2, 3.0.11+dfsg-1. Null is any version.
 */
export async function holders(sql: Sql, name: string, version: string | null): Promise<Holding[]> {
  const [from, below] = name.endsWith("*") ? rangeOf(name.slice(0, -1)) : [name, null];
  const rows = await sql.rows<Holding>(
    `select m.cluster as cluster, p.image as image, p.purl as purl, p.version as version
     from manifest_packages p join manifests m on m.checksum = p.checksum
     join manifest_history h on h.digest = m.digest and h.cluster = m.cluster
     where ${below === null ? "p.name = $1 and $2 = ''" : "p.name >= $1 and p.name < $2"}
     and h.position = (select max(position) from manifest_history l where l.cluster = h.cluster)
     order by m.cluster, p.image, p.purl`,
    from,
    below ?? "",
  );
  return version === null ? rows : rows.filter((row) => isVersion(row.version, version));
}

function rangeOf(prefix: string): readonly [string, string] {
  return [prefix, `${prefix}\u{10ffff}`];
}

/** Whether a version is the one asked for, or a distribution's revision of it. */
export function isVersion(version: string, asked: string): boolean {
  // An epoch (deb-version(7)) stands before the upstream version.
  const upstream = version.replace(/^\d+:/, "");
  if (asked.endsWith("*")) return [version, upstream].some((one) => one.startsWith(asked.slice(0, -1)));
  return [version, upstream].some(
    (one) => one === asked || (one.startsWith(asked) && /^[-+~]/.test(one.slice(asked.length))),
  );
}
