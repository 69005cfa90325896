import { canonical } from "../agent/wire/canonical.ts";
import { digestOf } from "../agent/wire/envelope.ts";
import { ClusterName } from "../agent/wire/names.ts";
import { TrustClaims } from "../agent/wire/protocol.ts";
import { checkTrust, thumbprint } from "../agent/wire/trust.ts";
import { isRefusal } from "../policy/refusal.ts";
import type { NamedKey } from "./publicKey.ts";
import { firstRoots } from "./roots.ts";
import { type Signer, signJws } from "./signer.ts";
import { bumpChanges, ensureCluster, nowSeconds, readMeta, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";
import { ownWitness } from "./witnessed.ts";

/** A stored trust statement. What it says was judged when it was stored. */
export type Statement = {
  readonly version: number;
  readonly jws: string;
  /** `sha256:…` of the JWS, as the agent's log names it. */
  readonly digest: string;
  /** The public key in its header. */
  readonly x: string;
  readonly claims: TrustClaims;
};

/** The names that reach SQL, ids and files are checked once, here. */
export function clusterName(text: string): string {
  if (ClusterName.safeParse(text).success) return text;
  throw new Complaint(
    2,
    "take this cluster",
    `${JSON.stringify(text)} is no cluster's name`,
    "Use a-z 0-9 and -, at most 63.",
  );
}

export async function trustDomainOf(sql: Sql, dir: string): Promise<string> {
  const known = await readMeta(sql, "trust_domain");
  if (known === null)
    throw new Complaint(3, `use ${dir}`, "it holds no control plane yet", "Start `reeve-control serve` on it once.");
  return known;
}

/** Oldest first. */
export async function readStatements(sql: Sql, cluster: string): Promise<Statement[]> {
  const rows = await sql.rows<{ version: number; jws: string }>(
    "select version, jws from trust where cluster = $1 order by version",
    cluster,
  );
  return rows.map(statementOf);
}

export function statementOf(row: { readonly version: number; readonly jws: string }): Statement {
  const [header = "", payload = ""] = row.jws.split(".").map((part) => Buffer.from(part, "base64url").toString());
  const { jwk } = JSON.parse(header) as { jwk: { x: string } };
  return { ...row, digest: digestOf(row.jws), x: jwk.x, claims: TrustClaims.parse(JSON.parse(payload)) };
}

export function signStatement(claims: TrustClaims, signer: Signer): string {
  const header = canonical({
    alg: "Ed25519",
    jwk: { crv: "Ed25519", kty: "OKP", x: signer.x },
    typ: "reeve-trust+jwt",
  });
  return signJws(header, canonical(claims), signer);
}

/**
 * Stores a cluster's next statement. It is judged as an agent judges it: one that no agent takes would lock the cluster out.
 * Throws a Complaint when it is refused, or when it is not the next one any more.
 */
export async function addStatement(sql: Sql, cluster: string, trustDomain: string, jws: string): Promise<Statement> {
  const before = (await readStatements(sql, cluster)).at(-1)?.claims ?? null;
  const version = (before?.version ?? 0) + 1;
  const statement = statementOf({ version, jws });
  const cannot = `sign trust statement ${version} of ${cluster}`;
  const pin = await thumbprint(statement.x);
  const judged = await checkTrust(jws, { cluster, trustDomain, before, pin });
  if (isRefusal(judged))
    throw new Complaint(1, cannot, `an agent would refuse it: ${judged.because} (${judged.code})`, SAY_AGAIN);
  await ensureCluster(sql, cluster);
  await sql.run("insert into trust (cluster, version, jws) values ($1, $2, $3)", cluster, version, jws);
  await bumpChanges(sql, cluster);
  return statement;
}

const SAY_AGAIN =
  "If somebody else signed one meanwhile, look at it with `reeve-control keys show` and say yours again.";

/**
 * Signs and stores the cluster's first trust statement, if it has none; says whether it did. The signer works outside of any
 * transaction: it may wait for somebody's finger.
 */
export async function signFirstStatement(store: Store, dir: string, cluster: string, signer: Signer): Promise<boolean> {
  const found = await store.read(async (sql) => ({
    trustDomain: await trustDomainOf(sql, dir),
    known: (await sql.rows("select version from trust where cluster = $1", cluster)).length > 0,
  }));
  if (found.known) return false;
  const claims = firstClaims(found.trustDomain, cluster, signer, firstRoots(dir), ownWitness(dir));
  const jws = signStatement(claims, signer);
  await store.transaction((sql) => addStatement(sql, cluster, found.trustDomain, jws));
  return true;
}

function firstClaims(
  iss: string,
  aud: string,
  key: NamedKey,
  roots: readonly string[],
  witness: NamedKey | null,
): TrustClaims {
  return {
    iss,
    aud,
    version: 1,
    iat: nowSeconds(),
    roots: [...roots],
    command_keys: [{ kid: key.kid, x: key.x }],
    witness_keys: witness === null ? [] : [witness],
  };
}
