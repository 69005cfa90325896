import { checksumOf, type Manifest } from "../../agent/wire/manifest.ts";
import { manifestOf } from "../manifest/inventory.ts";
import type { Sql } from "../store.ts";
import { type Revision, revisionsUntil } from "./read.ts";
import { type ClusterState, stateAfter } from "./state.ts";

export type ClusterAt = {
  readonly newest: Revision;
  readonly state: ClusterState;
  /** Of the manifest that the cluster was at; null: none is kept here. */
  readonly checksum: string | null;
  /** Down to its libraries; null likewise. */
  readonly manifest: Manifest | null;
  readonly note: string | null;
};

/** A cluster as it was at a time (Unix seconds); null before its first revision. */
export async function clusterAt(sql: Sql, cluster: string, at: number): Promise<ClusterAt | null> {
  const line = await revisionsUntil(sql, cluster, at);
  const newest = line.at(-1);
  if (newest === undefined) return null;
  const kept = newest.digest === null ? null : await manifestOf(sql, newest.digest);
  return {
    newest,
    state: stateAfter(line),
    checksum: kept === null ? null : checksumOf(kept.manifest.content),
    manifest: kept?.manifest ?? null,
    note: kept?.note ?? null,
  };
}
