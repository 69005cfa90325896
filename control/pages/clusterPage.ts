import { parseNote } from "../../agent/audit/note.ts";
import { MAX_MANIFEST_BYTES } from "../../agent/limits.ts";
import { checksumOf, type Manifest } from "../../agent/wire/manifest.ts";
import { type Alarm, newestAlarms } from "../alarms.ts";
import { manifestOf } from "../manifest/inventory.ts";
import { type Refusals, readRefusals } from "../refusals.ts";
import { newestRevision, type Revision } from "../revisions/read.ts";
import { askedOf, claimsOf, resultOf, subjectOf } from "../show.ts";
import { type CommandRow, nowSeconds, type Sql } from "../store.ts";
import { readWitnessed, type Witnessed } from "../witnessed.ts";
import { MAX_ALARMS } from "./limits.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Standing } from "./standings.ts";

/** All that is shown of one cluster: `/cluster/NAME` and `/api/cluster/NAME`. */
export type ClusterPage = {
  readonly at: number;
  readonly standing: Standing;
  readonly witnessed: Witnessed;
  readonly alarms: readonly Alarm[];
  readonly refusals: readonly Refusals[];
  /** Null when none was kept for it. */
  readonly manifest: ShownManifest | null;
  readonly libraries: Libraries;
  /** The newest COMMANDS_SHOWN, newest first. */
  readonly commands: readonly ShownCommand[];
};
export type ShownManifest = {
  readonly digest: string;
  readonly checksum: string;
  readonly version: string;
  readonly says: string;
  readonly revision: Pick<Revision, "position" | "at" | "said_by" | "why">;
  /** Names on its signature lines, as they were when it was kept. */
  readonly signers: readonly string[];
  readonly images: readonly { readonly name: string; readonly digest: string; readonly packages: number }[];
};
export type Libraries = {
  readonly asked: string;
  readonly found: number;
  /** At most LIBRARIES_SHOWN. */
  readonly shown: readonly { readonly image: string; readonly purl: string }[];
};
export type ShownCommand = {
  readonly command: string;
  readonly state: CommandRow["state"];
  readonly code: string | null;
  readonly subject: string;
  readonly by: string;
  readonly why: string;
  /** Unix seconds. */
  readonly sent: number;
  readonly because: string | null;
  readonly entry: number | null;
};
export const LIBRARIES_SHOWN = 200;
export const COMMANDS_SHOWN = 50;

/** Null for a cluster that is not known. `libraries`: what a library's purl must contain. */
export async function readClusterPage(
  sql: Sql,
  snapshot: Snapshot,
  cluster: string,
  libraries: string,
): Promise<ClusterPage | null> {
  const standing = snapshot.standings.find((one) => one.cluster === cluster);
  if (standing === undefined) return null;
  const kept = await readKept(sql, cluster);
  return {
    at: snapshot.at,
    standing,
    witnessed: await readWitnessed(sql, cluster, standing.epoch),
    alarms: await newestAlarms(sql, cluster, MAX_ALARMS),
    refusals: await readRefusals(sql, cluster),
    manifest: kept?.shown ?? null,
    libraries: librariesOf(kept?.manifest ?? null, libraries.trim().toLowerCase()),
    commands: await readNewest(sql, cluster),
  };
}

async function readKept(sql: Sql, cluster: string): Promise<{ shown: ShownManifest; manifest: Manifest } | null> {
  const revision = await newestRevision(sql, cluster);
  const kept = revision === null || revision.digest === null ? null : await manifestOf(sql, revision.digest);
  if (revision === null || kept === null) return null;
  const { content, says } = kept.manifest;
  const { position, at, said_by, why } = revision;
  const shown = {
    digest: kept.digest,
    checksum: checksumOf(content),
    version: content.version,
    says,
    revision: { position, at, said_by, why },
    signers: (parseNote(kept.note, MAX_MANIFEST_BYTES)?.signatures ?? []).map(({ name }) => name),
    images: content.images.map(({ name, digest, packages }) => ({ name, digest, packages: packages.length })),
  };
  return { shown, manifest: kept.manifest };
}

function librariesOf(manifest: Manifest | null, asked: string): Libraries {
  const all = (manifest?.content.images ?? []).flatMap(({ name: image, packages }) =>
    packages.filter((purl) => decoded(purl).toLowerCase().includes(asked)).map((purl) => ({ image, purl })),
  );
  return { asked, found: all.length, shown: all.slice(0, LIBRARIES_SHOWN) };
}

/** `pkg:npm/%40scope/name`, as a person would write it. */
function decoded(purl: string): string {
  try {
    return decodeURIComponent(purl);
  } catch {
    return purl;
  }
}

async function readNewest(sql: Sql, cluster: string): Promise<ShownCommand[]> {
  const rows = await sql.rows<CommandRow>(
    `select * from commands where cluster = $1 order by id desc limit ${COMMANDS_SHOWN}`,
    cluster,
  );
  return rows.map((row) => {
    const { by, iat, why } = claimsOf(row);
    const { entry } = resultOf(row);
    return {
      command: row.id,
      state: row.state === "queued" && row.exp <= nowSeconds() ? "expired" : row.state,
      code: row.code,
      subject: subjectOf(askedOf(row)),
      by,
      why,
      sent: iat,
      because: entry !== null && "because" in entry ? entry.because : null,
      entry: entry?.index ?? null,
    };
  });
}
