import type { Approvable } from "../../agent/wire/approval.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import { type Machine, OWNER } from "./machine.ts";
import type { Chance } from "./random.ts";
import { drawPolicy, PEOPLE, policyText, type WorldPolicy } from "./rules.ts";
import { type Signatory, signatory } from "./ssh.ts";
import { putFile } from "./storage.ts";

export type Person = (typeof PEOPLE)[number];

/** People's keys, and a stranger's: made once for all worlds of this process. */
export type People = { readonly keys: Readonly<Record<Person, Signatory>>; readonly stranger: Signatory };
export function people(): People {
  return { keys: { alice: signatory(), bob: signatory() }, stranger: signatory() };
}

/** What the owner has said on one machine, as the world knows it. */
export type Said = {
  on: boolean;
  /** Null: the file cannot be read, or is no policy. */
  policy: WorldPolicy | null;
  /** Digest of the file. */
  digest: string;
  /** People who approved these very bytes, by the command's digest. */
  readonly approved: Map<string, Set<Person>>;
};

export type Owner = {
  of(machine: Machine): Said;
  /** A new machine of the group of one has the owner's folder as it is. */
  settle(machine: Machine): void;
  /** What was said on a machine so far: a disk that is copied has it. */
  said(machine: Machine): Said;
  /** A machine whose disk is a copy, with what its owner's folder said then. */
  copy(machine: Machine, then: Said): void;
  turn(machine: Machine, on: boolean): void;
  /** Puts a policy in force. */
  put(machine: Machine, policy: WorldPolicy): void;
  /** Edits it in one of the ways that happen: a new revision, an older file put back, a slip, a wrong mode. */
  edit(machine: Machine, draw: Chance): void;
  /** Puts the newest policy there, where none that is whole lies. */
  mend(machine: Machine): void;
  /** Somebody says yes to what waits; or something that looks like it lies there. */
  approve(
    machine: Machine,
    what: { readonly id: string; readonly digest: string },
    others: readonly string[],
    draw: Chance,
  ): void;
  readonly revision: number;
};

export function ownerOf({ keys, stranger }: People, first: WorldPolicy): Owner {
  const said = new Map<Machine, Said>();
  let newest = first;
  const before: WorldPolicy[] = [];
  const names = Object.fromEntries(PEOPLE.map((person) => [person, keys[person].key]));
  const of = (machine: Machine): Said => {
    const known = said.get(machine);
    if (known === undefined) throw new Error(`${machine.name} has no owner`);
    return known;
  };
  const write = (machine: Machine, text: string, policy: WorldPolicy | null, mode = 0o644): void => {
    putFile(machine.storage, `${OWNER}/policy.yaml`, text, mode);
    of(machine).policy = policy;
    of(machine).digest = digestOf(text);
  };
  const put = (machine: Machine, policy: WorldPolicy): void => write(machine, policyText(policy, names), policy);
  const turn = (machine: Machine, on: boolean): void => {
    if (on) putFile(machine.storage, `${OWNER}/on`, "on\n", 0o644);
    else machine.storage.nodes.delete(`${OWNER}/on`);
    of(machine).on = on;
  };

  return {
    of,
    get revision() {
      return newest.revision;
    },
    settle(machine) {
      said.set(machine, { on: true, policy: null, digest: "", approved: new Map() });
      put(machine, newest);
      turn(machine, true);
    },
    said(machine) {
      const { approved, ...rest } = of(machine);
      return { ...rest, approved: new Map([...approved].map(([digest, yes]) => [digest, new Set(yes)])) };
    },
    copy: (machine, then) => void said.set(machine, then),
    turn,
    put(machine, policy) {
      before.push(newest);
      newest = policy;
      put(machine, policy);
    },
    edit(machine, draw) {
      const roll = draw.int(0, 9);
      const text = policyText(newest, names);
      if (roll === 0) return write(machine, text.replace("dry_run:", "dry_runs:"), null);
      if (roll === 1) return write(machine, text, null, 0o666);
      if (roll === 2) return write(machine, `${text}# a word more\n`, newest);
      const old = roll === 3 ? before.at(-1) : undefined;
      // An older revision permits nothing once a newer one was seen; whether it was, the oracle asks the log.
      if (old !== undefined) return put(machine, old);
      before.push(newest);
      newest = drawPolicy(draw, newest.revision + 1);
      put(machine, newest);
    },
    mend(machine) {
      if (of(machine).policy?.revision !== newest.revision) put(machine, newest);
    },
    approve(machine, what, others, draw) {
      const person = draw.pick(PEOPLE);
      const roll = draw.int(0, 9);
      const at = `${OWNER}/approvals/${what.id}.${person}.sig`;
      const command = (digest: string): Approvable => ({ kind: "command", id: what.id, digest });
      // A stranger's; one over other bytes of the same id; the other person's file is not theirs to give.
      if (roll === 0) return putFile(machine.storage, at, stranger.approve(command(what.digest)), 0o644);
      const other = others.find((digest) => digest !== what.digest);
      if (roll <= 2 && other !== undefined)
        return putFile(machine.storage, at, keys[person].approve(command(other)), 0o644);
      const yes = of(machine).approved.get(what.digest) ?? new Set();
      for (const one of draw.odds(0.5) ? PEOPLE : [person]) {
        const path = `${OWNER}/approvals/${what.id}.${one}.sig`;
        putFile(machine.storage, path, keys[one].approve(command(what.digest)), 0o644);
        yes.add(one);
      }
      of(machine).approved.set(what.digest, yes);
    },
  };
}
