import { NOBODY, resourceOf } from "../policy/asked.ts";
import { authorize, checkRevision } from "../policy/authorize.ts";
import { match } from "../policy/match.ts";
import { isRefusal, type Refusal, refuse } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";
import { makeGate } from "../providers/gate.ts";
import { CallFailed, type Executed, type GateBreach, Halted } from "../providers/provider.ts";
import { type Seen, type Unseen, type Work, workFor } from "./action.ts";
import { writeDetails } from "./audit/details.ts";
import type { Operation } from "./audit/entry.ts";
import { COMMAND_DEADLINE_SECONDS } from "./limits.ts";
import { asking, outcomeBody, refusedBody, rejectedBody } from "./record.ts";
import { decisionTime, type Road, write } from "./road.ts";
import { type Verified, verify } from "./verify.ts";
import { open } from "./wire/envelope.ts";
import { type Command, parse } from "./wire/parse.ts";

/**
 * The road of a command, DESIGN section 3, top to bottom. Each stage takes the type that only the stage before it makes.
 * Returns when the command's last entry is durable. Throws only on our own mistakes and on a log that cannot be written:
 * both end the process, and the next start finishes what is open.
 */
export async function execute(text: string, road: Road): Promise<void> {
  const signed = await open(text, road.commandKeys());
  if (isRefusal(signed)) return write(road, rejectedBody(text, signed));
  const command = parse(signed);
  if (isRefusal(command)) return write(road, rejectedBody(text, command));
  const verified = verifyNow(command, road);
  if (isRefusal(verified)) return recordRefusal(command, verified, road, null);
  const matched = matchNow(verified, road);
  if (isRefusal(matched.refusal)) return recordRefusal(verified, matched.refusal, road, matched.digest);
  const observed = await describe(verified, road);
  if (isRefusal(observed)) return recordRefusal(verified, observed, road, matched.digest);
  // Nothing is awaited from here until the intent is durable: what was judged is still the case when it is written.
  const intended = intend(observed, road);
  if (intended === null) return;
  const outcome = await call(intended, road);
  write(road, outcome);
}

function verifyNow(command: Command, road: Road): Verified | Refusal {
  return verify(command, {
    trustDomain: road.trustDomain,
    agentId: road.agentId,
    epoch: road.epoch,
    enrolledAt: road.enrolledAt,
    now: Math.floor(decisionTime(road) / 1000),
    ids: road.log.memory.ids,
    suspended: road.suspended(),
    clockAgrees: road.clockAgrees(),
  });
}

function recordRefusal(command: Command, refusal: Refusal, road: Road, policy: string | null): void {
  const replayed = refusal.code === "verify.replayed" || refusal.code === "verify.id-reused";
  const first = replayed ? (road.log.memory.ids.get(command.claims.jti)?.index ?? null) : null;
  write(road, refusedBody(command, refusal, policy, first));
}

type MatchedNow =
  | { readonly refusal: Refusal; readonly digest: string | null }
  | ({ readonly refusal: null; readonly digest: string } & { matched: Exclude<ReturnType<typeof match>, Refusal> });

/** The owner's policy as it is at this moment. */
function matchNow(command: Verified, road: Road): MatchedNow {
  const cannot = cannotOf(command.asked);
  const read = road.readPolicy(cannot);
  if ("refusal" in read) return { refusal: read.refusal, digest: read.digest };
  const older = checkRevision(read.policy, road.log.memory.history, cannot);
  if (older !== null) return { refusal: older, digest: read.digest };
  // On record before anything is decided by it, so that an older file put back is seen to be older.
  if (read.policy.revision > road.log.memory.history.revision)
    write(road, { kind: "policy", policy: read.digest, revision: read.policy.revision, code: null });
  const matched = match(read.policy, command.asked, {
    vendor: command.claims.iss,
    cluster: road.cluster,
    cloud: road.config.provider,
    ownGroups: road.provider.ownGroups,
    dryRun: command.claims.dry_run,
  });
  return isRefusal(matched)
    ? { refusal: matched, digest: read.digest }
    : { refusal: null, digest: read.digest, matched };
}

declare const observed: unique symbol;
type Observed = { readonly command: Verified; readonly work: Work; readonly seen: Seen; readonly [observed]: true };

/** Reads only, only the resource that the matched rule names, only by the action's read operations. */
async function describe(command: Verified, road: Road): Promise<Observed | Refusal> {
  const cannot = cannotOf(command.asked);
  const csrFolder = road.config.csr ?? `${road.config.state}/csr`;
  const work = await workFor(road.provider, road.host.disk, csrFolder, command.asked);
  if (!("describe" in work)) return unseen(cannot, work);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    resource: work.resource,
    phase: "read",
    beforeChange: () => undefined,
    now: () => road.host.clock.monotonic(),
    record: () => undefined,
  });
  const deadline = startDeadline(road);
  try {
    const seen = await work.describe(gate, { id: command.claims.jti, signal: deadline.signal });
    stopOnBreach(gate.breach(), command, road);
    if (!("found" in seen)) return unseen(cannot, seen);
    return { command, work, seen } as Observed;
  } catch (error) {
    stopOnBreach(gate.breach(), command, road);
    if (error instanceof CallFailed) return unseen(cannot, { unreadable: error.status });
    if (error instanceof Halted) return unseen(cannot, { unreadable: error.why });
    throw error;
  } finally {
    deadline.end();
  }
}

function unseen(cannot: string, why: Unseen): Refusal {
  if ("missing" in why)
    return refuse(
      "resource.missing",
      cannot,
      why.missing,
      "Compare the name in the rule with the config and the cloud.",
    );
  if ("unreadable" in why)
    return refuse(
      "resource.unreadable",
      cannot,
      `its present state cannot be read (${why.unreadable})`,
      "See that the agent can reach and read it.",
    );
  return refuse("policy.csr.unreadable", cannot, why.csr_unreadable, why.hint, { field: "csr" });
}

