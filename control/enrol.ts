import { createPublicKey, verify } from "node:crypto";
import { spiffeId } from "../agent/wire/names.ts";
import { EnrolAnswer, type TokenClaims } from "../agent/wire/protocol.ts";
import { readTokenForm } from "../agent/wire/token.ts";
import type { Authority } from "./ca.ts";
import { type AgentCsr, readAgentCsr } from "./csr.ts";
import { highestEpoch, letAct } from "./epoch.ts";
import { Faulted } from "./fault.ts";
import { ensureCluster, nowSeconds, raiseAlarm, type Sql, type Store } from "./store.ts";
import type { WitnessKey } from "./witness/key.ts";

/** What the control plane is to its agents. */
export type Plane = {
  readonly store: Store;
  readonly authority: Authority;
  /** By which it cosigns agents' heads: named in trust statements. */
  readonly witness: WitnessKey;
  readonly trustDomain: string;
  readonly enrolUrl: string;
  readonly agentsUrl: string;
};
type TokenRow = {
  readonly exp: number;
  readonly spki: string | null;
  readonly epoch: number | null;
  readonly answer: string | null;
};

/**
 * Enrols an agent (DESIGN section 4): the token is burnt, the epoch raised and the certificate recorded in one transaction, which is
 * durable before the answer leaves. The same token with the same key is answered the same until the certificate's first use.
 * Throws Faulted: token-invalid, token-expired, token-burnt, token-theft, csr-invalid.
 */
export async function enrol(plane: Plane, token: string, csr: string): Promise<EnrolAnswer> {
  const claims = readToken(plane, token);
  const request = await readAgentCsr(csr, spiffeId(plane.trustDomain, claims.sub));
  const result = await plane.store.transaction(async (sql): Promise<EnrolAnswer | Faulted> => {
    const [row] = await sql.rows<TokenRow>(
      "select * from tokens where jti = $1 and cluster = $2",
      claims.jti,
      claims.sub,
    );
    if (row === undefined) return new Faulted("token-invalid", "this control plane made no such token");
    if (claims.exp <= nowSeconds()) return new Faulted("token-expired", "the token has expired");
    if (typeof request === "string")
      return new Faulted("csr-invalid", `the certificate request is refused: ${request}`);
    return row.spki === null ? firstUse(plane, sql, claims, request) : secondUse(sql, claims, row, request);
  });
  // An alarm must be kept although the request is refused: so a refusal is returned from the transaction, then thrown.
  if (result instanceof Faulted) throw result;
  return result;
}

function readToken(plane: Plane, token: string): TokenClaims {
  const claims = readTokenForm(token);
  if ("fault" in claims) throw new Faulted("token-invalid", claims.fault);
  if (!signedByTokenKey(plane, token))
    throw new Faulted("token-invalid", "the token is not signed by this control plane");
  const ours =
    claims.iss === plane.trustDomain && claims.url === plane.enrolUrl && claims.sha === plane.authority.rootSha256;
  if (!ours) throw new Faulted("token-invalid", "the token is for another control plane");
  return claims;
}

function signedByTokenKey(plane: Plane, token: string): boolean {
  const end = token.lastIndexOf(".");
  const signature = Buffer.from(token.slice(end + 1), "base64url");
  return verify(null, Buffer.from(token.slice(0, end)), createPublicKey(plane.authority.tokenKey), signature);
}

async function firstUse(plane: Plane, sql: Sql, claims: TokenClaims, request: AgentCsr): Promise<EnrolAnswer> {
  await ensureCluster(sql, claims.sub);
  const epoch = (await highestEpoch(sql, claims.sub)) + 1;
  const now = nowSeconds();
  await letAct(sql, claims.sub, epoch, now);
  const issued = await plane.authority.issue(spiffeId(plane.trustDomain, claims.sub), request.spki);
  await sql.run(
    "insert into certificates (serial, cluster, epoch, slot, spki, chain, not_after) values ($1, $2, $3, 'current', $4, $5, $6)",
    issued.serial,
    claims.sub,
    epoch,
    request.spkiSha256,
    JSON.stringify(issued.chain),
    issued.notAfter,
  );
  const trust = await sql.rows<{ jws: string }>(
    "select jws from trust where cluster = $1 order by version",
    claims.sub,
  );
  const answer = {
    chain: [...issued.chain],
    trust: trust.map((row) => row.jws),
    epoch,
    enrolled_at: now,
    agents_url: plane.agentsUrl,
  };
  await sql.run(
    "update tokens set spki = $1, epoch = $2, answer = $3 where jti = $4",
    request.spkiSha256,
    epoch,
    JSON.stringify(answer),
    claims.jti,
  );
  return answer;
}

async function secondUse(
  sql: Sql,
  claims: TokenClaims,
  row: TokenRow,
  request: AgentCsr,
): Promise<EnrolAnswer | Faulted> {
  if (row.spki !== request.spkiSha256) {
    const words = `a join token was used a second time, by another key (epoch ${row.epoch} holds the first)`;
    await raiseAlarm(sql, claims.sub, "token-theft", claims.jti, words);
    return new Faulted("token-theft", "the token was used already, by another key");
  }
  const used = await sql.rows(
    "select serial from certificates where cluster = $1 and epoch = $2 and used_at is not null",
    claims.sub,
    row.epoch,
  );
  if (used.length > 0 || row.answer === null)
    return new Faulted("token-burnt", "the token was used, and so was its certificate");
  // The answer was lost on its way: the same one again.
  return EnrolAnswer.parse(JSON.parse(row.answer));
}
