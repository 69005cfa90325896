import type { Identity } from "./identity/identity.ts";
import { MAX_REFUSED_TRUST_PER_HOUR } from "./limits.ts";
import type { Logger } from "./logger.ts";
import { approvalBody } from "./owner/approvals.ts";
import { ownersConsent } from "./owner/consent.ts";
import { type Road, write } from "./road.ts";
import { newApprovals } from "./waiting.ts";

const HOUR_MS = 3_600_000;

/** The owner's approval is on record before the fencing is gone; if we stop between the two, the next start does both again. */
export function unfence(identity: Identity, road: Road, say: Logger): void {
  const digest = identity.fencing();
  if (digest === null) return;
  const what = { kind: "fencing", epoch: identity.epoch, digest } as const;
  const { person, judged } = ownersConsent(road.host.disk, road.config.owner, what);
  if (person === null) throw new Error("a fenced agent was started without the owner's approval");
  write(road, ...judged.map((one) => approvalBody(what, one)), { kind: "unfenced", digest, person });
  identity.endFencing();
  say("warn", "the owner ended the fencing; the control plane's operator must agree", { person });
}

/**
 * Trust statements that the control plane hands out. A refused one is recorded once, however often it is sent, and few of them an hour:
 * the vendor cannot fill the owner's disk. One that waits for the owner is recorded once, whole; it is sent again with each poll.
 */
export async function takeTrust(
  identity: Identity,
  statements: readonly string[],
  road: Road,
  say: Logger,
  known: Map<string, number>,
): Promise<void> {
  const taken = await identity.acceptTrust(statements, (statement) => {
    const { version, digest } = statement;
    if (road.log.memory.trust?.digest !== digest) {
      if (!mayRecord(digest, known, road.host.clock.monotonic())) return false;
      const changes = statement.changes.slice(0, 64).map((change) => change.slice(0, 512));
      write(road, { kind: "trust-waiting", version, digest, statement: statement.statement, changes });
      say("warn", `trust statement ${version} waits for the owner: reeve approve trust-${version}`, { digest });
    }
    const what = { kind: "trust", version, digest } as const;
    const { person, judged } = ownersConsent(road.host.disk, road.config.owner, what);
    const fresh = newApprovals(what, road.log.memory.trust?.signatures ?? new Map(), judged);
    if (fresh.length > 0) write(road, ...fresh);
    return person !== null;
  });
  for (const { version, digest, keys } of taken.accepted) {
    write(road, { kind: "trust", version, digest, keys: [...keys] });
    say("info", "a trust statement is in force", { version });
  }
  if (taken.refused === null) return;
  const { refusal, digest, bytes } = taken.refused;
  if (!mayRecord(digest, known, road.host.clock.monotonic())) return;
  write(road, { kind: "trust-refused", code: refusal.code, digest, bytes });
  say("error", `a trust statement was refused: ${refusal.because}`, { code: refusal.code, hint: refusal.hint });
}

/** Once an hour for one digest, and few of them an hour. */
function mayRecord(digest: string, known: Map<string, number>, now: number): boolean {
  for (const [old, at] of known) if (at <= now - HOUR_MS && old !== digest) known.delete(old);
  if (known.has(digest) || known.size >= MAX_REFUSED_TRUST_PER_HOUR) return false;
  known.set(digest, now);
  return true;
}
