import { makeGate } from "../providers/gate.ts";
import { CallFailed, Halted, type Reconciled } from "../providers/provider.ts";
import { reconcileFor } from "./action.ts";
import type { Entry, Operation } from "./audit/entry.ts";
import { stopOnBreach } from "./breach.ts";
import { keepWords, startDeadline } from "./execute.ts";
import { BACKOFF_MAX_SECONDS, BACKOFF_MIN_SECONDS, RECOVERY_DEADLINE_SECONDS } from "./limits.ts";
import { outcomeBody } from "./record.ts";
import { type Road, write } from "./road.ts";
import { CommandClaims } from "./wire/command.ts";

type Intent = Extract<Entry, { kind: "intent" }>;

/**
 * What an intent without an outcome becomes: the provider only reads and says by what it knows. Until its outcome is durable the
 * intent stays open, so its resource takes no command. A place that does not answer is asked again, for an hour; then it is `unknown`.
 */
export async function recover(intent: Intent, road: Road, stop: AbortSignal): Promise<void> {
  const started = road.host.clock.monotonic();
  for (let wait = BACKOFF_MIN_SECONDS; !stop.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_SECONDS)) {
    const operations: Operation[] = [];
    const reconciled = await reconcileOnce(intent, road, operations);
    const late = road.host.clock.monotonic() - started > RECOVERY_DEADLINE_SECONDS * 1000;
    if (reconciled !== null || late) {
      const known = reconciled ?? unreachable;
      write(
        road,
        outcomeBody(intent.command, intent.index, known, known.known_by, operations, keepWords(known.words, road)),
      );
      return;
    }
    // Stopped while waiting: the intent stays open, and the next start asks again.
    await road.host.clock.sleep(wait * 1000, stop).catch(() => undefined);
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

/** Null when the place did not answer. */
async function reconcileOnce(intent: Intent, road: Road, operations: Operation[]): Promise<Reconciled | null> {
  const claims = claimsOf(intent);
  const csrFolder = road.config.csr ?? `${road.config.state}/csr`;
  const work = reconcileFor(road.provider, csrFolder, claims, intent);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    resource: intent.resource.slice(intent.resource.indexOf(":") + 1),
    phase: "read",
    beforeChange: () => undefined,
    now: () => road.host.clock.monotonic(),
    record: (operation) => operations.push(operation),
  });
  const deadline = startDeadline(road);
  try {
    const reconciled = await work.reconcile(gate, { id: intent.command, signal: deadline.signal });
    stopOnBreach(gate.breach(), null, intent.command, road);
    return reconciled;
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
