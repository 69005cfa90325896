import { acmeAuthority, CHALLENGE, challengeName } from "../../../policy/acme.ts";
import type { Call } from "./call.ts";
import type { Known, TableRow, Tables } from "./ledger.ts";

/**
 * A certificate by ACME calls nothing of the cloud's but DNS, for the records that prove its names. `records`: `ZONE/NAME` each, as far as the
 * log says the names: an intent does.
 */
export type Proving = { readonly zone: string; readonly records: readonly string[] };

/** Null: the command is none of these. */
export function provingOf({ action, resource, names }: Known): Proving | null {
  const acme = action === "issue-certificate" && resource !== null ? acmeAuthority(resource) : null;
  if (acme === null) return null;
  const challenges = names.map(challengeName).filter((name) => name !== null);
  return { zone: acme.zone, records: challenges.map((name) => `${acme.zone}/${name}`) };
}

/** What the command may call. */
export function tableOf(command: Known, { actions }: Tables): readonly TableRow[] {
  return actions[provingOf(command) === null ? command.action : "update-dns"];
}

/** Whether a call is about the zone alone, or about one of the records. Before there is an intent: about some name's. */
export function provesFor({ subjects }: Call, { zone, records }: Proving): boolean {
  const some = `${zone}/${CHALLENGE}`;
  return subjects.every(
    (subject) =>
      subject === `${zone}/` || (records.length === 0 ? subject.startsWith(some) : records.includes(subject)),
  );
}

/** A record is put there and taken away again, each once. */
export function provingChanges({ records }: Proving): number {
  return 2 * records.length;
}
