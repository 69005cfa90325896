import type { Entry } from "../../agent/audit/entry.ts";
import { AUDIT, type Machine, type Process } from "./machine.ts";
import type { Owner } from "./owner.ts";
import { APPROVAL_WITHIN_SECONDS, type FoundState, faultOf, rateFault, type Wanted } from "./rules.ts";
import { durableBytes } from "./storage.ts";
import type { Minted } from "./vendor.ts";

/** An invariant of DESIGN section 3 that did not hold. */
export type Violation = { readonly invariant: string; readonly what: string };

type Intent = Extract<Entry, { kind: "intent" }>;
type Executed = { readonly process: Process; readonly rule: string; readonly at: number; readonly local: number };

export type Oracle = {
  readonly violations: Violation[];
  violate(invariant: string, what: string): void;
  entered(process: Process, id: string, wanted: Wanted, found: FoundState): void;
  leaving(process: Process, id: string, resource: string): void;
  /** Changes that left. */
  readonly changes: number;
  /** Tokens that were looked at, and those that the cloud has acted by. */
  readonly acted: number;
  acts(applied: ReadonlyMap<string, number>): void;
};

/** The entries of a machine's log. `durable`: only what no loss of power could take away. */
export function entriesOf(machine: Machine, durable: boolean, folder = AUDIT): Entry[] {
  const { storage } = machine;
  return [...storage.nodes.keys()]
    .filter((path) => path.startsWith(`${folder}/`) && /^\d{20}\.jsonl$/.test(path.slice(folder.length + 1)))
    .sort()
    .flatMap((path) => {
      const node = storage.nodes.get(path);
      const whole = node?.bytes.subarray(0, node.size) ?? Buffer.alloc(0);
      const text = ((durable ? durableBytes(storage, path) : whole) ?? Buffer.alloc(0)).toString("utf8");
      return text
        .split("\n")
        .slice(0, -1)
        .flatMap((line) => parsed(line));
    });
}

function parsed(line: string): Entry[] {
  try {
    return [JSON.parse(line) as Entry];
  } catch {
    // What a crash left; whether the agent reads it as that is audit verify's question.
    return [];
  }
}

