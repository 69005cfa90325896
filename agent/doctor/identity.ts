import { timeText } from "../audit/time.ts";
import { CERTIFICATE_GRACE_SECONDS } from "../limits.ts";
import type { IdentityFact, LogFact, TokenFact } from "./facts.ts";
import { fail, type Line, ok, span, warn } from "./line.ts";

/** Renewal begins at two thirds of the lifetime and up to a tenth later; past this much of it, it does not work. */
const RENEWED_BY = 2 / 3 + 0.1;

export function enrolmentLines(identity: IdentityFact, at: number, config: string): Line[] {
  if (identity.state === "closed") return [fail("enrolment", "the identity", identity.message, identity.hint)];
  if (identity.state === "none") return [...begunLines(identity.began), tokenLine(identity.token, at, config)];
  const lines: Line[] = [];
  if (identity.elsewhere !== null)
    lines.push(fail("enrolment", "config and identity", identity.elsewhere.message, identity.elsewhere.hint));
  lines.push(certificateLine(identity, at));
  if (identity.left !== null)
    lines.push(
      warn(
        "enrolment",
        identity.left,
        "a join token lies here, and this machine has joined already",
        "Remove it, unless it is meant for joining anew after `reeve leave`: whoever reads it can join in your place.",
      ),
    );
  return lines;
}

function begunLines(began: number | null): Line[] {
  if (began === null) return [];
  return [
    warn(
      "enrolment",
      "the identity",
      `joining began ${timeText(began)} and did not end`,
      "Start the agent: it goes on with the same key. What stood in the way is in its log (journalctl -u reeve).",
    ),
  ];
}

function tokenLine(token: TokenFact, at: number, config: string): Line {
  const looked = "join token";
  if (token.state === "unseen")
    return warn(
      "enrolment",
      looked,
      "this machine has not joined; the token is a systemd credential, which only the unit can see",
      "Start the unit, and read what it says: systemctl start reeve; journalctl -u reeve",
    );
  if (token.state === "bad" && token.platform)
    return warn(
      "enrolment",
      looked,
      token.message,
      "A machine that replaces another needs none: its platform shows who it is, if the vendor has admitted it (reeve-control admit). Else ask the vendor for a token.",
    );
  if (token.state === "bad") return fail("enrolment", looked, token.message, token.hint);
  const good = `this machine has not joined; the token in ${token.path} is good for ${span(token.until - at)} more`;
  if (!token.removable)
    return fail(
      "enrolment",
      looked,
      `${good}, and the agent's user cannot remove it after use: joining would stop there`,
      "Put it into a folder that is the agent's own, and name that in token.file.",
    );
  return ok(
    "enrolment",
    looked,
    `${good} (its signature is the control plane's to check). To join: reeve run --config ${config}`,
  );
}

function certificateLine(identity: Extract<IdentityFact, { state: "joined" }>, at: number): Line {
  const { agentId, certificate, renewing } = identity;
  const until = timeText(certificate.until);
  const lifetime = certificate.until - certificate.from;
  const due = certificate.from + lifetime * RENEWED_BY;
  if (at > certificate.until) {
    const late = at - certificate.until;
    const grace = CERTIFICATE_GRACE_SECONDS * 1000;
    if (late > grace)
      return fail(
        "enrolment",
        agentId,
        `the certificate expired ${span(late)} ago, past its grace of ${span(grace)}`,
        "A new join token from the vendor, after `reeve leave`: a new epoch.",
      );
    return fail(
      "enrolment",
      agentId,
      `the certificate expired ${span(late)} ago; for ${span(grace - late)} more it can be renewed`,
      "Start the agent, and see that it reaches the enrolment listener (line `endpoint`).",
    );
  }
  if (at < certificate.from)
    return fail(
      "enrolment",
      agentId,
      `the certificate is valid only from ${timeText(certificate.from)}`,
      "This machine's clock is behind: see the line `clock`.",
    );
  if (at > due)
    return warn(
      "enrolment",
      agentId,
      `the certificate is valid until ${until}, and its renewal is overdue by ${span(at - due)}`,
      "See that the agent runs and reaches the control plane (lines `contact` and `endpoint`).",
    );
  const first = timeText(Math.round(certificate.from + (lifetime * 2) / 3));
  return ok(
    "enrolment",
    agentId,
    `the certificate is valid until ${until}; renewal is due from ${first}${renewing ? "; a newer one was asked for" : ""}`,
  );
}

export function epochLines(identity: IdentityFact, log: LogFact): Line[] {
  if (identity.state === "closed") return [];
  if (identity.fenced !== null) {
    const { reason, at } = identity.fenced;
    return [
      fail(
        "epoch",
        "fencing",
        `this agent was fenced${at === null ? "" : ` ${timeText(at)}`}: ${reason}`,
        "If another machine was enrolled for this cluster, this one has done its work. If it should not have been: `reeve approve fencing-N` (N is the epoch), and the vendor runs `reeve-control unfence`. Else `reeve leave` and a new join token.",
      ),
    ];
  }
  if (identity.state === "none") return [ok("epoch", "epoch", "none yet: joining begins one")];
  const { epoch, enrolledAt } = identity;
  if (log.state === "whole" && log.epoch !== null && log.epoch !== epoch)
    return [
      warn(
        "epoch",
        `epoch ${epoch}`,
        `the log is still epoch ${log.epoch}'s`,
        "The next start puts it aside and begins this epoch's.",
      ),
    ];
  return [ok("epoch", `epoch ${epoch}`, `joined ${timeText(enrolledAt)}; not fenced, as far as this machine knows`)];
}

export function trustLines(identity: IdentityFact): Line[] {
  if (identity.state !== "joined") return [];
  const { trust } = identity;
  if ("because" in trust) return [fail("trust", "the trust statement", trust.because, trust.hint)];
  if (trust.version === 0)
    return [
      warn(
        "trust",
        "the trust statement",
        "there is none yet: no command can be verified",
        "The vendor must publish one (reeve-control keys); it comes with the next poll.",
      ),
    ];
  return [
    ok(
      "trust",
      `statement ${trust.version}`,
      `signed from the pinned key on; command keys ${trust.keys.join(", ") || "none"}; ${trust.roots} roots`,
    ),
  ];
}
