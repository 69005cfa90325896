import { EnrolAnswer, type TokenClaims } from "../agent/wire/protocol.ts";
import type { Asker, Plane } from "./enrol.ts";
import { Faulted } from "./fault.ts";
import { newEpoch, wasUsed } from "./newEpoch.ts";
import { nowSeconds, raiseAlarm, type Sql } from "./store.ts";

export type TokenRow = {
  readonly jti: string;
  readonly exp: number;
  /** The key that it enrolled; null while it is not burnt. */
  readonly spki: string | null;
  readonly epoch: number | null;
  readonly answer: string | null;
};

/** The token as it stands; Faulted: token-invalid, token-expired. */
export async function readTokenRow(sql: Sql, claims: TokenClaims): Promise<TokenRow | Faulted> {
  const [row] = await sql.rows<TokenRow>(
    "select * from tokens where jti = $1 and cluster = $2",
    claims.jti,
    claims.sub,
  );
  if (row === undefined) return new Faulted("token-invalid", "this control plane made no such token");
  if (claims.exp <= nowSeconds()) return new Faulted("token-expired", "the token has expired");
  return row;
}

/** By the token alone, where no platform is admitted. Faulted: token-… */
export async function enrolByToken(
  plane: Plane,
  sql: Sql,
  asker: Asker & { readonly claims: TokenClaims },
): Promise<EnrolAnswer | Faulted> {
  const row = await readTokenRow(sql, asker.claims);
  if (row instanceof Faulted) return row;
  if (row.spki === null) return burn(sql, row.jti, asker, await newEpoch(plane, sql, asker));
  if (row.spki !== asker.request.spkiSha256) return theft(sql, asker.cluster, row);
  if (row.epoch === null || row.answer === null || (await wasUsed(sql, asker.cluster, row.epoch)))
    return new Faulted("token-burnt", "the token was used, and so was its certificate");
  // The answer was lost on its way: the same one again.
  return EnrolAnswer.parse(JSON.parse(row.answer));
}

export async function burn(sql: Sql, jti: string, { request }: Asker, answer: EnrolAnswer): Promise<EnrolAnswer> {
  await sql.run(
    "update tokens set spki = $1, epoch = $2, answer = $3 where jti = $4",
    request.spkiSha256,
    answer.epoch,
    JSON.stringify(answer),
    jti,
  );
  return answer;
}

/** A burnt token that comes with another key, and with nothing that shows who has it. */
export async function theft(sql: Sql, cluster: string, row: TokenRow): Promise<Faulted> {
  const words = `a join token was used a second time, by another key (epoch ${row.epoch} holds the first)`;
  await raiseAlarm(sql, cluster, "token-theft", row.jti, words);
  return new Faulted("token-theft", "the token was used already, by another key");
}