/** Looks at every change as it begins and as it leaves, and knows nothing of the code that let it through. */
export function oracleOf(at: {
  readonly owner: Owner;
  readonly minted: ReadonlyMap<string, Minted>;
  now(): number;
}): Oracle {
  const violations: Violation[] = [];
  const executed = new Map<string, Executed>();
  let changes = 0;
  let acted = 0;
  const violate = (invariant: string, what: string): void => {
    violations.push({ invariant, what });
  };

  function judge(process: Process, intent: Intent, wanted: Wanted, found: FoundState): void {
    const { machine } = process;
    const said = at.owner.of(machine);
    const id = intent.command;
    const command = at.minted.get(intent.digest);
    const local = machine.localTime();
    if (command === undefined) {
      violate("1 intent", `${id}: no such bytes were ever signed`);
      return;
    }
    if (JSON.stringify(command.wanted) !== JSON.stringify(ordered(wanted)))
      violate("1 intent", `${id}: ${JSON.stringify(command.wanted)} was signed, ${JSON.stringify(wanted)} is done`);
    if (command.dryRun) violate("10 refused", `${id}: a dry run changes something`);
    if (command.epoch !== intent.epoch)
      violate("8 one agent", `${id}: of epoch ${command.epoch}, done in epoch ${intent.epoch}`);
    if (command.exp * 1000 <= local) violate("3 verify", `${id}: expired at ${command.exp}, done at ${local}`);
    if (command.exp - command.iat > 86_400) violate("3 verify", `${id}: lives longer than a day`);
    if (!said.on) violate("5 suspended", `${id}: begun while the switch is off`);
    if (said.policy === null) {
      violate("5 policy", `${id}: begun while the policy cannot be read`);
      return;
    }
    if (intent.allowed.policy !== said.digest) violate("1 intent", `${id}: names another policy than the one in force`);
    if ("count" in found && intent.found["count"] !== found.count)
      violate("1 intent", `${id}: found ${found.count}, and ${intent.found["count"]} is on record`);
    const { revision } = said.policy;
    const seen = entriesOf(machine, true).find(
      (one) => one.kind === "policy" && one.code === null && one.revision > revision,
    );
    if (seen !== undefined)
      violate("policy", `${id}: by revision ${revision}, entry ${seen.index} has seen a newer one`);
    const rule = said.policy.rules.find((one) => one.id === intent.allowed.rule);
    if (rule === undefined) {
      violate("policy", `${id}: the policy has no rule ${intent.allowed.rule}`);
      return;
    }
    const fault = faultOf(rule, wanted, found);
    if (fault !== null) violate("policy", `${id}: ${rule.id} does not permit it: ${fault}`);
    // On one machine by the times on record, between machines by the one true time.
    const earlier = [...executed.values()].filter((one) => one.rule === rule.id);
    const times = earlier.map((one) => (one.process.machine === machine ? local - one.local : at.now() - one.at));
    const over = rateFault([...times.map((ago) => -ago).sort((a, b) => a - b), 0], rule.rate);
    if (over === 0) violate("rates", `${id}: more than ${rule.rate.times} per ${rule.rate.per} by ${rule.id}`);
    if (rule.need > 0) approvals(machine, intent, rule.need, local);
    executed.set(id, { process, rule: rule.id, at: at.now(), local });
  }

  function approvals(machine: Machine, intent: Intent, need: number, local: number): void {
    const yes = at.owner.of(machine).approved.get(intent.digest)?.size ?? 0;
    if (yes < need) violate("approval", `${intent.command}: ${yes} people approved these bytes, ${need} are needed`);
    const wait = entriesOf(machine, true).find((one) => one.kind === "waiting" && one.command === intent.command);
    if (wait === undefined) {
      violate("approval", `${intent.command}: it never waited`);
      return;
    }
    if (local - Date.parse(wait.time) > APPROVAL_WITHIN_SECONDS * 1000)
      violate("approval", `${intent.command}: its time to be approved was over`);
  }

  return {
    violations,
    violate,
    get changes() {
      return changes;
    },
    get acted() {
      return acted;
    },
    acts(applied) {
      for (const token of [...applied.keys()].slice(acted)) {
        const begun = executed.get(token);
        const entries = begun === undefined ? [] : entriesOf(begun.process.machine, true);
        if (!entries.some((one) => one.kind === "intent" && one.command === token))
          violate("1 intent", `the cloud has changed something by ${token}, and no durable intent names it`);
      }
      acted = applied.size;
    },
    entered(process, id, wanted, found) {
      const before = executed.get(id);
      if (before !== undefined) violate("2 once", `${id} enters its handler again on ${process.machine.name}`);
      if (process.fenced) violate("8 one agent", `${id}: begun after it was told that it is fenced`);
      const entries = entriesOf(process.machine, true);
      const intent = entries.find((one): one is Intent => one.kind === "intent" && one.command === id);
      if (intent === undefined) {
        violate("1 intent", `${id} is executed without a durable intent`);
        return;
      }
      if (entries.some((one) => one.kind === "outcome" && one.command === id))
        violate("3 outcome", `${id} has an outcome before it is executed`);
      const open = openIntents(entries).filter((one) => one.resource === intent.resource && one.command !== id);
      if (open.length > 0) violate("busy", `${id}: ${open[0]?.command} is at work on ${intent.resource}`);
      if (before === undefined) judge(process, intent, wanted, found);
    },
    leaving(process, id, resource) {
      changes++;
      const begun = executed.get(id);
      if (begun?.process !== process) violate("1 intent", `a change of ${resource} by ${id}, which was not begun here`);
      if (!at.owner.of(process.machine).on) violate("5 suspended", `${id}: ${resource} is changed, the switch is off`);
      if (process.fenced) violate("8 one agent", `${id}: ${resource} is changed after it was told that it is fenced`);
    },
  };
}

export function openIntents(entries: readonly Entry[]): Intent[] {
  const ended = new Set(entries.flatMap((one) => (one.kind === "outcome" ? [one.command] : [])));
  return entries.filter((one): one is Intent => one.kind === "intent" && !ended.has(one.command));
}

/** The fields in the order that the vendor wrote them in. */
function ordered(wanted: Wanted): Wanted {
  if (wanted.action === "scale") return { action: "scale", group: wanted.group, count: wanted.count };
  const { name, change, values } = wanted;
  return { action: "update-dns", name, change, values };
}
