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

/** What the control plane's fault at enrolment means to the owner. */
export function refusedEnrolment(code: FaultCode, words: string): EnrolmentFault {
  const said = printable(words);
  switch (code) {
    case "token-expired":
      return enrolmentFault(
        "token-expired",
        "Cannot enrol: the control plane says that the join token has expired.",
        "Ask the vendor for a new join token.",
      );
    case "token-burnt":
      return enrolmentFault(
        "token-burnt",
        "Cannot enrol: the join token was used already, and its certificate too.",
        "A token is good once. Ask the vendor for a new join token.",
      );
    case "token-theft":
      return enrolmentFault(
        "token-theft",
        "Cannot enrol: the join token was used by another machine, with another key.",
        "If you know of no other machine, the token was stolen: tell the vendor, and have the other machine's epoch fenced.",
      );
    case "token-invalid":
      return enrolmentFault(
        "token-refused",
        `Cannot enrol: the control plane does not accept the join token (${said}).`,
        "Ask the vendor for a join token of this control plane for this cluster.",
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
        "The same token and key are used again at the next start.",
      );
    default:
      return enrolmentFault(
        "refused",
        `Cannot enrol: the control plane answers ${code} (${said}).`,
        "Show this line to the vendor.",
      );
  }
}
