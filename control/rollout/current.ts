import { type Parameters, readManifest } from "../../agent/wire/manifest.ts";
import { declare, manifestOf, noteOf } from "../manifest/inventory.ts";
import { newestRevision } from "../revisions/read.ts";
import type { Groups } from "../revisions/state.ts";
import type { Sql } from "../store.ts";
import { type Releaser, textSignedBy } from "./order.ts";

/** What a cluster is at: its manifest, and what its groups run. */
export type Current = { readonly digest: string; readonly parameters: Parameters; readonly groups: Groups };

/** Why a cluster has no manifest from which a target may be made. */
export type NoManifest = { readonly fault: "no-manifest" | "manifest-not-signed" };

/** By the cluster's newest revision, and the note that this names. */
export async function currentOf(sql: Sql, cluster: string, releaser: Releaser): Promise<Current | NoManifest> {
  const newest = await newestRevision(sql, cluster);
  if (newest === null || newest.digest === null) return { fault: "no-manifest" };
  const signed = await signedParameters(sql, cluster, newest.digest, releaser);
  return "fault" in signed ? signed : { digest: newest.digest, parameters: signed, groups: newest.groups };
}

/**
 * The parameters of a manifest of this cluster, out of the store, which may be in strange hands: the note is the releaser's, its line is what the
 * digest names, and it says this cluster's name.
 */
export async function signedParameters(
  sql: Sql,
  cluster: string,
  digest: string,
  { name, key }: Releaser,
): Promise<Parameters | NoManifest> {
  const note = await noteOf(sql, digest);
  if (note === null) return { fault: "no-manifest" };
  const text = textSignedBy(note, name, key);
  const read = text === null ? null : readManifest(text);
  const holds = read !== null && "manifest" in read && read.digest === digest;
  if (!holds || read.manifest.parameters.cluster !== cluster) return { fault: "manifest-not-signed" };
  return read.manifest.parameters;
}

/**
 * A cluster runs this manifest, as its commands' outcomes say. Where an outcome has made it the newest revision already nothing is added:
 * this is for what changed nothing.
 */
export async function arriveAt(sql: Sql, cluster: string, digest: string, by: string, why: string): Promise<void> {
  const newest = await newestRevision(sql, cluster);
  if (newest?.digest === digest) return;
  const kept = await manifestOf(sql, digest);
  if (kept === null) throw new Error(`the manifest ${digest} of a rollout is not kept here`);
  await declare(sql, cluster, newest, kept, by, why);
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
