import type { CertificateRow } from "./peer.ts";
import { droppedRoots, liveRoots, ownFolder, putAway, putInUse, type Root, rootInUse } from "./roots.ts";
import { readStatements } from "./statement.ts";
import { type ClusterRow, nowSeconds, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

/** A cluster whose agent would be lost, and why. */
export type Behind = { readonly cluster: string; readonly why: string };
export type Switched = {
  readonly root: Root;
  /** Clusters that were left behind, as the operator said. */
  readonly left: readonly Behind[];
  /** How many join tokens nobody has used yet: those that pin another root are good for nothing now. */
  readonly tokens: number;
};

/** A live root by its SHA-256, or its first characters, eight at least. */
export function findRoot(dir: string, sha256: string, cannot: string): Root {
  const all = [...liveRoots(dir), ...droppedRoots(dir)];
  const found = all.filter((root) => sha256.length >= 8 && root.sha256.startsWith(sha256));
  const [root, ...more] = found;
  if (root !== undefined && more.length === 0) return root;
  throw new Complaint(
    1,
    cannot,
    `${found.length === 0 ? "no root" : "more than one root"} of DIR/ca begins with ${JSON.stringify(sha256)}`,
    "See `reeve-control ca show`.",
  );
}

/**
 * The switch: server certificate, agents' certificates and join tokens are of this root from the next start of `serve` on. Refused while an
 * agent has not accepted a statement that names it, unless its cluster is in `leave`.
 */
export async function switchRoot(
  store: Store,
  dir: string,
  sha256: string,
  leave: readonly string[],
): Promise<Switched> {
  const cannot = `use the root ${sha256}`;
  ownFolder(dir, cannot);
  const root = findRoot(dir, sha256, cannot);
  if (root.sha256 === rootInUse(dir).sha256)
    throw new Complaint(1, cannot, "it is in use already", "Restart `serve`, if it runs since before the switch.");
  if (!liveRoots(dir).some((one) => one.sha256 === root.sha256))
    throw new Complaint(
      1,
      cannot,
      "it was dropped, and its key with it",
      "Make a new one: `reeve-control ca new-root`.",
    );
  return store.transaction(async (sql) => {
    const behind = await clustersBehind(sql, root);
    leaveOnly(
      cannot,
      behind,
      leave,
      "Wait until they have; `reeve-control keys show` tells. Or give them up: --leave-behind",
    );
    // Nobody enrols between this look and the switch: the transaction holds the store.
    putInUse(dir, root);
    const [tokens] = await sql.rows<{ number: number }>(
      "select count(*) as number from tokens where spki is null and exp > $1",
      nowSeconds(),
    );
    return { root, left: behind, tokens: tokens?.number ?? 0 };
  });
}

/** The end of an overlap: certificates by this root are not taken any more, and its key goes. */
export async function endRoot(store: Store, dir: string, sha256: string, leave: readonly string[]): Promise<Switched> {
  const cannot = `drop the root ${sha256}`;
  ownFolder(dir, cannot);
  const root = findRoot(dir, sha256, cannot);
  if (root.sha256 === rootInUse(dir).sha256)
    throw new Complaint(1, cannot, "it is in use", "Switch to another first: `reeve-control ca use-root`.");
  return store.transaction(async (sql) => {
    const behind = await clustersOn(sql, root);
    leaveOnly(cannot, behind, leave, "See to it first. Or give them up: --leave-behind");
    putAway(dir, root);
    return { root, left: behind, tokens: 0 };
  });
}

function leaveOnly(cannot: string, behind: readonly Behind[], leave: readonly string[], hint: string): void {
  const lost = behind.filter((one) => !leave.includes(one.cluster));
  if (lost.length === 0) return;
  const clusters = lost.map((one) => one.cluster).join(" ");
  throw new Complaint(1, cannot, lost.map((one) => `${one.cluster} ${one.why}`).join("; "), `${hint} ${clusters}`);
}

async function clustersBehind(sql: Sql, root: Root): Promise<Behind[]> {
  const behind: Behind[] = [];
  for (const row of await sql.rows<ClusterRow>("select * from clusters order by cluster")) {
    const statements = await readStatements(sql, row.cluster);
    const naming = statements.filter((one) => one.claims.roots.includes(root.der)).map((one) => one.version);
    const why = whyBehind(row, statements.at(-1)?.version ?? 0, naming);
    if (why !== null) behind.push({ cluster: row.cluster, why });
  }
  return behind;
}

function whyBehind(row: ClusterRow, newest: number, naming: readonly number[]): string | null {
  if (newest === 0) return row.epoch === 0 ? null : "has an agent and no trust statement";
  if (!naming.includes(newest)) return `has no statement that names it (the newest is ${newest})`;
  if (row.epoch === 0 || naming.includes(row.trust_version)) return null;
  return `has accepted statement ${row.trust_version}, and ${naming[0]} is the first that names it`;
}

/** Clusters that still lean on a root: named by their newest statement, or their agent's certificate is by it. */
async function clustersOn(sql: Sql, root: Root): Promise<Behind[]> {
  const on: Behind[] = [];
  for (const row of await sql.rows<ClusterRow>("select * from clusters order by cluster")) {
    const newest = (await readStatements(sql, row.cluster)).at(-1);
    if (newest?.claims.roots.includes(root.der)) {
      on.push({ cluster: row.cluster, why: `names it in statement ${newest.version}` });
      continue;
    }
    const certificates = await sql.rows<CertificateRow>(
      "select * from certificates where cluster = $1 and epoch = $2 and slot <> 'old' and not_after > $3",
      row.cluster,
      row.epoch,
      nowSeconds(),
    );
    if (certificates.some((one) => (JSON.parse(one.chain) as string[]).at(-1) === root.der))
      on.push({ cluster: row.cluster, why: "has an agent whose certificate is by it" });
  }
  return on;
}
