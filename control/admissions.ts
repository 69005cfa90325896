import { timeText } from "../policy/duration.ts";
import { type Principal, principalText, samePrincipal } from "./proof/shown.ts";
import { ensureCluster, nowSeconds, raiseAlarm, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

/** Enrolments without a human that an admission allows when nothing else is said. */
export const BUDGET = 3;
export const MAX_BUDGET = 100;

/** Who may enrol for a cluster by what its platform shows, and how often without a human. */
export type Admission = Principal & {
  readonly cluster: string;
  readonly budget: number;
  readonly used: number;
  /** Who said so, why, and when (seconds since 1970). */
  readonly by: string;
  readonly why: string;
  readonly at: number;
};
type Row = {
  readonly cluster: string;
  readonly platform: Principal["platform"];
  readonly place: string;
  readonly who: string;
  readonly budget: number;
  readonly used: number;
  readonly said_by: string;
  readonly said_why: string;
  readonly at: number;
};

export async function readAdmission(sql: Sql, cluster: string): Promise<Admission | null> {
  const [row] = await sql.rows<Row>("select * from admissions where cluster = $1", cluster);
  return row === undefined ? null : admissionOf(row);
}

/** By cluster. */
export async function readAdmissions(sql: Sql): Promise<Admission[]> {
  return (await sql.rows<Row>("select * from admissions order by cluster")).map(admissionOf);
}

function admissionOf({ said_by, said_why, ...row }: Row): Admission {
  return { ...row, by: said_by, why: said_why };
}

/** An operator says who may enrol: the one before goes, and the budget is whole again. A cluster has one admission at a time. */
export async function admitPrincipal(
  store: Store,
  admission: Pick<Admission, "cluster" | "budget" | "by" | "why"> & { readonly principal: Principal },
): Promise<Admission> {
  const { cluster, principal, budget, by, why } = admission;
  return store.transaction(async (sql) => {
    await ensureCluster(sql, cluster);
    await sql.run("delete from admissions where cluster = $1", cluster);
    await sql.run(
      `insert into admissions (cluster, platform, place, who, budget, used, said_by, said_why, at)
       values ($1, $2, $3, $4, $5, 0, $6, $7, $8)`,
      ...[cluster, principal.platform, principal.place, principal.who, budget, by, why, nowSeconds()],
    );
    return { cluster, ...principal, budget, used: 0, by, why, at: nowSeconds() };
  });
}

/** From then on a token alone enrols again, and a proof nobody. */
export async function dropAdmission(store: Store, cluster: string): Promise<Admission> {
  return store.transaction(async (sql) => {
    const admission = await readAdmission(sql, cluster);
    if (admission === null)
      throw new Complaint(1, `drop the admission of ${cluster}`, "there is none", "See `reeve-control admit show`.");
    await sql.run("delete from admissions where cluster = $1", cluster);
    return admission;
  });
}

/** Uses one enrolment up; false when none is left, and then the fleet shows it. Within the transaction that raises the epoch. */
export async function spend(sql: Sql, admission: Admission, machine: string): Promise<boolean> {
  const changed = await sql.run(
    "update admissions set used = used + 1 where cluster = $1 and used < budget",
    admission.cluster,
  );
  if (changed > 0) return true;
  const words =
    `${principalText(admission)} (${machine}) asked to enrol, and all ${admission.budget} enrolments without a human are used: ` +
    "if its machine is being replaced for a good reason, `reeve-control admit` again";
  // Once for each admission: a machine that goes on asking is one alarm.
  await raiseAlarm(sql, admission.cluster, "proof-budget", String(admission.at), words);
  return false;
}

export function admits(admission: Admission, principal: Principal): boolean {
  return samePrincipal(admission, principal);
}

export function admissionText(admission: Admission): string {
  const at = timeText(admission.at * 1000);
  const left = admission.budget - admission.used;
  return (
    `${admission.cluster}: ${principalText(admission)} may enrol, ${left} of ${admission.budget} times left without a human\n` +
    `  said ${admission.by}, ${at}: ${admission.why}`
  );
}
