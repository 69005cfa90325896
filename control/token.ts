import { randomBytes, sign } from "node:crypto";
import { TOKEN_LIFETIME_MAX_SECONDS } from "../agent/limits.ts";
import { canonical } from "../agent/wire/canonical.ts";
import type { TokenClaims } from "../agent/wire/protocol.ts";
import { TOKEN_HEADER } from "../agent/wire/token.ts";
import { readRoot } from "./ca.ts";
import { openStore } from "./openStore.ts";
import { type Signer, signJws } from "./signer.ts";
import { clusterName, signFirstStatement, trustDomainOf } from "./statement.ts";
import { ensureCluster, nowSeconds, readMeta } from "./store.ts";
import { Complaint } from "./terminal.ts";

export type MadeToken = { readonly token: string; readonly claims: TokenClaims; readonly signedStatement: boolean };

/** Makes a join token for a cluster. With a signer, a cluster without a trust statement gets its first. `ttl` in seconds. */
export async function makeToken(dir: string, cluster: string, ttl: number, signer: Signer | null): Promise<MadeToken> {
  const cannot = `make a token for ${cluster}`;
  if (ttl > TOKEN_LIFETIME_MAX_SECONDS)
    throw new Complaint(2, cannot, "a token lives 24 h at most", "Ask for --ttl 24h or less.");
  const sub = clusterName(cluster);
  const root = readRoot(dir);
  const store = await openStore(dir);
  try {
    const signedStatement = signer !== null && (await signFirstStatement(store, dir, sub, signer));
    return await store.transaction(async (sql) => {
      const iss = await trustDomainOf(sql, dir);
      const url = await readMeta(sql, "enrol_url");
      if (url === null)
        throw new Complaint(
          3,
          cannot,
          "nobody knows the enrolment address yet",
          "Start `reeve-control serve` on this folder once.",
        );
      const iat = nowSeconds();
      const jti = randomBytes(24).toString("base64url");
      const claims: TokenClaims = { iss, aud: "reeve-enrol", sub, jti, iat, exp: iat + ttl, url, sha: root.rootSha256 };
      const token = signJws(TOKEN_HEADER, canonical(claims), { sign: (bytes) => sign(null, bytes, root.tokenKey) });
      await ensureCluster(sql, sub);
      await sql.run("insert into tokens (jti, cluster, exp) values ($1, $2, $3)", jti, sub, claims.exp);
      return { token, claims, signedStatement };
    });
  } finally {
    store.close();
  }
}
