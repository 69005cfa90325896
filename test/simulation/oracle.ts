import { entriesIn, entriesOf, type Intent, openIntents } from "./entries.ts";
import { type Begun, judgeIntent } from "./judge.ts";
import type { Machine, Process } from "./machine.ts";
import type { Owner } from "./owner.ts";
import type { FoundState, Wanted } from "./rules.ts";
import { durableBytes, type Node } from "./storage.ts";
import type { Minted } from "./vendor.ts";

/** An invariant of DESIGN section 3 that did not hold. */
export type Violation = { readonly invariant: string; readonly what: string };

export type Oracle = {
  readonly violations: Violation[];
  violate(invariant: string, what: string): void;
  /** A file of the log was synced: what is new in it is durable now. */
  recorded(machine: Machine, path: string): void;
  entered(process: Process, id: string, wanted: Wanted, found: FoundState): void;
  leaving(process: Process, id: string, resource: string): void;
  /** A disk was copied: what lies on it was judged where it was written. */
  copied(nodes: ReadonlyMap<Node, Node>): void;
  /** Changes that left. */
  readonly changes: number;
  /** Tokens that were looked at, and those that the cloud has acted by. */
  readonly acted: number;
  acts(applied: ReadonlyMap<string, number>): void;
};

/** Looks at every intent as it is recorded and every change as it leaves, and knows nothing of the code that let it through. */
export function oracleOf(at: {
  readonly owner: Owner;
  readonly minted: ReadonlyMap<string, Minted>;
  now(): number;
}): Oracle {
  const violations: Violation[] = [];
  const begun: (Begun & { readonly id: string })[] = [];
  const executed = new Map<string, Process>();
  const read = new Map<object, number>();
  let changes = 0;
  let acted = 0;
  const violate = (invariant: string, what: string): void => {
    violations.push({ invariant, what });
  };

  /** On this machine what was begun counts for rates, elsewhere what was executed: of two copies one is stopped in between. */
  function counts(machine: Machine, one: Begun & { readonly id: string }): boolean {
    return one.machine === machine || executed.has(one.id);
  }

  return {
    violations,
    violate,
    recorded(machine, path) {
      const node = machine.storage.nodes.get(path);
      const bytes = durableBytes(machine.storage, path);
      if (node === undefined || bytes === null) return;
      const from = read.get(node) ?? 0;
      read.set(node, bytes.length);
      const fresh = entriesIn(bytes.subarray(from)).filter((one): one is Intent => one.kind === "intent");
      for (const intent of fresh) {
        const earlier = begun.filter((one) => counts(machine, one));
        judgeIntent({ ...at, violate }, machine, intent, earlier);
        const { rule } = intent.allowed;
        begun.push({ id: intent.command, machine, rule, at: at.now(), local: machine.localTime() });
      }
    },
    entered(process, id, wanted, found) {
      const { machine } = process;
      if (executed.has(id)) violate("2 once", `${id} enters its handler again on ${machine.name}`);
      executed.set(id, process);
      if (process.fenced) violate("8 one agent", `${id}: begun after it was told that it is fenced`);
      const entries = entriesOf(machine, true);
      const intent = entries.find((one): one is Intent => one.kind === "intent" && one.command === id);
      if (intent === undefined) {
        violate("1 intent", `${id} is executed without a durable intent`);
        return;
      }
      const command = at.minted.get(intent.digest);
      if (JSON.stringify(command?.wanted) !== JSON.stringify(ordered(wanted)))
        violate("1 intent", `${id}: ${JSON.stringify(command?.wanted)} was signed, not ${JSON.stringify(wanted)}`);
      if ("count" in found && intent.found["count"] !== found.count)
        violate("1 intent", `${id}: found ${found.count}, and ${intent.found["count"]} is on record`);
      if (entries.some((one) => one.kind === "outcome" && one.command === id))
        violate("3 outcome", `${id} has an outcome before it is executed`);
      const open = openIntents(entries).filter((one) => one.resource === intent.resource && one.command !== id);
      if (open.length > 0) violate("busy", `${id}: ${open[0]?.command} is at work on ${intent.resource}`);
    },
    leaving(process, id, resource) {
      changes++;
      if (executed.get(id) !== process)
        violate("1 intent", `a change of ${resource} by ${id}, which was not begun here`);
      if (!at.owner.of(process.machine).on) violate("5 suspended", `${id}: ${resource} is changed, the switch is off`);
      if (process.fenced) violate("8 one agent", `${id}: ${resource} is changed after it was told that it is fenced`);
    },
    copied(nodes) {
      for (const [node, copy] of nodes) read.set(copy, Math.min(copy.synced, read.get(node) ?? 0));
    },
    get changes() {
      return changes;
    },
    get acted() {
      return acted;
    },
    acts(applied) {
      for (const token of [...applied.keys()].slice(acted)) {
        const process = executed.get(token);
        const entries = process === undefined ? [] : entriesOf(process.machine, true);
        if (!entries.some((one) => one.kind === "intent" && one.command === token))
          violate("1 intent", `the cloud has changed something by ${token}, and no durable intent names it`);
      }
      acted = applied.size;
    },
  };
}

/** The fields in the order that the vendor wrote them in. */
function ordered(wanted: Wanted): Wanted {
  if (wanted.action === "scale") return { action: "scale", group: wanted.group, count: wanted.count };
  const { name, change, values } = wanted;
  return { action: "update-dns", name, change, values };
}
