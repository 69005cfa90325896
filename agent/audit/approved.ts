import { APPROVAL_NAMESPACE, type Approvable, approvalMessage } from "../wire/approval.ts";
import { armorSshSignature, verifySshSignature } from "../wire/sshsig.ts";
import type { Entry } from "./entry.ts";
import type { Memory } from "./memory.ts";

type Fault = { readonly what: "approval"; readonly because: string };

/**
 * An intent that names approvals names entries of this command that count, of different people; and where the rule and the policy are still
 * those by which it waited, as many as these asked for.
 */
export function approvedFault(entry: Extract<Entry, { kind: "intent" }>, memory: Memory): Fault | null {
  const approved = entry.approved ?? [];
  const waiting = memory.waiting.get(entry.command);
  const signatures = [...(waiting?.signatures.values() ?? [])];
  const holds = approved.every((one) =>
    signatures.some(({ entry: at, person }) => at === one.entry && person === one.person),
  );
  const people = new Set(approved.map(({ person }) => person));
  if (!holds || people.size !== approved.length)
    return { what: "approval", because: `it names approvals of command ${entry.command} that are not on record` };
  const { allowed } = entry;
  const same = waiting?.entry.allowed.policy === allowed.policy && waiting.entry.allowed.rule === allowed.rule;
  const need = same ? waiting.entry.approval.need : 0;
  if (people.size >= need) return null;
  return { what: "approval", because: `command ${entry.command} was begun with ${people.size} of ${need} approvals` };
}

/** A signature that counted is checked once more, over what was signed: what waits by then stands in the log. */
export function signatureFault(entry: Extract<Entry, { kind: "approval" }>, memory: Memory): Fault | null {
  const what = approvableNow(entry.approves, memory, entry.epoch);
  if (what === null) return null;
  const bad = (because: string): Fault => ({
    what: "approval",
    because: `the approval of ${entry.approves} ${because}`,
  });
  if (entry.signature === null || entry.key === null || entry.person === null) return bad("holds no signature");
  const message = approvalMessage(entry.cluster, what);
  const verified = verifySshSignature(armorSshSignature(entry.signature), message, APPROVAL_NAMESPACE);
  if ("fault" in verified) return bad(`does not hold: ${verified.because}`);
  return verified.key === entry.key ? null : bad("is of another key than it says");
}

function approvableNow(id: string, memory: Memory, epoch: number): Approvable | null {
  const waiting = memory.waiting.get(id);
  if (waiting !== undefined) return { kind: "command", id, digest: waiting.entry.digest };
  if (memory.trust !== null && id === `trust-${memory.trust.version}`) return { kind: "trust", ...memory.trust };
  return memory.fencing !== null && id === `fencing-${epoch}`
    ? { kind: "fencing", epoch, digest: memory.fencing }
    : null;
}
