import { MAX_ANSWER_BYTES } from "../agent/limits.ts";
import { EnrolAnswer, type TrustClaims } from "../agent/wire/protocol.ts";
import { readRoot } from "./ca.ts";
import { type Change, isSo, nextClaims } from "./nextStatement.ts";
import type { Signer } from "./signer.ts";
import { addStatement, readStatements, type Statement, signStatement, trustDomainOf } from "./statement.ts";
import { commandKid, nowSeconds, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

/** A new machine takes all statements in one answer; what is left of it is for certificates. */
const MAX_CHAIN_BYTES = MAX_ANSWER_BYTES - 128 * 1024;

export type Rotated = {
  readonly cluster: string;
  readonly statement: Statement;
  /** The key that signed. */
  readonly kid: string;
  /** Commands on their way whose key it drops. */
  readonly stranded: readonly string[];
};

/** Who signs, chosen by what the statement before names. */
export type SignerOf = (newest: TrustClaims, change: Change) => Signer;

/**
 * Signs and stores a cluster's next trust statement. Null when the newest one is so already. Nothing is signed unless an agent would
 * take it, and the signer works outside of any transaction. Throws a Complaint that says why not.
 */
export async function rotate(
  store: Store,
  dir: string,
  cluster: string,
  change: Change,
  signerOf: SignerOf,
): Promise<Rotated | null> {
  const root = readRoot(dir);
  const { trustDomain, history } = await store.read(async (sql) => ({
    trustDomain: await trustDomainOf(sql, dir),
    history: await readStatements(sql, cluster),
  }));
  const newest = history.at(-1)?.claims;
  if (newest === undefined)
    throw new Complaint(
      1,
      `sign a trust statement of ${cluster}`,
      "it has none to follow",
      "Its first one is signed by `keys trust`, or by its first token or command.",
    );
  const said = history.map((one) => one.claims);
  if (isSo(change, said)) return null;
  const tokenKey = String(root.tokenKey.export({ format: "jwk" }).x);
  const standing = { cluster, history: said, rootInUse: root.rootDer, tokenKey };
  const claims = nextClaims(standing, change, nowSeconds());
  const signer = signerOf(newest, change);
  maySign(cluster, claims, newest, signer);
  const jws = signStatement(claims, signer);
  fits(cluster, [...history.map((one) => one.jws), jws]);
  return store.transaction(async (sql) => {
    const statement = await addStatement(sql, cluster, trustDomain, jws);
    return { cluster, statement, kid: signer.kid, stranded: await stranded(sql, cluster, change.dropKeys) };
  });
}

/** Said before the signer is asked for anything. */
function maySign(cluster: string, next: TrustClaims, newest: TrustClaims, signer: Signer): void {
  if (newest.command_keys.some((key) => key.kid === signer.kid && key.x === signer.x)) return;
  throw new Complaint(
    1,
    `sign trust statement ${next.version} of ${cluster}`,
    `the statement before does not name the key ${signer.kid}`,
    `Sign with one of ${newest.command_keys.map((key) => key.kid).join(", ")}.`,
  );
}

function fits(cluster: string, chain: readonly string[]): void {
  const bytes = chain.reduce((sum, jws) => sum + jws.length + 3, 0);
  const most = EnrolAnswer.shape.trust.safeParse(chain);
  if (most.success && bytes <= MAX_CHAIN_BYTES) return;
  throw new Complaint(
    1,
    `sign trust statement ${chain.length} of ${cluster}`,
    `the chain of its statements would be longer than a joining agent takes (${chain.length} statements, ${bytes} bytes)`,
    "Give the customer a new cluster name and a config that pins a present key.",
  );
}

async function stranded(sql: Sql, cluster: string, dropped: readonly string[]): Promise<string[]> {
  const rows = await sql.rows<{ id: string; jws: string }>(
    "select id, jws from commands where cluster = $1 and state in ('queued', 'handed-out') order by id",
    cluster,
  );
  return rows.filter((row) => dropped.includes(commandKid(row.jws))).map((row) => row.id);
}
