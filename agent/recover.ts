import { gateResource } from "../policy/asked.ts";
import type { Policy } from "../policy/policy.ts";
import { isRefusal } from "../policy/refusal.ts";
import { makeGate } from "../providers/gate.ts";
import { CallFailed, type Errand, type Gate, Halted, type Reconciled } from "../providers/provider.ts";
import { reconcileFor } from "./action.ts";
import { obtainManifest } from "./artifacts/manifest.ts";
import type { Entry, Operation } from "./audit/entry.ts";
import { stopOnBreach } from "./breach.ts";
import { deadlineIn, within } from "./deadline.ts";
import { deployFound, deployOfIntent } from "./deploy.ts";
import { afterReading, beforeChange, keepWords, leftForNext, limitsOf } from "./execute.ts";
import {
  BACKOFF_MAX_SECONDS,
  BACKOFF_MIN_SECONDS,
  COMMAND_DEADLINE_SECONDS,
  DEPLOY_DEADLINE_SECONDS,
  INTENT_HEARD_SECONDS,
  RECOVERY_DEADLINE_SECONDS,
} from "./limits.ts";
import { mayGoOn, ruleStands, stillMatches, stillPermits } from "./permitted.ts";
import { outcomeBody } from "./record.ts";
import { type Road, write } from "./road.ts";
import { CommandClaims } from "./wire/command.ts";

type Intent = Extract<Entry, { kind: "intent" }>;
type Left = ReturnType<typeof reconcileFor>;

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
    // Looked at once: where the hour ended in vain while others were waited for, the place itself was not asked yet.
    const late = road.host.clock.monotonic() - started > RECOVERY_DEADLINE_SECONDS * 1000;
    const reconciled = await reconcileOnce(intent, road, operations, late);
    if (reconciled === LEFT) return;
    if (reconciled !== null || late) {
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
  if (clear !== null && !isRefusal(stillMatches(claims, road))) {
    const cleared = await takeAway(clear, work, intent, claims, road, operations);
    if (cleared === null && !late) return null;
  }
  if (work.resume !== null && !late) {
    const resumed = await goOn(work.resume, work, intent, claims, road, operations);
    if (resumed !== "not permitted") return resumed;
  }
  return through(READ, work, intent, road, operations, (gate, errand) => work.reconcile(gate, errand));
}

/**
 * As before any change: a required witness and the others have seen this log first, and of two agents one is stopped here. A witness that is
 * away is waited for as the others are: not for ever at once.
 */
async function seen(road: Road): Promise<boolean> {
  const cleared = await within(road.host.clock, INTENT_HEARD_SECONDS, (late) => clearedBefore(late, road));
  if (!cleared || road.stopping()) return false;
  return ((await road.head.put()) ?? (await road.heard(road.log.size - 1))) === null;
}

function clearedBefore(late: AbortSignal, road: Road): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  late.addEventListener("abort", () => resolve(false), { once: true });
  road.cleared().then(() => resolve(true), reject);
  return promise;
}

/** Null when what must answer before did not, or the place. What the policy does not permit by then stays. */
async function takeAway(
  clear: NonNullable<Left["clear"]>,
  work: Left,
  intent: Intent,
  claims: CommandClaims,
  road: Road,
  operations: Operation[],
): Promise<"done" | null> {
  if (!(await seen(road))) return null;
  await road.owner.refresh();
  // Nothing is awaited from here until it begins, which looks at the switch by itself.
  if (isRefusal(stillMatches(claims, road))) return "done";
  return through(BESIDE, work, intent, road, operations, async (gate, errand) => {
    await clear(gate, errand);
    return "done" as const;
  });
}

/** Goes on with what was interrupted. Null: what must answer before did not. */
async function goOn(
  resume: NonNullable<Left["resume"]>,
  work: Left,
  intent: Intent,
  claims: CommandClaims,
  road: Road,
  operations: Operation[],
): Promise<Reconciled | typeof LEFT | "not permitted" | null> {
  if (claims.action !== "deploy" || isRefusal(mayGoOn(intent, claims, road))) return "not permitted";
  const { args } = claims;
  const named = await obtainManifest(road.manifests, args.manifest, road.stop);
  if ("away" in named) return null;
  if ("artifact" in named) return "not permitted";
  if (!(await seen(road))) return null;
  await road.owner.refresh();
  // Nothing is awaited from here until the execution begins, which looks at the switch by itself.
  const { state } = deployOfIntent(args, intent.found);
  const judge = (policy: Policy) => deployFound(named, args, policy, state);
  const rule = stillPermits(intent, claims, judge, road);
  if (isRefusal(rule)) return "not permitted";
  const limits = limitsOf(rule);
  const onward: How = { phase: "all", stands: () => ruleStands(intent, claims, judge, road) };
  const done = await through(onward, work, intent, road, operations, (gate, errand) => {
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

/** What may be changed, and whether the rule by which that was begun stands yet; null where that was looked at already. */
type How =
  | { readonly phase: "read" | "beside"; readonly stands: null }
  | { readonly phase: "all"; readonly stands: () => boolean };
const READ: How = { phase: "read", stands: null };
const BESIDE: How = { phase: "beside", stands: null };

/** Null when the place did not answer, or the owner's word came in between. */
async function through<T>(
  { phase, stands }: How,
  work: Left,
  intent: Intent,
  road: Road,
  operations: Operation[],
  then: (gate: Gate, errand: Errand) => Promise<T>,
): Promise<T | null> {
  const seconds = phase === "all" ? DEPLOY_DEADLINE_SECONDS : COMMAND_DEADLINE_SECONDS;
  const deadline = deadlineIn(road.host.clock, seconds);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    beside: work.beside,
    resource: gateResource(intent.resource),
    phase,
    beforeChange: () => beforeChange(road, deadline.signal, stands),
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
