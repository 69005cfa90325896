import { entriesOf, type Intent } from "./entries.ts";
import type { Machine } from "./machine.ts";
import type { Owner } from "./owner.ts";
import { APPROVAL_WITHIN_SECONDS, faultOf, rateFault, type WorldRule } from "./rules.ts";
import type { Minted } from "./vendor.ts";

const DAY_SECONDS = 86_400;
/** An intent that was recorded. `at`: the one true time; `local`: its machine's clock. Milliseconds. */
export type Begun = { readonly machine: Machine; readonly rule: string; readonly at: number; readonly local: number };
export type Judging = {
  readonly owner: Owner;
  readonly minted: ReadonlyMap<string, Minted>;
  now(): number;
  violate(invariant: string, what: string): void;
};

/**
 * An intent at the moment at which it is durable, which is the moment of its decision: by what the owner has said on this machine, by what the
 * vendor signed, and by what was begun before. `earlier`: what counts for its rates.
 */
export function judgeIntent(at: Judging, machine: Machine, intent: Intent, earlier: readonly Begun[]): void {
  const { violate } = at;
  const id = intent.command;
  const said = at.owner.of(machine);
  const local = machine.localTime();
  const command = at.minted.get(intent.digest);
  if (command === undefined) violate("1 intent", `${id}: no such bytes were ever signed`);
  else signedFor(at, command, intent, local);
  if (!said.on) violate("5 suspended", `${id}: begun while the switch is off`);
  if (said.policy === null) violate("5 policy", `${id}: begun while the policy cannot be read`);
  if (intent.allowed.policy !== said.digest) violate("1 intent", `${id}: names another policy than the one in force`);
  const { revision = 0, rules = [] } = said.policy ?? {};
  const entries = entriesOf(machine, true);
  const seen = entries.find((one) => one.kind === "policy" && one.code === null && one.revision > revision);
  if (seen !== undefined) violate("policy", `${id}: by revision ${revision}, entry ${seen.index} has seen a newer one`);
  const rule = rules.find((one) => one.id === intent.allowed.rule);
  if (rule === undefined || command === undefined) violate("policy", `${id}: there is no rule ${intent.allowed.rule}`);
  else byRule(at, rule, command, intent, { machine, rule: rule.id, at: at.now(), local }, earlier);
  if (rule !== undefined && rule.need > 0) {
    const wait = entries.find((one) => one.kind === "waiting" && one.command === id);
    approved(at, machine, intent, rule.need, wait === undefined ? null : local - Date.parse(wait.time));
  }
}

function signedFor({ violate }: Judging, command: Minted, intent: Intent, local: number): void {
  const { id } = command;
  if (command.dryRun) violate("10 refused", `${id}: a dry run changes something`);
  if (command.epoch !== intent.epoch)
    violate("8 one agent", `${id}: of epoch ${command.epoch}, begun in epoch ${intent.epoch}`);
  if (command.exp * 1000 <= local) violate("3 verify", `${id}: expired at ${command.exp}, begun at ${local}`);
  if (command.exp - command.iat > DAY_SECONDS) violate("3 verify", `${id}: lives longer than a day`);
}

function byRule(
  { violate }: Judging,
  rule: WorldRule,
  { wanted, id }: Minted,
  intent: Intent,
  now: Begun,
  earlier: readonly Begun[],
): void {
  const count = intent.found["count"];
  const fault = faultOf(rule, wanted, typeof count === "number" ? { count } : { record: null });
  if (fault !== null) violate("policy", `${id}: ${rule.id} does not permit it: ${fault}`);
  // On one machine by the times on record, between machines by the one true time.
  const ago = earlier
    .filter((one) => one.rule === rule.id)
    .map((one) => (one.machine === now.machine ? one.local - now.local : one.at - now.at))
    .sort((one, other) => one - other);
  if (rateFault([...ago, 0], rule.rate) === 0)
    violate("rates", `${id}: more than ${rule.rate.times} per ${rule.rate.per} by ${rule.id}`);
}

function approved({ owner, violate }: Judging, machine: Machine, intent: Intent, need: number, waited: number | null) {
  const yes = owner.of(machine).approved.get(intent.digest)?.size ?? 0;
  if (yes < need) violate("approval", `${intent.command}: ${yes} people approved these bytes, ${need} are needed`);
  if (waited === null) violate("approval", `${intent.command}: it never waited`);
  else if (waited > APPROVAL_WITHIN_SECONDS * 1000)
    violate("approval", `${intent.command}: its time to be approved was over`);
}
