import { gateResource } from "../policy/asked.ts";
import { makeGate } from "../providers/gate.ts";
import { CallFailed, type Errand, type Gate, Halted, type Reconciled } from "../providers/provider.ts";
import { reconcileFor } from "./action.ts";
import { obtainManifest } from "./artifacts/manifest.ts";
import type { Entry, Operation } from "./audit/entry.ts";
import { stopOnBreach } from "./breach.ts";
import { deadlineIn } from "./deadline.ts";
import { afterReading, beforeChange, keepWords, leftForNext, limitsOf } from "./execute.ts";
import {
  BACKOFF_MAX_SECONDS,
  BACKOFF_MIN_SECONDS,
  COMMAND_DEADLINE_SECONDS,
  DEPLOY_DEADLINE_SECONDS,
  RECOVERY_DEADLINE_SECONDS,
} from "./limits.ts";
import { mayGoOn, stillMatches, stillPermits } from "./permitted.ts";
import { outcomeBody } from "./record.ts";
import { type Road, write } from "./road.ts";
import { CommandClaims } from "./wire/command.ts";

type Intent = Extract<Entry, { kind: "intent" }>;

/**
 * What an intent without an outcome becomes: the provider only reads and says by what it knows. What the intent's own execution left
 * beside its resource is taken away first, where the policy still permits it; a deploy is gone on with, where the whole road does. Until
 * its outcome is durable the intent stays open, so its resource takes no command. A place that does not answer is asked again, for an hour;
 * then it is `unknown`.
 */
export async function recover(intent: Intent, road: Road, stop: AbortSignal): Promise<void> {
  const started = road.host.clock.monotonic();
  for (let wait = BACKOFF_MIN_SECONDS; !stop.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_SECONDS)) {
    const operations: Operation[] = [];
    const late = () => road.host.clock.monotonic() - started > RECOVERY_DEADLINE_SECONDS * 1000;
    const reconciled = await reconcileOnce(intent, road, operations, late());
    if (reconciled === LEFT) return;
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

/** This process is to end: the next start goes on with it. */
const LEFT = "left";

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
): Promise<Reconciled | typeof LEFT | null> {
  const claims = claimsOf(intent);
  const csrFolder = road.config.csr ?? `${road.config.state}/csr`;
  const work = reconcileFor(road.provider, csrFolder, claims, intent);
  const { clear } = work;
  if (clear !== null || work.resume !== null) await road.owner.refresh();
  if (clear !== null && stillMatches(claims, road) !== null) {
    const cleared = (await seen(road)) ? await through("beside", work, intent, road, operations, clear) : null;
    if (cleared === null && !late) return null;
  }
  if (work.resume !== null && !late) {
    const resumed = await goOn(work.resume, work, intent, claims, road, operations);
    if (resumed !== "not permitted") return resumed;
  }
  return through("read", work, intent, road, operations, (gate, errand) => work.reconcile(gate, errand));
}

/** As before any change: others have seen this log first, and of two agents one is stopped here. */
async function seen(road: Road): Promise<boolean> {
  return ((await road.head.put()) ?? (await road.heard(road.log.size - 1))) === null;
}

/** Goes on with what was interrupted. Null: what must answer before did not. */
async function goOn(
  resume: NonNullable<ReturnType<typeof reconcileFor>["resume"]>,
  work: ReturnType<typeof reconcileFor>,
  intent: Intent,
  claims: CommandClaims,
  road: Road,
  operations: Operation[],
): Promise<Reconciled | typeof LEFT | "not permitted" | null> {
  if (claims.action !== "deploy" || mayGoOn(intent, claims, road) === null) return "not permitted";
  const named = await obtainManifest(road.manifests, claims.args.manifest, road.stop);
  if ("away" in named) return null;
  if ("artifact" in named) return "not permitted";
  if (!(await seen(road))) return null;
  await road.owner.refresh();
  // Nothing is awaited from here until the execution begins, which looks at the switch by itself.
  const rule = stillPermits(intent, claims, named, road);
  if (rule === null) return "not permitted";
  const limits = limitsOf(rule);
  const done = await through("all", work, intent, road, operations, (gate, errand) => {
    const signal = AbortSignal.any([errand.signal, road.stop]);
    return resume(gate, { ...errand, ...limits, signal }).then((executed) => ({
      executed,
      left: leftForNext(executed, road, errand.signal),
    }));
  });
  if (done === null) return null;
  // Calls of the process that was interrupted were answered to it alone: of those this outcome holds nothing.
  return done.left ? LEFT : { ...done.executed, known_by: "state" };
}

/** Null when the place did not answer, or the owner's word came in between. */
async function through<T>(
  phase: "read" | "beside" | "all",
  work: ReturnType<typeof reconcileFor>,
  intent: Intent,
  road: Road,
  operations: Operation[],
  then: (gate: Gate, errand: Errand) => Promise<T>,
): Promise<T | null> {
  const resumes = phase === "all";
  const deadline = deadlineIn(road.host.clock, resumes ? DEPLOY_DEADLINE_SECONDS : COMMAND_DEADLINE_SECONDS);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    beside: work.beside,
    resource: gateResource(intent.resource),
    phase,
    beforeChange: () => beforeChange(road, deadline.signal, resumes),
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
