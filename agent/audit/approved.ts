import { CLOCK_SKEW_SECONDS } from "../limits.ts";
import { APPROVAL_NAMESPACE, type Approvable, approvalMessage } from "../wire/approval.ts";
import { armorSshSignature, verifySshSignature } from "../wire/sshsig.ts";
import type { Entry } from "./entry.ts";
import type { Memory, Recorded } from "./memory.ts";
import { timeOf } from "./time.ts";

type Fault = { readonly what: "approval"; readonly because: string };

function fault(because: string): Fault {
  return { what: "approval", because };
}

/**
 * An intent that names approvals names entries of this command that count, of different people with different keys; and where the rule and
 * the policy are still those by which it waited: of those whom these asked, as many as they need, in time.
 */
export function approvedFault(entry: Extract<Entry, { kind: "intent" }>, memory: Memory): Fault | null {
  const approved = entry.approved ?? [];
  const waiting = memory.waiting.get(entry.command);
  const named = approved.map((one) => nameFor(one, [...(waiting?.signatures.values() ?? [])]));
  const people = new Set(approved.map(({ person }) => person));
  const keys = new Set(named.map((one) => one?.key));
  if (named.includes(undefined) || people.size !== approved.length || keys.size !== approved.length)
    return fault(`it names approvals of command ${entry.command} that are not on record`);
  const { allowed } = entry;
  const same = waiting?.entry.allowed.policy === allowed.policy && waiting.entry.allowed.rule === allowed.rule;
  if (!same) return null;
  const { approval, until } = waiting.entry;
  const asked = approved.filter(({ person }) => approval.by.includes(person)).length;
  if (asked < approval.need || asked < approved.length)
    return fault(`command ${entry.command} was begun with ${asked} of ${approval.need} approvals`);
  // The entry's time is taken a moment after the decision.
  return (timeOf(entry.time) ?? 0) < (until + CLOCK_SKEW_SECONDS) * 1000
    ? null
    : fault(`command ${entry.command} was begun after its wait`);
}

function nameFor(one: { entry: number; person: string }, signatures: readonly Recorded[]): Recorded | undefined {
  return signatures.find(({ entry: at, person }) => at === one.entry && person === one.person);
}

/** A signature that counted is checked once more, over what was signed: what waits by then stands in the log. */
export function signatureFault(entry: Extract<Entry, { kind: "approval" }>, memory: Memory): Fault | null {
  const what = approvableNow(entry.approves, memory, entry.epoch);
  const bad = (because: string): Fault => fault(`the approval of ${entry.approves} ${because}`);
  if (what === null) return bad("is of something that does not wait");
  if (entry.signature === null || entry.key === null || entry.person === null) return bad("holds no signature");
  const message = approvalMessage(entry.cluster, what);
  const verified = verifySshSignature(armorSshSignature(entry.signature), message, APPROVAL_NAMESPACE);
  if ("fault" in verified) return bad(`does not hold: ${verified.because}`);
  return verified.key === entry.key ? null : bad("is of another key than it says");
}

/** An end of a fencing is the end of the fencing on record, by a person whose signature for it is. */
export function unfencedFault(entry: Extract<Entry, { kind: "unfenced" }>, { fencing }: Memory): Fault | null {
  const approved = [...(fencing?.signatures.values() ?? [])].some(({ person }) => person === entry.person);
  return fencing?.digest === entry.digest && approved
    ? null
    : fault("a fencing was ended without an approval on record");
}

function approvableNow(id: string, memory: Memory, epoch: number): Approvable | null {
  const waiting = memory.waiting.get(id);
  if (waiting !== undefined) return { kind: "command", id, digest: waiting.entry.digest };
  if (memory.trust !== null && id === `trust-${memory.trust.version}`) return { kind: "trust", ...memory.trust };
  return memory.fencing !== null && id === `fencing-${epoch}`
    ? { kind: "fencing", epoch, digest: memory.fencing.digest }
    : null;
}
