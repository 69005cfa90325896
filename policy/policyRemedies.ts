import type { RefusalCode } from "./refusal.ts";
import type { Remedy } from "./remedies.ts";

const NOTHING = "Nothing is to be done.";

/** Of what the policy's own file and its rules refuse. remedies.ts holds the rest. */
export const POLICY_REMEDIES: Readonly<Record<Extract<RefusalCode, `policy.${string}`>, Remedy>> = {
  "policy.unreadable": {
    cause: "The policy is not there or cannot be read. Without a policy nothing is permitted.",
    vendor: "Wait until the customer has put it back.",
    owner: "Put `policy.yaml` into the owner's folder, readable by the agent's user.",
  },
  "policy.permission": {
    cause:
      "The policy, or the owner's folder, could be written by somebody else, belongs to somebody else, or is a link.",
    vendor: "Wait until the customer has seen to it.",
    owner:
      "Run the `chown` or `chmod` that the hint shows; put the file itself there, not a link. See who could have changed it.",
  },
  "policy.invalid": {
    cause:
      "The policy does not parse: the words name line, column and what is wrong there. A file that is not wholly understood permits nothing.",
    vendor: "Wait until the customer has corrected it.",
    owner: "`reeve policy check FILE` shows every error with its place.",
  },
  "policy.tests-fail": {
    cause: "A test in the policy's own `tests` does not come out as it says, so the file does not load.",
    vendor: "Wait until the customer has corrected it.",
    owner: "`reeve policy check FILE` shows what was expected and what was decided: correct the rule or the test.",
  },
  "policy.revision": {
    cause: "The policy's `revision` is lower than one that the log has seen: an old file was put back.",
    vendor: "Wait until the customer has seen to it.",
    owner: "If you want the old rules back, give the file a revision that is as high as the highest one, or higher.",
  },
  "policy.not-available": {
    retired: "Every action of this version can be permitted.",
    cause: "The policy uses what this version cannot do yet.",
    vendor: "Wait until the customer has seen to it.",
    owner: "Take the rule out for now, or replace the machine by one with a version that can.",
  },
  "policy.count.above-max": {
    cause: "More machines are asked for than the rule's `count.max`.",
    vendor: "Ask for that many or fewer, or ask the customer to raise `count.max`.",
    owner: "If you want more, raise `count.max` in the rule.",
  },
  "policy.count.below-min": {
    cause: "Fewer machines are asked for than the rule's `count.min`.",
    vendor: "Ask for that many or more, or ask the customer to lower `count.min`.",
    owner: "If fewer are enough, lower `count.min` in the rule.",
  },
  "policy.change.up": {
    cause: "The command would add more machines at once than the rule's `change.up`.",
    vendor: "Go in smaller steps, as many commands as the rate allows, or use a rule that may add.",
    owner: "If larger steps are right, raise `change.up` in the rule.",
  },
  "policy.change.down": {
    cause: "The command would remove more machines at once than the rule's `change.down`.",
    vendor: "Go in smaller steps, as many commands as the rate allows, or use a rule that may remove.",
    owner: "If larger steps are right, raise `change.down` in the rule.",
  },
  "policy.rate": {
    cause:
      "The rule was used as often as its `rate` allows, or the log of a new machine does not reach back far enough to tell.",
    vendor: "Ask again at the time that the hint says.",
    owner:
      "If more often is right, raise `rate` in the rule. After an enrolment rates count as used up until their window has passed, but for a first machine (by its token, or `first_until` in the config).",
  },
  "policy.when": {
    cause: "The rule's `when` does not hold now.",
    vendor: "Ask again inside the window.",
    owner: "If it is urgent, add a rule with a dated window that ends by itself.",
  },
  "policy.approval.needs-approval": {
    cause: "The rule asks for people, and not enough of them approved before the wait ended.",
    vendor: "Send it again, and tell the people in time.",
    owner: "Approve the next one in time (`reeve approve ID`), or give people longer: `approval.within`.",
  },
  "policy.approval.too-many": {
    cause: "16 commands wait for approval already.",
    vendor: "Take back what is not needed any more (`reeve-control cancel`), then send it again.",
    owner: "`reeve status` lists what waits: approve it, or let it pass.",
  },
  "policy.usages": {
    cause: "The certificate is asked for a usage that the rule's `usages` does not list, or for none.",
    vendor: "Ask for usages that the rule lists.",
    owner: "If the usage is right, add it to `usages` in the rule.",
  },
  "policy.validity.above-max": {
    cause: "The certificate would live longer than the rule's `validity.max`.",
    vendor: "Ask for a shorter validity.",
    owner: "If longer is right, raise `validity.max` in the rule.",
  },
  "policy.validity.below-min": {
    cause: "The certificate would live shorter than the rule's `validity.min`.",
    vendor: "Ask for a longer validity.",
    owner: "If shorter is right, lower `validity.min` in the rule.",
  },
  "policy.key.made": {
    cause:
      "The rule wants requests made the other way: `in-cluster` ones lie in the cluster's CSR folder, `by-vendor` ones come with the command.",
    vendor:
      "Name a request of the cluster's CSR folder (`--csr-sha256`) where the rule says in-cluster; send one (`--csr`) where it says by-vendor.",
    owner: "Keep `in-cluster` where you can: whoever makes the request holds the private key.",
  },
  "policy.key.type": {
    cause: "The request's key is of a type that the rule's `key.type` does not list.",
    vendor: "Have the request made anew with a key of a listed type.",
    owner: "Make the key of a listed type, or add the type to `key.type` in the rule.",
  },
  "policy.csr.unreadable": {
    cause:
      "The certificate request cannot be found, or not be read in one way only: not one strict PKCS #10 structure, or too many names.",
    vendor: "Check the SHA-256, or have the request made anew.",
    owner: "Put the request into the CSR folder as one PEM file, made by `openssl req -new`.",
  },
  "policy.csr.signature": {
    cause: "The request is not signed by its own key, so nobody proved to hold it.",
    vendor: "Have the request made anew.",
    owner: "Make the request anew; do not edit it afterwards.",
  },
  "policy.csr.subject": {
    cause: "The request's subject is neither empty nor one CN that is one of its DNS names.",
    vendor: "Have the request made with an empty subject.",
    owner: "Make the request with an empty subject, or with one of its DNS names as only CN.",
  },
  "policy.csr.san": {
    cause: "The request has no subjectAltName, or one that is no plain DNS name: an address, a wildcard, upper case.",
    vendor: "Have the request made with plain DNS names only.",
    owner: "Write each name in lower case into subjectAltName, without wildcards.",
  },
  "policy.csr.extension": {
    cause: "The request asks for extensions other than subjectAltName, or to be a CA.",
    vendor: "Have the request made without them: the rule says the usages.",
    owner: "Make the request with subjectAltName only. No rule can permit a CA.",
  },
  "policy.names": {
    cause: "A name is outside the rule's `names`.",
    vendor: "Ask for names that the rule permits. `below: a` is every name below a, never a itself.",
    owner: "If the name is right, widen `names` in the rule, or add a rule.",
  },
  "policy.changes": {
    cause:
      "The rule's `changes` does not list this change; or create meets a record that is there, replace or delete one that is not.",
    vendor: "Look what is there (`fleet plan`, or a dry run), and ask for the change that fits.",
    owner: "If the change is right, add it to `changes` in the rule.",
  },
  "policy.types": {
    cause: "The record's type is not in the rule's `types`.",
    vendor: "Ask for a type that the rule lists.",
    owner: "If the type is right, add it to `types` in the rule; A and AAAA need rules of their own.",
  },
  "policy.values": {
    cause: "A value is outside the rule's `values`, or an address that is not in its one usual spelling.",
    vendor: "Ask for values that the rule permits, addresses in their usual spelling.",
    owner: "If the value is right, widen `values` in the rule.",
  },
  "policy.ttl.above-max": {
    cause: "The time to live is longer than the rule's `ttl.max`.",
    vendor: "Ask for a shorter one.",
    owner: "If longer is right, raise `ttl.max` in the rule.",
  },
  "policy.ttl.below-min": {
    cause: "The time to live is shorter than the rule's `ttl.min`.",
    vendor: "Ask for a longer one.",
    owner: "If shorter is right, lower `ttl.min` in the rule.",
  },
  "policy.manifest.signers": {
    cause:
      "Of the signers that the rule names, not as many signed the manifest as it needs. Two names with one key count once.",
    vendor: "Have the manifest signed by the release signers that the rule names, and send it again.",
    owner: "If the vendor signs with a new key, write it into `signers`, and its name into the rule.",
  },
  "policy.manifest.version": {
    cause: "The manifest's version is outside the rule's `version`.",
    vendor: "Deploy a version that the rule permits, or ask the customer to change the range.",
    owner: "If the version is right, widen `version` in the rule.",
  },
  "policy.manifest.cluster": {
    cause: "The manifest was made for another cluster.",
    vendor: "Make this cluster's own: `reeve-control manifest copy`; its checksum stays the same.",
    owner: NOTHING,
  },
  "policy.manifest.place": {
    cause: "The manifest was made for another cloud, account or region than the policy names in `place`.",
    vendor: "Correct `place` in the manifest's parameters, and sign it again.",
    owner: NOTHING,
  },
  "policy.manifest.policy": {
    cause: "The manifest says which policy it was made for, and another one is in force.",
    vendor: "Look what the new policy permits, then make the manifest for it, or for none (`policy: null`).",
    owner: NOTHING,
  },
  "policy.manifest.group": {
    cause: "The manifest does not say what runs in the group, or not where that image lies here.",
    vendor: "Name the group and its image in the manifest's parameters, and sign it again.",
    owner: NOTHING,
  },
};
