import { checksumOf, type Image, type Manifest, readManifest } from "../../agent/wire/manifest.ts";
import { addRevision, newestRevision, type Revision } from "../revisions/read.ts";
import { declared, NO_GROUPS } from "../revisions/state.ts";
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
];

/** Packages in one statement: nobody else writes meanwhile, and each statement is a journey to the database. */
const MAX_ROWS_AT_ONCE = 64;

type Kept = Pick<ManifestFile, "manifest" | "digest" | "note">;

/** Keeps a manifest, so that it is found by its digest; what its cluster is at does not change. */
export async function storeManifest(sql: Sql, { manifest, digest, note }: Kept): Promise<void> {
  const { cluster } = manifest.parameters;
  await ensureCluster(sql, cluster);
  const checksum = checksumOf(manifest.content);
  await keepPackages(sql, checksum, manifest);
  await storeNote(sql, { digest, cluster, checksum, note });
}

/** Keeps the note of a manifest whose packages are kept. */
export async function storeNote(
  sql: Sql,
  of: { readonly digest: string; readonly cluster: string; readonly checksum: string; readonly note: string },
): Promise<void> {
  const { digest, cluster, checksum, note } = of;
  await sql.run(
    "insert into manifests (digest, cluster, checksum, note) values ($1, $2, $3, $4) on conflict (digest) do nothing",
    digest,
    cluster,
    checksum,
    note,
  );
}

/** Keeps a manifest and makes it its cluster's newest: an operator says that it is what runs there. False when it is that already. */
export async function keepManifest(sql: Sql, file: Kept, by: string, why: string): Promise<boolean> {
  const { cluster } = file.manifest.parameters;
  const newest = await newestRevision(sql, cluster);
  if (newest?.digest === file.digest) return false;
  await storeManifest(sql, file);
  await declare(sql, cluster, newest, file, by, why);
  return true;
}

/** The cluster's revision after its `newest`: it runs what this manifest, which is kept, says. */
export async function declare(
  sql: Sql,
  cluster: string,
  newest: Pick<Revision, "groups"> | null,
  { manifest, digest }: Pick<Kept, "manifest" | "digest">,
  by: string,
  why: string,
): Promise<void> {
  await addRevision(sql, {
    cluster,
    at: nowSeconds(),
    digest,
    said_by: by,
    why,
    action: "import",
    result: "succeeded",
    asked: {},
    changed: [],
    groups: declared(newest?.groups ?? NO_GROUPS, manifest),
    command: null,
    epoch: null,
    entry: null,
  });
}

export async function keepPackages(sql: Sql, checksum: string, manifest: Manifest): Promise<void> {
  const known = await sql.rows("select purl from manifest_packages where checksum = $1 limit 1", checksum);
  if (known.length > 0) return;
  const rows = manifest.content.images.flatMap(({ name: image, packages }) =>
    packages.map((text) => {
      const read = readPurl(text);
      return [checksum, image, read?.name ?? text, read?.version ?? "", text];
    }),
  );
  // By powers of two, so that there are few statements to be prepared.
  for (let at = 0; at < rows.length; ) {
    const some = rows.slice(at, at + 2 ** Math.floor(Math.log2(Math.min(rows.length - at, MAX_ROWS_AT_ONCE))));
    const places = some.map((row, n) => `(${row.map((_, column) => `$${n * row.length + column + 1}`).join(", ")})`);
    const text = `insert into manifest_packages (checksum, image, name, version, purl) values ${places.join(", ")}`;
    await sql.run(text, ...some.flat());
    at += some.length;
  }
}

export async function noteOf(sql: Sql, digest: string): Promise<string | null> {
  const [row] = await sql.rows<{ note: string }>("select note from manifests where digest = $1", digest);
  return row?.note ?? null;
}

/** A manifest that is kept here. What was kept was read then, so that what cannot be read is our own mistake. */
export async function manifestOf(
  sql: Sql,
  digest: string,
): Promise<{ readonly manifest: Manifest; readonly digest: string; readonly note: string } | null> {
  const note = await noteOf(sql, digest);
  if (note === null) return null;
  const read = readManifest(note.slice(0, note.indexOf("\n") + 1));
  if ("fault" in read) throw new Error(`the manifest ${digest} that is kept here cannot be read: ${read.fault}`);
  return { ...read, note };
}

/** Images of all manifests of a cluster, by where they lie there. */
export async function imagesOf(sql: Sql, cluster: string): Promise<ReadonlyMap<string, Image>> {
  const rows = await sql.rows<{ digest: string }>("select digest from manifests where cluster = $1", cluster);
  const images = new Map<string, Image>();
  for (const { digest } of rows) {
    const kept = await manifestOf(sql, digest);
    for (const image of kept?.manifest.content.images ?? []) {
      const location = kept?.manifest.parameters.images[image.name];
      if (location !== undefined) images.set(location, image);
    }
  }
  return images;
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
     join revisions h on h.digest = m.digest and h.cluster = m.cluster
     where ${below === null ? "p.name = $1 and $2 = ''" : "p.name >= $1 and p.name < $2"}
     and h.position = (select max(position) from revisions l where l.cluster = h.cluster)
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
