import { POLICY_REMEDIES } from "./policyRemedies.ts";
import type { RefusalCode } from "./refusal.ts";

/** Why a code is said, and what each side can do about it. Whole sentences, for docs/REFUSALS.md and `reeve audit show --verbose`. */
export type Remedy = {
  readonly cause: string;
  readonly vendor: string;
  readonly owner: string;
  /** Why no version of today says it any more. A code is never reused, so it stays listed. */
  readonly retired?: string;
};

const NOTHING = "Nothing is to be done.";

/** One row for each code of the closed union: without one the types do not check. */
export const REMEDIES: Readonly<Record<RefusalCode, Remedy>> = {
  "open.too-long": {
    cause: "The command's bytes are over 16 KiB. They were not looked at.",
    vendor: "Ask for less in one command: fewer values, or a certificate request by its SHA-256 instead of its bytes.",
    owner: NOTHING,
  },
  "open.form": {
    cause: "The bytes are not one compact JWS: three parts in base64url without padding.",
    vendor: "Sign with `reeve-control send`, or compare with docs/PROTOCOL.md.",
    owner: "Once is a mistake. Often: tell the vendor that its control plane hands out what is no command.",
  },
  "open.header": {
    cause: "The protected header is not, byte for byte, the one header that a command may have.",
    vendor:
      "Sign with `reeve-control send`, or compare with docs/PROTOCOL.md. No other algorithm or header field is taken.",
    owner: "Once is a mistake. Often: tell the vendor that somebody tries other headers.",
  },
  "open.key": {
    cause:
      "The key that the header names is not a command key of the trust statement in force, or was dropped from it meanwhile.",
    vendor:
      "Send it again, signed by a key that the cluster's newest accepted statement names; `fleet` shows which that is.",
    owner:
      "See whether a trust statement waits for you (`reeve status`). If none does, ask the vendor what the key is.",
  },
  "open.signature": {
    cause:
      "The key that the header names did not sign these bytes: they were changed on the way, or never were its own.",
    vendor: "Look for what changes commands between signing and handing out; then send it again.",
    owner: "Tell the vendor: its control plane, or something before it, changes what was signed.",
  },
  "parse.not-canonical": {
    cause:
      "The signed payload is not its own canonical JSON (RFC 8785), or not UTF-8: it could be read in more than one way.",
    vendor: "Sign canonical JSON, as `reeve-control send` does.",
    owner: NOTHING,
  },
  "parse.too-deep": {
    cause: "The signed payload is nested deeper than any command is.",
    vendor: "Send the claims of docs/PROTOCOL.md and nothing else.",
    owner: NOTHING,
  },
  "parse.claims": {
    cause: "A claim is missing, unknown or not of its form; `field` says which.",
    vendor: "Send the claims of docs/PROTOCOL.md, all of them and no other. An older agent may not know a newer claim.",
    owner: "If the vendor uses what this agent does not know yet, replace the machine by one with a newer version.",
  },
  "parse.action": {
    cause: "The command asks for an action that this version does not know.",
    vendor:
      "Ask for scale, issue-certificate, update-dns or deploy, or see which version the cluster runs (`fleet --json`).",
    owner: "If you want the action, replace the machine by one with a version that knows it.",
  },
  "parse.number": {
    cause: "A number is not an integer, or outside what any command may ask.",
    vendor: "Ask for a number inside the limits of docs/PROTOCOL.md.",
    owner: NOTHING,
  },
  "parse.name": {
    cause:
      "A name is not in its one spelling: upper case, a trailing dot, a wildcard, IDN, or too long. Names are never normalised.",
    vendor: "Write the name exactly as it is: lower case, without a trailing dot.",
    owner: NOTHING,
  },
  "verify.no-trust": {
    cause: "The agent has no trust statement yet, so it knows no command key.",
    vendor: "Sign the cluster's first statement: `reeve-control keys trust`.",
    owner: NOTHING,
    retired: "Without a statement no key is known, and `open.key` says so before anything else is looked at.",
  },
  "verify.issuer": {
    cause: "The command or trust statement was issued in another trust domain than the one that the cluster joined.",
    vendor: "Send it from the control plane that the cluster joined.",
    owner: "Ask the vendor why another trust domain speaks to this cluster.",
  },
  "verify.audience": {
    cause: "The command or trust statement is addressed to another cluster's agent.",
    vendor: "Address it to this cluster; look how it came here.",
    owner: "Ask the vendor why another cluster's commands reach this one.",
  },
  "verify.expired": {
    cause: "The command's `exp` has passed by this machine's clock.",
    vendor:
      "Send it again. If all commands expire, compare the clocks of both sides, or allow them longer (`--expires`).",
    owner: "If all commands expire, see that this machine's clock is right.",
  },
  "verify.not-yet-valid": {
    cause: "The command's `iat` lies more than 60 seconds in this machine's future.",
    vendor: "Compare the clock of the machine that signs.",
    owner: "Compare this machine's clock.",
  },
  "verify.lifetime": {
    cause: "The command would live longer than 24 hours, or its `exp` is not after its `iat`.",
    vendor: "Ask for `--expires 24h` or less.",
    owner: NOTHING,
  },
  "verify.epoch": {
    cause:
      "The command is for another epoch of this cluster: an agent was enrolled after, or before, the one that it was signed for.",
    vendor: "Send it again: it is then signed for the present epoch.",
    owner: NOTHING,
  },
  "verify.before-enrolment": {
    cause:
      "The command was issued before this agent was enrolled. An agent without memory takes nothing from before its time.",
    vendor: "Send it again. If new ones are refused too, compare the clocks.",
    owner: NOTHING,
  },
  "verify.replayed": {
    cause:
      "The log has decided this command already, or it waits for people: entry `first` says what became of it. Nothing is done twice.",
    vendor: "Read that entry. To ask once more, send a new command.",
    owner: "Nothing is to be done: a delivery that is repeated is harmless.",
  },
  "verify.id-reused": {
    cause: "Another command, with other bytes, has this id in the log.",
    vendor: "Give each command an id of its own (a UUIDv7). Find out what made two with the same.",
    owner: "Ask the vendor for the reason: it is a mistake there, or worse.",
  },
  "verify.id-time": {
    cause:
      "The time in the command's id, a UUIDv7, is over a day from its `iat`. An id is remembered for as long as a command that may have it could live; so none can be used twice.",
    vendor: "Make the id when the command is signed, by the same clock as `iat`, as `reeve-control send` does.",
    owner: NOTHING,
  },
  "verify.suspended": {
    cause: "The owner's switch is off, cannot be read, or others could write it. The reason stands in the words.",
    vendor: "Wait until the customer turns it on again, then send it again.",
    owner: "When you mean it: `reeve resume`. If you never turned it off, look who may write the owner's folder.",
  },
  "verify.clock": {
    cause:
      "This machine's clock jumped by more than a minute against its own steady clock, so times cannot be relied on.",
    vendor: "Send it again later.",
    owner:
      "See to the time service; when both clocks agree it goes on by itself. When the new time is right: `reeve resume`.",
  },
  "verify.intake": {
    cause: "More commands came than the agent takes in an hour.",
    vendor: "Send fewer.",
    owner: NOTHING,
    retired: "Over its intake the agent asks for no command, so there is none to refuse.",
  },
  "verify.cancelled": {
    cause: "The vendor took the command back before it had begun.",
    vendor: NOTHING,
    owner: NOTHING,
  },
  "match.no-rule": {
    cause: "No rule of the policy is for this action on this group, authority or zone.",
    vendor: "Check the name. If it is right, ask the customer for a rule.",
    owner: "If you want it permitted, add a rule, and try it with `reeve policy check`.",
  },
  "match.vendor": {
    cause: "The policy names another vendor than the one that the command is from.",
    vendor: "Ask the customer whom the policy should name.",
    owner: "Compare `vendor` in the policy with the trust domain that this cluster joined.",
  },
  "match.cluster": {
    cause: "The policy is another cluster's: nothing in it can permit anything here.",
    vendor: "Tell the customer.",
    owner: "Put this cluster's policy into the owner's folder.",
  },
  "match.place": {
    cause: "The policy's `place` is another cloud, account or region than the one that the agent's config names.",
    vendor: "Tell the customer.",
    owner: "Correct `place` in the policy, or the provider's fields in the config.",
  },
  "match.own-group": {
    cause: "The agent itself runs in this group. No rule can permit to change it.",
    vendor: "Ask the customer to change this group.",
    owner: "Change the group yourself; the agent must not be able to end or copy itself.",
  },
  "match.dry-run": {
    cause: "The policy says `dry_run: refused`.",
    vendor: "Ask the customer to allow dry runs, or use `fleet plan` when the policy is shared.",
    owner:
      "If the vendor may ask what would be decided: `dry_run: allowed`. A dry run changes nothing, and reads what the rule names.",
  },
  ...POLICY_REMEDIES,
  "artifact.missing": {
    cause:
      "The manifest, or what it names, is not in the place that the config's `artifacts` says, cannot be read there, or there is no such place.",
    vendor: "Put it there, named by its SHA-256 (or have the control plane keep it), and send the command again.",
    owner: "See that `artifacts` in the config names the place, and that the agent's user can read it.",
  },
  "artifact.digest": {
    cause: "What lies there under the name of a SHA-256 has another one. Nothing of it was used.",
    vendor: "Put the very bytes there, unchanged.",
    owner: "See who put it there: it is not what its name says.",
  },
  "artifact.malformed": {
    cause: "What lies there is what its SHA-256 says, and is no manifest that this version reads.",
    vendor: "Make it by `reeve-control manifest create`. An older agent may not know a newer form.",
    owner: "If the vendor uses what this agent does not know yet, replace the machine by one with a newer version.",
  },
  "resource.busy": {
    cause: "Another command has an intent on the same resource, and no outcome yet.",
    vendor: "Send it again after that one's outcome.",
    owner: "Nothing is to be done, unless the other one never ends: `reeve audit show --command ID` shows it.",
  },
  "resource.missing": {
    cause: "A rule names a group, authority or zone that the agent's config, or the cloud, does not have.",
    vendor: "Check the name; then tell the customer.",
    owner: "Compare the name in the rule with the config and the cloud.",
  },
  "resource.unreadable": {
    cause:
      "The present state of the resource cannot be read, so nothing is decided. The short word in brackets is the provider's.",
    vendor: "Tell the customer; then send it again.",
    owner:
      "See that the agent's user may read it and that its server answers. `details/` may hold the provider's own words.",
  },
  "log.unavailable": {
    cause: "The log cannot be written.",
    vendor: "Wait until the customer has seen to it.",
    owner: "See to the disk of the state folder; then start the agent again.",
    retired: "What cannot be written cannot be refused on record either: the agent ends with exit code 7.",
  },
  "log.no-space": {
    cause: "The state folder's disk is full. What is left is kept for outcomes, so nothing new is begun.",
    vendor: "Wait until the customer has freed space, then send it again.",
    owner: "Free space on the state folder's disk.",
  },
  "gate.operation": {
    cause:
      "A provider tried an operation that the permitting rule's action does not have. It was stopped before a byte left, and the agent ended.",
    vendor: "Do not send the command again; wait for the customer's report.",
    owner: "Keep the state folder and report it (SECURITY.md): it is a mistake of ours. Start the agent again.",
  },
  "gate.resource": {
    cause:
      "A provider tried another resource than the one that the permitting rule names. It was stopped before a byte left, and the agent ended.",
    vendor: "Do not send the command again; wait for the customer's report.",
    owner: "Keep the state folder and report it (SECURITY.md): it is a mistake of ours. Start the agent again.",
  },
  "gate.place": {
    cause:
      "A call would have gone to another host, region or method than the action declares. It was stopped before a byte left, and the agent ended.",
    vendor: "Do not send the command again; wait for the customer's report.",
    owner:
      "Keep the state folder and report it (SECURITY.md): it is a mistake of ours, or somebody redirects calls. Start the agent again.",
  },
  "trust.signature": {
    cause:
      "A trust statement is not signed by a command key of the version before; the first: not by the key whose thumbprint the config pins.",
    vendor:
      "Sign it with a key that the cluster's present statement names. After a loss of all keys the customer must pin a new first one.",
    owner:
      "Ask the vendor, by another way than the control plane. For the first statement compare `control_plane.trust_sha256`.",
  },
  "trust.version": {
    cause: "A trust statement's version is not the next one: it is an older one, or one is missing between.",
    vendor: "Hand out every version in order.",
    owner: "Ask the vendor why an older statement is handed out.",
  },
  "trust.too-many": {
    cause: "The chain of trust statements would be longer than an agent keeps: 1,000 statements, or 2 MiB.",
    vendor: "Sign fewer. The agent goes on under the statement that it has.",
    owner: "Ask the vendor why so many were signed; then `reeve leave`, and join a cluster with a new chain.",
  },
  "trust.needs-approval": {
    cause: "A new trust statement needs the owner's approval.",
    vendor: "Ask the customer to approve it.",
    owner: "Approve it, or say `key_rotation: automatic` in the config.",
    retired: "It is not refused any more: it waits, in an entry `trust-waiting`, until somebody approves it.",
  },
  "approval.unreadable": {
    cause: "A file in `approvals/` cannot be read, is too long, or is no plain file. It counts as nobody's approval.",
    vendor: NOTHING,
    owner: "Put the signature itself there, as a plain file that the agent's user may read.",
  },
  "approval.form": {
    cause:
      "A file in `approvals/` is not what `ssh-keygen -Y sign` writes, or its key is of a kind that a policy's people cannot have.",
    vendor: NOTHING,
    owner: "Sign with `reeve approve ID`, and copy the whole file. Ed25519 and ECDSA keys are taken, `sk-` kinds too.",
  },
  "approval.namespace": {
    cause: "The signature was made for another use: its namespace is not `reeve-approval`.",
    vendor: NOTHING,
    owner: "Sign with `reeve approve ID`, or with `ssh-keygen -Y sign -n reeve-approval`.",
  },
  "approval.signature": {
    cause:
      "The signature is not over what waits here, or not by the key that it names: another command, another cluster, or a changed file.",
    vendor: NOTHING,
    owner: "Compare the id with `reeve status`, and sign again with `reeve approve ID`.",
  },
  "approval.person": {
    cause: "The signature is good, and its key belongs to nobody in the policy's `people`, as it is now.",
    vendor: NOTHING,
    owner: "Have one of `people` sign; or add the person's key to the policy, when you mean it.",
  },
  "approval.not-asked": {
    cause: "The signature is one of `people`'s, and the rule does not ask this person (`approval.by`).",
    vendor: NOTHING,
    owner: "Have one of those sign whom the rule names; or add the person to `approval.by`, when you mean it.",
  },
  "approval.late": {
    cause: "The approval came after the wait had ended, or after the command was taken back.",
    vendor: "Send the command again.",
    owner: "Approve the new command in time, or give people longer: `approval.within`.",
  },
};
