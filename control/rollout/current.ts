import type { Manifest, Parameters } from "../../agent/wire/manifest.ts";
import { addRevision, newestRevision } from "../revisions/read.ts";
import { declared, type Groups, NO_GROUPS } from "../revisions/state.ts";
import { nowSeconds, type Sql } from "../store.ts";

/** What a cluster is at: its manifest, and what its groups run. */
export type Current = { readonly digest: string; readonly parameters: Parameters; readonly groups: Groups };

/** Null for a cluster of which no manifest is known. */
export async function currentOf(sql: Sql, cluster: string): Promise<Current | null> {
  const newest = await newestRevision(sql, cluster);
  if (newest === null || newest.digest === null) return null;
  const kept = await keptManifest(sql, newest.digest);
  return kept === null ? null : { digest: newest.digest, parameters: kept.parameters, groups: newest.groups };
}

/** What is kept was read and judged when it came. */
async function keptManifest(sql: Sql, digest: string): Promise<Manifest | null> {
  const [row] = await sql.rows<{ note: string }>("select note from manifests where digest = $1", digest);
  return row === undefined ? null : (JSON.parse(row.note.slice(0, row.note.indexOf("\n"))) as Manifest);
}

/**
 * A cluster runs this manifest, as its commands' outcomes say. Where an outcome has made it the newest revision already nothing is added:
 * this is for what changed nothing.
 */
export async function arriveAt(sql: Sql, cluster: string, digest: string, by: string, why: string): Promise<void> {
  const newest = await newestRevision(sql, cluster);
  if (newest?.digest === digest) return;
  const manifest = await keptManifest(sql, digest);
  if (manifest === null) throw new Error(`the manifest ${digest} of a rollout is not kept here`);
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

/** The clusters of which a manifest is known, after this one by name, so many at most. */
export async function clustersAfter(sql: Sql, after: string, limit: number): Promise<string[]> {
  const rows = await sql.rows<{ cluster: string }>(
    `select r.cluster as cluster from revisions r where r.cluster > $1 and r.digest <> ''
     and r.position = (select max(l.position) from revisions l where l.cluster = r.cluster) order by r.cluster limit $2`,
    after,
    limit,
  );
  return rows.map(({ cluster }) => cluster);
}
