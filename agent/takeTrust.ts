import type { Identity } from "./identity/identity.ts";
import { MAX_REFUSED_TRUST_PER_HOUR, MAX_TRUST_PER_HOUR, MAX_WAITING_TRUST_PER_HOUR } from "./limits.ts";
import type { Logger } from "./logger.ts";
import { approvalBody } from "./owner/approvals.ts";
import { type Consent, ownersConsent } from "./owner/consent.ts";
import { type Road, write } from "./road.ts";
import { newApprovals } from "./waiting.ts";
import type { Approvable } from "./wire/approval.ts";

const HOUR_MS = 3_600_000;

function consent(road: Road, what: Approvable): Consent {
  const { revision } = road.history();
  const { readPolicy, cluster } = road;
  return ownersConsent({ owner: road.owner, cluster, revision, readPolicy }, what);
}

/**
 * Ends a fencing that the owner approved. The approval is on record before the fencing is gone; if we stop between the two, the next start
 * does both again. False: the policy on record says otherwise than the file did, and the agent stays fenced.
 */
export function unfence(identity: Identity, road: Road, say: Logger): boolean {
  const digest = identity.fencing();
  if (digest === null) return true;
  const what = { kind: "fencing", epoch: identity.epoch, digest } as const;
  // A fencing that was made before its entry could be: without one nobody can be shown what is approved.
  if (road.log.memory.fencing?.digest !== digest) write(road, { kind: "fenced", digest, says: "(not recorded)" });
  const { person, judged } = consent(road, what);
  if (person === null) return false;
  write(road, ...judged.map((one) => approvalBody(what, one)), { kind: "unfenced", digest, person });
  identity.endFencing();
  say("warn", "the owner ended the fencing; the control plane's operator must agree", { person });
  return true;
}

/** What a stop between a stored statement and its entry left out. */
export function recordTrust(identity: Identity, road: Road): void {
  const newest = identity.newestTrust();
  if (newest === null || newest.version <= road.log.memory.trustVersion) return;
  write(road, { kind: "trust", version: newest.version, digest: newest.digest, keys: [...newest.keys] });
}

/** What is remembered of statements while this process runs. Times are monotonic milliseconds. */
export type TrustIntake = {
  readonly refused: Map<string, number>;
  waiting: readonly number[];
  looked: readonly number[];
};
export function trustIntake(): TrustIntake {
  return { refused: new Map(), waiting: [], looked: [] };
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
  intake: TrustIntake,
): Promise<void> {
  const now = road.host.clock.monotonic();
  intake.looked = intake.looked.filter((time) => time > now - HOUR_MS);
  const room = Math.max(0, MAX_TRUST_PER_HOUR - intake.looked.length);
  const taken = await identity.acceptTrust(statements.slice(0, room), (statement) => {
    const { version, digest } = statement;
    if (road.log.memory.trust?.digest !== digest) {
      intake.waiting = intake.waiting.filter((time) => time > now - HOUR_MS);
      if (intake.waiting.length >= MAX_WAITING_TRUST_PER_HOUR) return false;
      intake.waiting = [...intake.waiting, now];
      const changes = statement.changes.slice(0, 64).map((change) => change.slice(0, 512));
      write(road, { kind: "trust-waiting", version, digest, statement: statement.statement, changes });
      say("warn", `trust statement ${version} waits for the owner: reeve approve trust-${version}`, { digest });
    }
    const what = { kind: "trust", version, digest } as const;
    const { person, judged } = consent(road, what);
    const fresh = newApprovals(what, road.log.memory.trust?.signatures ?? new Map(), judged);
    if (fresh.length > 0) write(road, ...fresh);
    return person !== null;
  });
  intake.looked = [...intake.looked, ...taken.accepted.map(() => now)];
  for (const { version, digest, keys } of taken.accepted) {
    write(road, { kind: "trust", version, digest, keys: [...keys] });
    say("info", "a trust statement is in force", { version });
  }
  if (taken.refused === null) return;
  const { refusal, digest, bytes } = taken.refused;
  if (!mayRecord(digest, intake.refused, now)) return;
  write(road, { kind: "trust-refused", code: refusal.code, digest, bytes });
  say("error", `a trust statement was refused: ${refusal.because}`, { code: refusal.code, hint: refusal.hint });
}

/** Once for one digest, and few of them an hour. */
function mayRecord(digest: string, known: Map<string, number>, now: number): boolean {
  for (const [old, at] of known) if (at <= now - HOUR_MS && old !== digest) known.delete(old);
  if (known.has(digest) || known.size >= MAX_REFUSED_TRUST_PER_HOUR) return false;
  known.set(digest, now);
  return true;
}
