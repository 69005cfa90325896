import { canonical } from "../agent/wire/canonical.ts";
import { ClusterName } from "../agent/wire/names.ts";
import { checkTrust, thumbprint } from "../agent/wire/trust.ts";
import { isRefusal } from "../policy/refusal.ts";
import { readRoot } from "./ca.ts";
import { type Signer, signJws } from "./signer.ts";
import { bumpChanges, ensureCluster, nowSeconds, readMeta, type Sql } from "./store.ts";
import { Complaint } from "./terminal.ts";

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

/**
 * Signs and stores the cluster's first trust statement, if it has none; says whether it did. It is judged as an agent judges it
 * before it is stored: one that no agent takes would lock the cluster out.
 */
export async function signFirstStatement(sql: Sql, dir: string, cluster: string, signer: Signer): Promise<boolean> {
  const known = await sql.rows("select version from trust where cluster = $1", cluster);
  if (known.length > 0) return false;
  const trustDomain = await trustDomainOf(sql, dir);
  const claims = {
    iss: trustDomain,
    aud: cluster,
    version: 1,
    iat: nowSeconds(),
    roots: [readRoot(dir).rootDer],
    command_keys: [{ kid: signer.kid, x: signer.x }],
    witness_keys: [],
  };
  const header = canonical({
    alg: "Ed25519",
    jwk: { crv: "Ed25519", kty: "OKP", x: signer.x },
    typ: "reeve-trust+jwt",
  });
  const jws = signJws(header, canonical(claims), signer);
  const judged = await checkTrust(jws, { cluster, trustDomain, before: null, pin: await thumbprint(signer.x) });
  if (isRefusal(judged)) throw new Complaint(1, "sign the trust statement", judged.because, judged.hint);
  await ensureCluster(sql, cluster);
  await sql.run("insert into trust (cluster, version, jws) values ($1, 1, $2)", cluster, jws);
  await bumpChanges(sql);
  return true;
}
