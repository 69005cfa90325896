import { type Refusal, refuse } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";
import { CLOCK_SKEW_SECONDS, COMMAND_LIFETIME_MAX_SECONDS, ID_TIME_MAX_SECONDS } from "./limits.ts";
import { timeOfId } from "./wire/names.ts";
import type { Command } from "./wire/parse.ts";

/** What `verify` is told about the agent. Times in seconds unless said; nothing here is read by it. */
export type AgentState = {
  readonly trustDomain: string;
  readonly agentId: string;
  readonly epoch: number;
  readonly enrolledAt: number;
  readonly now: number;
  /** The entry that decided an id, by id. */
  readonly ids: ReadonlyMap<string, { readonly digest: string; readonly index: number }>;
  /** Index of our own `waiting` entry, when this is the command that it holds; null for one that was delivered. */
  readonly waits: number | null;
  /** Null when the owner's switch is on; else why not. */
  readonly suspended: string | null;
  /** False while the machine's clock and the monotonic clock disagree. */
  readonly clockAgrees: boolean;
};

declare const verified: unique symbol;
/** A command that is for this agent, now, for the first time. Only `verify` makes one. */
export type Verified = Command & { readonly [verified]: true };

/** DESIGN section 3, verify: pure; time and state are arguments. The id comes first, so that a replay is always called one. */
export function verify(command: Command, at: AgentState): Verified | Refusal {
  const { claims, signed } = command;
  const cannot = cannotOf(command.asked);
  const no = (code: Refusal["code"], because: string, hint: string): Refusal => refuse(code, cannot, because, hint);

  const known = at.ids.get(claims.jti);
  if (known !== undefined && known.digest !== signed.digest)
    return no(
      "verify.id-reused",
      `the id ${claims.jti} belongs to another command, decided in entry ${known.index}`,
      "Send it under an id of its own.",
    );
  // What waited comes once more, out of our own log: only its own entry has decided it so far.
  if (known !== undefined && known.index !== at.waits)
    return no(
      "verify.replayed",
      `entry ${known.index} has decided this command already`,
      "Read that entry; to ask again, send a new command.",
    );
  if (claims.iss !== at.trustDomain)
    return no(
      "verify.issuer",
      `it was issued by ${claims.iss}, and this agent takes commands of ${at.trustDomain}`,
      "Send it from the vendor that the cluster joined.",
    );
  if (claims.aud !== at.agentId)
    return no("verify.audience", "it is addressed to another agent", `Address it to ${at.agentId}.`);
  if (claims.epoch !== at.epoch)
    return no(
      "verify.epoch",
      `it is for epoch ${claims.epoch}, and this agent is of epoch ${at.epoch}`,
      "Send it again for the present epoch.",
    );
  if (claims.exp <= claims.iat || claims.exp - claims.iat > COMMAND_LIFETIME_MAX_SECONDS)
    return no(
      "verify.lifetime",
      "it is meant to live longer than a day, or not at all",
      "Let `exp` be at most 24 h after `iat`.",
    );
  if (claims.exp <= at.now) return no("verify.expired", `it expired ${at.now - claims.exp} s ago`, "Send it again.");
  if (claims.iat > at.now + CLOCK_SKEW_SECONDS)
    return no(
      "verify.not-yet-valid",
      `it was issued ${claims.iat - at.now} s in this machine's future`,
      "Compare the clocks of both sides.",
    );
  if (claims.iat < at.enrolledAt - CLOCK_SKEW_SECONDS)
    return no("verify.before-enrolment", "it was issued before this agent was enrolled", "Send it again.");
  // So nobody can use an id again once it was forgotten: by then each command that may have it has expired (agent/audit/memory.ts).
  if (Math.abs(timeOfId(claims.jti) - claims.iat * 1000) > ID_TIME_MAX_SECONDS * 1000)
    return no(
      "verify.id-time",
      "its id was made over a day before or after its `iat`",
      "Make the id, a UUIDv7, when the command is signed.",
    );
  if (!at.clockAgrees)
    return no(
      "verify.clock",
      "this machine's clock jumped by more than a minute",
      "Set the clock right, or let the owner run `reeve resume`.",
    );
  if (at.suspended !== null)
    return no(
      "verify.suspended",
      `the owner's switch is off (${at.suspended})`,
      "The owner turns it on again with `reeve resume`.",
    );
  return command as Verified;
}