type Intended = Observed & { readonly intent: number };

/** Everything that can have changed since the bytes came is judged once more, then the intent is made durable. Null: it ended here. */
function intend(observed: Observed, road: Road): Intended | null {
  const { command, seen } = observed;
  if (road.stopping()) return null;
  const cannot = cannotOf(command.asked);
  const end = (refusal: Refusal, digest: string | null): null => {
    recordRefusal(command, refusal, road, digest);
    return null;
  };
  const still = verifyNow(command, road);
  if (isRefusal(still)) return end(still, null);
  if (!road.commandKeys().has(command.signed.kid))
    return end(
      refuse("open.key", cannot, "the trust statement dropped its key meanwhile", "Send it again under a present key."),
      null,
    );
  if (road.cancelled.has(command.claims.jti))
    return end(refuse("verify.cancelled", cannot, "the vendor took it back", "Nothing is to be done."), null);
  const resource = resourceOf(command.asked);
  for (const open of road.log.memory.open.values()) {
    if (open.resource === resource)
      return end(
        refuse(
          "resource.busy",
          cannot,
          `command ${open.command} is at work on it (entry ${open.index})`,
          "Send it again when that one has its outcome.",
        ),
        null,
      );
  }
  const now = matchNow(command, road);
  if (now.refusal !== null) return end(now.refusal, now.digest);
  const decision = authorize(now.matched, seen.found, road.log.memory.history, decisionTime(road), NOBODY);
  if (decision.decided === "refused") return end(decision.refusal, now.digest);
  if (decision.decided === "wait") return end(needsApproval(cannot, decision.rule.id), now.digest);
  const allowed = { policy: now.digest, rule: decision.rule.id };
  const signed = command.signed.text;
  if (command.claims.dry_run) {
    write(road, { ...asking(command), kind: "considered", allowed, found: seen.facts, signed });
    return null;
  }
  if (!road.log.roomy)
    return end(
      refuse(
        "log.no-space",
        cannot,
        "the log's disk is full; what is left is kept for outcomes",
        "Free space on the state folder's disk.",
      ),
      now.digest,
    );
  const intent = road.log.size;
  write(road, { ...asking(command), kind: "intent", allowed, found: seen.facts, resource, signed, csr: seen.csr });
  // If we stop here the intent is on disk and nothing was called: the next start reconciles it.
  return { ...observed, intent };
}

function needsApproval(cannot: string, rule: string): Refusal {
  return refuse(
    "policy.approval.needs-approval",
    cannot,
    `the customer's rule ${rule} asks for an approval, and this version of reeve cannot take one`,
    "Change the rule to `approval: none`, or wait for a version that takes approvals.",
    { rule, field: "approval" },
  );
}

/** The permitted call. Whatever happens in it becomes exactly one outcome; only a breach of the gate and our own mistakes throw. */
async function call(intended: Intended, road: Road): Promise<ReturnType<typeof outcomeBody>> {
  const { command, work, seen } = intended;
  const id = command.claims.jti;
  const operations: Operation[] = [];
  const deadline = startDeadline(road);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    resource: work.resource,
    phase: "all",
    beforeChange: () => {
      if (road.halted()) throw new Halted("stopped");
      if (road.suspended() !== null) throw new Halted("suspended");
      if (deadline.signal.aborted) throw new Halted("deadline");
    },
    now: () => road.host.clock.monotonic(),
    record: (operation) => operations.push(operation),
  });
  let executed: Executed;
  try {
    executed = await seen.execute(gate, { id, signal: deadline.signal });
    stopOnBreach(gate.breach(), command, road);
  } catch (error) {
    stopOnBreach(gate.breach(), command, road);
    executed = failureOf(error);
  } finally {
    deadline.end();
  }
  return outcomeBody(id, intended.intent, executed, "answer", operations, keepWords(executed.words, road));
}

/** Others' failures become an outcome; what is our own mistake goes on up. */
function failureOf(error: unknown): Executed {
  const none = { changed: [], certificate: null, words: null };
  if (error instanceof Halted) return { ...none, result: "failed", code: error.why };
  if (error instanceof CallFailed)
    return {
      ...none,
      result: error.effect === "none" ? "failed" : "unknown",
      code: error.status.slice(0, 64),
      words: error.words,
    };
  throw error;
}

export function keepWords(words: string | null, road: Pick<Road, "host" | "config">): string | null {
  if (words === null || words === "") return null;
  return writeDetails(road.host, `${road.config.state}/details`, road.host.random.bytes(16), words.slice(0, 64 * 1024));
}

/** A provider tried what its rule does not name. That is our mistake: on record, then the process ends; no byte has left. */
export function stopOnBreach(breach: GateBreach | null, command: { claims: { jti: string } }, road: Road): void {
  if (breach === null) return;
  write(road, {
    kind: "gate",
    code: breach.code,
    command: command.claims.jti,
    operation: breach.operation.slice(0, 128),
    resource: breach.resource.slice(0, 1024),
  });
  throw breach;
}

/** Aborts after COMMAND_DEADLINE_SECONDS. `end` must be called: it frees the timer. */
export function startDeadline(road: Pick<Road, "host">): { readonly signal: AbortSignal; end(): void } {
  const deadline = new AbortController();
  const timer = new AbortController();
  road.host.clock.sleep(COMMAND_DEADLINE_SECONDS * 1000, timer.signal).then(
    () => deadline.abort(),
    () => undefined,
  );
  return { signal: deadline.signal, end: () => timer.abort() };
}
