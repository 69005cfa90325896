import { EnrolAnswer } from "../agent/wire/protocol.ts";
import { type Admission, spend } from "./admissions.ts";
import type { Asker, Plane } from "./enrol.ts";
import { burn, readTokenRow, type TokenRow } from "./enrolToken.ts";
import { highestEpoch } from "./epoch.ts";
import { Faulted } from "./fault.ts";
import { newEpoch, wasUsed } from "./newEpoch.ts";
import { machineOf, principalOf, type Shown } from "./proof/shown.ts";
import { nowSeconds, type Sql } from "./store.ts";

/**
 * By a proof of whom the admission names. With a token that is not burnt: that is a human's word, and uses no budget. Without one, or with one that a
 * machine before has used: a replacement, out of the budget. Faulted: token-invalid, token-needed, proof-budget, key-used.
 */
export async function enrolProven(
  plane: Plane,
  sql: Sql,
  admission: Admission,
  asker: Asker,
  shown: Shown,
): Promise<EnrolAnswer | Faulted> {
  const { cluster, claims } = asker;
  const again = await answeredBefore(sql, asker);
  if (again !== null) return again;
  const token = claims === null ? null : await readTokenRow(sql, claims);
  if (token instanceof Faulted && token.code === "token-invalid") return token;
  const fresh: TokenRow | null = token instanceof Faulted || token === null || token.spki !== null ? null : token;
  if (fresh === null && (await highestEpoch(sql, cluster)) === 0)
    return new Faulted("token-needed", "the first enrolment of a cluster needs a join token beside the proof");
  if (fresh === null && !(await spend(sql, admission, machineOf(shown))))
    return new Faulted("proof-budget", `all ${admission.budget} enrolments without a human are used`);
  const answer = await newEpoch(plane, sql, asker);
  if (fresh !== null) await burn(sql, fresh.jti, asker, answer);
  await keep(sql, asker, shown, fresh?.jti ?? null, answer);
  return answer;
}

/** For a key that has had a certificate: the answer again if it was lost on its way, else key-used. Null for a new key. */
async function answeredBefore(sql: Sql, { cluster, request }: Asker): Promise<EnrolAnswer | Faulted | null> {
  const [issued] = await sql.rows<{ epoch: number; not_after: number }>(
    "select epoch, not_after from certificates where cluster = $1 and spki = $2 order by epoch desc",
    cluster,
    request.spkiSha256,
  );
  if (issued === undefined) return null;
  const [row] = await sql.rows<{ answer: string }>(
    `select answer from proven where cluster = $1 and spki = $2 and epoch = $3
     union all select answer from tokens where cluster = $1 and spki = $2 and epoch = $3`,
    cluster,
    request.spkiSha256,
    issued.epoch,
  );
  const lost = row !== undefined && issued.not_after > nowSeconds() && !(await wasUsed(sql, cluster, issued.epoch));
  return lost ? EnrolAnswer.parse(JSON.parse(row.answer)) : new Faulted("key-used", "this key has had a certificate");
}

async function keep(sql: Sql, asker: Asker, shown: Shown, jti: string | null, answer: EnrolAnswer): Promise<void> {
  const { platform, place, who } = principalOf(shown);
  const values = [asker.cluster, answer.epoch, asker.request.spkiSha256, platform, place, who, machineOf(shown), jti];
  await sql.run(
    `insert into proven (cluster, epoch, spki, platform, place, who, machine, jti, answer, at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    ...values,
    JSON.stringify(answer),
    nowSeconds(),
  );
}
