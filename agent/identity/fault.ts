import { reachHint } from "../reach.ts";
import type { FaultCode } from "../wire/protocol.ts";

/** Why there is no identity: one closed list. `exit` is the process's exit code (3 config, 4 permission, 5 unreachable, 6 identity). */
export const ENROLMENT_FAULTS = {
  unreachable: 5,
  /** The server's root is not the one that the token, or the config, names. */
  pin: 6,
  /** The server does not hold a certificate of the pinned root for its name. */
  server: 6,
  "token-missing": 6,
  "token-permission": 4,
  "token-form": 6,
  "token-expired": 6,
  "token-burnt": 6,
  "token-theft": 6,
  "token-refused": 6,
  "token-needed": 6,
  /** The platform does not say who this machine is. */
  platform: 5,
  "proof-needed": 6,
  /** What the other side's operator, or time, can make good is waited for: nobody logs into this machine. */
  "proof-invalid": 5,
  "proof-not-admitted": 5,
  "proof-budget": 5,
  "key-used": 5,
  refused: 6,
  /** The control plane's answer is not what the protocol says, or its certificate is not ours. */
  answer: 6,
  trust: 6,
  permission: 4,
  /** The disk does not take or give the identity. */
  disk: 4,
  damaged: 6,
  /** Joined to another control plane or cluster than the config names. */
  "joined-elsewhere": 6,
  expired: 6,
  fenced: 6,
  unavailable: 5,
  /** This machine's clock is not right yet. */
  clock: 5,
} as const satisfies Record<string, 3 | 4 | 5 | 6>;
export type EnrolmentFaultCode = keyof typeof ENROLMENT_FAULTS;

export type EnrolmentFault = {
  readonly fault: EnrolmentFaultCode;
  /** `Cannot X: the state that is the case.` Holds no secret, and of others' words nothing but printable ASCII. */
  readonly message: string;
  readonly hint: string;
  readonly exit: 3 | 4 | 5 | 6;
};

export function enrolmentFault(fault: EnrolmentFaultCode, message: string, hint: string): EnrolmentFault {
  return { fault, message, hint, exit: ENROLMENT_FAULTS[fault] };
}

export function isEnrolmentFault(value: object): value is EnrolmentFault {
  return "fault" in value && "exit" in value && "hint" in value;
}

/** Others' words as they may stand in a message: printable ASCII, short. */
export function printable(words: string): string {
  return words.replace(/[^ -~]/g, "?").slice(0, 200);
}

/** No connection, or none to whom the pin names. */
export function unreachable(url: string, reason: string): EnrolmentFault {
  if (reason.startsWith("tls: ")) {
    return enrolmentFault(
      "server",
      `Cannot trust the server at ${url}: ${reason.slice("tls: ".length)}.`,
      "Its certificate must be of the pinned root, for this name, and valid now. Nothing was sent to it.",
    );
  }
  if (reason.startsWith("answer: ")) {
    return enrolmentFault(
      "answer",
      `Cannot use what ${url} answered: ${reason.slice("answer: ".length)}.`,
      "It is not a control plane that speaks this protocol. Show this line to the vendor.",
    );
  }
  return enrolmentFault(
    "unreachable",
    `Cannot reach ${url}: ${reason}.`,
    reachHint(reason, url.replace(/^https:\/\//, "")),
  );
}

/** What the control plane's faults at enrolment mean to the owner: our code, what is the case, what to do. */
const REFUSED: Partial<Record<FaultCode, readonly [EnrolmentFaultCode, string, string]>> = {
  "token-expired": [
    "token-expired",
    "the control plane says that the join token has expired",
    "Ask the vendor for a new join token.",
  ],
  "token-burnt": [
    "token-burnt",
    "the join token was used already, and its certificate too",
    "A token is good once. Ask the vendor for a new join token.",
  ],
  "token-theft": [
    "token-theft",
    "the join token was used by another machine, with another key",
    "If you know of no other machine, the token was stolen: tell the vendor, and have the other machine's epoch fenced.",
  ],
  "token-needed": [
    "token-needed",
    "the first machine of a cluster needs a join token beside what its platform shows",
    "Ask the vendor for a join token and put it where the config says.",
  ],
  "proof-needed": [
    "proof-needed",
    "the control plane takes this cluster's machines by what their platform shows, and this one shows nothing",
    "Configure the provider of the cloud that this machine runs in; or the vendor drops the admission: reeve-control admit drop.",
  ],
  "proof-budget": [
    "proof-budget",
    "the enrolments of this cluster without a human are used up",
    "If its machine is being replaced for a good reason, the vendor says so: reeve-control admit. It is asked again.",
  ],
  "key-used": [
    "key-used",
    "the key that was asked with has had a certificate, which was used or has expired",
    "The next try is made with a new key, as another machine's would be.",
  ],
  "proof-nonce": [
    "unavailable",
    "the control plane's nonce was not fresh any more",
    "The same key is used again, with a new one.",
  ],
};

export function refusedEnrolment(code: FaultCode, words: string): EnrolmentFault {
  const said = printable(words);
  const known = REFUSED[code];
  if (known !== undefined) return enrolmentFault(known[0], `Cannot enrol: ${known[1]}.`, known[2]);
  switch (code) {
    case "token-invalid":
      return enrolmentFault(
        "token-refused",
        `Cannot enrol: the control plane does not accept the join token (${said}).`,
        "Ask the vendor for a join token of this control plane for this cluster.",
      );
    case "proof-invalid":
      return enrolmentFault(
        "proof-invalid",
        `Cannot enrol: the control plane does not accept what this machine's platform shows (${said}).`,
        "It is asked again: a new role takes some seconds to be known, and a clock some to be right. If it stays, show this line to the vendor.",
      );
    case "proof-not-admitted":
      return enrolmentFault(
        "proof-not-admitted",
        `Cannot enrol: whom this machine's platform shows is not admitted by the control plane (${said}).`,
        "The vendor says who may enrol: reeve-control admit. Tell them the role, account or identity of this machine. It is asked again.",
      );
    case "fenced":
      return enrolmentFault(
        "fenced",
        `Cannot enrol: the control plane has fenced this cluster (${said}).`,
        "The owner and the control plane's operator must both say that it goes on.",
      );
    case "unavailable":
      return enrolmentFault(
        "unavailable",
        `Cannot enrol: the control plane is not available now (${said}).`,
        "The same key is used again at the next try.",
      );
    default:
      return enrolmentFault(
        "refused",
        `Cannot enrol: the control plane answers ${code} (${said}).`,
        "Show this line to the vendor.",
      );
  }
}
