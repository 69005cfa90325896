import { checksumOf } from "../../agent/wire/manifest.ts";
import type { ManifestFile } from "../manifest/file.ts";
import type { Signer } from "../signer.ts";
import { nowSeconds, type Sql, type Store } from "../store.ts";
import { Complaint } from "../terminal.ts";
import { clustersAfter, currentOf } from "./current.ts";
import { assign, type Member } from "./lanes.ts";
import { type Releaser, signImages, textSignedBy } from "./order.ts";
import { NEVER } from "./schema.ts";
import { type Frame, frameOf, type Images, targetOf } from "./target.ts";
import { beginLane } from "./turn.ts";

const CANNOT = "start the rollout";
/** Clusters that are read in one transaction before it starts. */
const PAGE = 500;
const NAMED = 5;

export type RolloutWish = {
  readonly file: ManifestFile;
  readonly lanes: readonly number[];
  /** Null: every cluster of which a manifest is known. */
  readonly only: readonly string[] | null;
  readonly canaries: readonly string[];
  readonly soakMs: number;
  readonly waitMs: number;
  readonly maxFailed: string;
  readonly maxRefused: string;
  readonly images: Images;
  /** The release signer's name. */
  readonly signer: string;
  readonly by: string;
  readonly why: string;
};

/**
 * Starts a rollout: who is in which lane is written here, once, in one transaction. Nothing is sent yet. Throws a Complaint when a cluster has
 * no manifest of this signer's, or nobody says where its images lie, or another rollout has it. Returns the rollout's number.
 */
export async function startRollout(store: Store, wish: RolloutWish, release: Signer): Promise<number> {
  const { file } = wish;
  if (textSignedBy(file.note, wish.signer, release) === null)
    throw new Complaint(
      1,
      CANNOT,
      `the manifest is not signed by ${wish.signer} with this key`,
      "Its copies for each cluster are signed by whoever signed it: make it with `reeve-control manifest create --as`.",
    );
  const { content, says } = file.manifest;
  const clusters = await checked(store, wish, frameOf(content, says), { name: wish.signer, key: release });
  if (clusters.length === 0)
    throw new Complaint(1, CANNOT, "no cluster has a manifest", "Import them: `reeve-control manifest import`.");
  const stray = wish.canaries.find((name) => !clusters.includes(name));
  if (stray !== undefined)
    throw new Complaint(2, CANNOT, `the canary ${stray} is none of its clusters`, "Name one that is.");
  const checksum = checksumOf(content);
  const members = assign(clusters, [...new Set(wish.canaries)], checksum, wish.lanes);
  const images = signImages(wish.images, file.digest, wish.signer, release);
  return store.transaction(async (sql) => {
    await refuseTaken(sql, clusters);
    const id = await insertRollout(sql, wish, checksum, images, clusters.length);
    await insertMembers(sql, id, members, wish.lanes);
    await beginLane(sql, { id, elapsed: 0, phase: "forward" }, 0);
    return id;
  });
}

/** The clusters it goes to, in the order of their names, each of which can get a manifest of its own. */
async function checked(store: Store, wish: RolloutWish, frame: Frame, by: Releaser): Promise<string[]> {
  const wanted = wish.only === null ? null : [...new Set(wish.only)].sort();
  const all: string[] = [];
  const faults: string[] = [];
  for (;;) {
    const page = await store.read(async (sql) => {
      const names =
        wanted === null
          ? await clustersAfter(sql, all.at(-1) ?? "", PAGE)
          : wanted.slice(all.length, all.length + PAGE);
      for (const name of names) {
        const fault = await faultOf(sql, name, frame, wish.images, by);
        if (fault !== null) faults.push(`${name}: ${fault}`);
      }
      return names;
    });
    if (page.length === 0) break;
    all.push(...page);
  }
  const [first] = faults;
  if (first === undefined) return all;
  const named = faults.slice(0, NAMED).join("; ");
  const more = faults.length > NAMED ? `; and ${faults.length - NAMED} more` : "";
  throw new Complaint(
    1,
    CANNOT,
    `${named}${more}`,
    "Say where images lie with --images, import manifests that this release key signed, or leave clusters out: --only.",
  );
}

async function faultOf(sql: Sql, cluster: string, frame: Frame, images: Images, by: Releaser): Promise<string | null> {
  const current = await currentOf(sql, cluster, by);
  if ("fault" in current)
    return current.fault === "no-manifest"
      ? "no manifest of it is known"
      : `its manifest is not signed by ${by.name} with this key`;
  const target = targetOf(frame, current.parameters, images, current.groups);
  return "fault" in target ? target.fault : null;
}

/** One rollout at a time has a cluster. */
export async function refuseTaken(sql: Sql, clusters: readonly string[], cannot = CANNOT): Promise<void> {
  const taken = await sql.rows<{ cluster: string; rollout: number }>(
    "select cluster, rollout from rollout_clusters where claimed = 1",
  );
  const ours = new Set(clusters);
  const both = taken.filter(({ cluster }) => ours.has(cluster));
  const [first] = both;
  if (first === undefined) return;
  const others = both.length > 1 ? ` and ${both.length - 1} more` : "";
  throw new Complaint(
    1,
    cannot,
    `rollout ${first.rollout} has ${first.cluster}${others}`,
    `See \`reeve-control rollout status ${first.rollout}\`; wait for its end, or abort it.`,
  );
}

async function insertRollout(
  sql: Sql,
  wish: RolloutWish,
  checksum: string,
  images: string,
  clusters: number,
): Promise<number> {
  const [last] = await sql.rows<{ id: number | null }>("select max(id) as id from rollouts");
  const id = (last?.id ?? 0) + 1;
  const { content, says } = wish.file.manifest;
  await sql.run(
    `insert into rollouts (id, checksum, version, says, note, lanes, soak_ms, wait_ms, max_failed, max_refused, signer, images, said_by, why,
     started_at, state, phase, open, lane, lane_since, elapsed, clusters)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'running', 'forward', 1, 0, 0, 0, $16)`,
    id,
    checksum,
    content.version,
    says,
    wish.file.note,
    JSON.stringify(wish.lanes),
    wish.soakMs,
    wish.waitMs,
    wish.maxFailed,
    wish.maxRefused,
    wish.signer,
    images,
    wish.by,
    wish.why,
    nowSeconds(),
    clusters,
  );
  return id;
}

async function insertMembers(
  sql: Sql,
  id: number,
  members: readonly Member[],
  lanes: readonly number[],
): Promise<void> {
  for (const [lane, percent] of lanes.entries())
    await sql.run(
      "insert into rollout_lanes (rollout, lane, percent, clusters) values ($1, $2, $3, $4)",
      id,
      lane,
      percent,
      members.filter((member) => member.lane === lane).length,
    );
  for (const [position, { cluster, lane, canary }] of members.entries())
    await sql.run(
      `insert into rollout_clusters (rollout, cluster, lane, position, canary, state, phase, attempts, since, failures, news, gap, due, changes,
       claimed) values ($1, $2, $3, $4, $5, 'pending', 'forward', 0, 0, 0, 0, 0, $6, 0, 1)`,
      id,
      cluster,
      lane,
      position,
      canary ? 1 : 0,
      NEVER,
    );
}
