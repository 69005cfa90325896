import { checkRevision } from "../policy/authorize.ts";
import { match } from "../policy/match.ts";
import { isRefusal } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";
import { makeGate } from "../providers/gate.ts";
import { CallFailed, type Errand, type Gate, Halted, type Reconciled } from "../providers/provider.ts";
import { reconcileFor } from "./action.ts";
import type { Entry, Operation } from "./audit/entry.ts";
import { stopOnBreach } from "./breach.ts";
import { worksIn } from "./config.ts";
import { deadlineIn } from "./deadline.ts";
import { afterReading, beforeChange, keepWords } from "./execute.ts";
import {
  BACKOFF_MAX_SECONDS,
  BACKOFF_MIN_SECONDS,
  COMMAND_DEADLINE_SECONDS,
  RECOVERY_DEADLINE_SECONDS,
} from "./limits.ts";
import { outcomeBody } from "./record.ts";
import { type Road, write } from "./road.ts";
import { CommandClaims } from "./wire/command.ts";

type Intent = Extract<Entry, { kind: "intent" }>;

/**
 * What an intent without an outcome becomes: the provider only reads and says by what it knows. What the intent's own execution left
 * beside its resource is taken away first, where the policy still permits it. Until its outcome is durable the intent stays open, so its
 * resource takes no command. A place that does not answer is asked again, for an hour; then it is `unknown`.
 */
export async function recover(intent: Intent, road: Road, stop: AbortSignal): Promise<void> {
  const started = road.host.clock.monotonic();
  for (let wait = BACKOFF_MIN_SECONDS; !stop.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_SECONDS)) {
    const operations: Operation[] = [];
    const late = () => road.host.clock.monotonic() - started > RECOVERY_DEADLINE_SECONDS * 1000;
    const reconciled = await reconcileOnce(intent, road, operations, late());
    if (reconciled !== null || late()) {
      const known = reconciled ?? unreachable;
      write(
        road,
        outcomeBody(intent.command, intent.index, known, known.known_by, operations, keepWords(known.words, road)),
      );
      return;
    }
    // Stopped while waiting: the intent stays open, and the next start asks again.
    await road.host.clock.sleep(wait * 1000, stop);
  }
}

const unreachable: Reconciled = {
  result: "unknown",
  code: "unreachable",
  known_by: "nothing",
  changed: [],
  certificate: null,
  words: null,
};

/** Null when the place did not answer. `late`: what cannot be cleared away stays. */
async function reconcileOnce(
  intent: Intent,
  road: Road,
  operations: Operation[],
  late: boolean,
): Promise<Reconciled | null> {
  const claims = claimsOf(intent);
  const csrFolder = road.config.csr ?? `${road.config.state}/csr`;
  const work = reconcileFor(road.provider, csrFolder, claims, intent);
  const { clear } = work;
  if (clear !== null) await road.owner.refresh();
  if (clear !== null && permitted(claims, road)) {
    // As before any change: others have seen this log first, and of two agents one is stopped here.
    const unseen = (await road.head.put()) ?? (await road.heard(road.log.size - 1));
    const cleared = unseen === null ? await through("beside", work, intent, road, operations, clear) : null;
    if (cleared === null && !late) return null;
  }
  return through("read", work, intent, road, operations, (gate, errand) => work.reconcile(gate, errand));
}

/**
 * What an interrupted execution left is taken away only while the owner's policy would still permit the command, under the open intent,
 * and the switch is looked at before each change: a rule that was taken out takes this too.
 */
function permitted(claims: CommandClaims, road: Road): boolean {
  if (road.suspended() !== null) return false;
  const cannot = cannotOf(claims);
  const read = road.readPolicy(cannot);
  if ("refusal" in read || checkRevision(read.policy, road.history(), cannot) !== null) return false;
  const { cluster, provider, config } = road;
  const at = { vendor: claims.iss, cluster, place: worksIn(config), ownGroups: provider.ownGroups, dryRun: false };
  return !isRefusal(match(read.policy, claims, at));
}

/** Null when the place did not answer, or the owner's word came in between. */
async function through<T>(
  phase: "read" | "beside",
  work: ReturnType<typeof reconcileFor>,
  intent: Intent,
  road: Road,
  operations: Operation[],
  then: (gate: Gate, errand: Errand) => Promise<T>,
): Promise<T | null> {
  const deadline = deadlineIn(road.host.clock, COMMAND_DEADLINE_SECONDS);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    beside: work.beside,
    resource: intent.resource.slice(intent.resource.indexOf(":") + 1),
    phase,
    beforeChange: () => beforeChange(road, deadline.signal),
    now: () => road.host.clock.monotonic(),
    record: (operation) => operations.push(operation),
  });
  try {
    const value = await then(afterReading(road.owner, work, gate), { id: intent.command, signal: deadline.signal });
    stopOnBreach(gate.breach(), null, intent.command, road);
    return value;
  } catch (error) {
    stopOnBreach(gate.breach(), error, intent.command, road);
    if (error instanceof CallFailed || error instanceof Halted) return null;
    throw error;
  } finally {
    deadline.end();
  }
}

/** The command as it stands in our own log, which is trusted: it was opened and verified before the intent was written. */
function claimsOf(intent: Intent): CommandClaims {
  const payload = intent.signed.split(".")[1] ?? "";
  return CommandClaims.parse(JSON.parse(Buffer.from(payload, "base64url").toString()));
}
