import { type Asked, type Found, NOBODY, resourceOf } from "../policy/asked.ts";
import { authorize, checkRevision } from "../policy/authorize.ts";
import { match } from "../policy/match.ts";
import type { Policy, Rule } from "../policy/policy.ts";
import { isRefusal, type Refusal, refuse } from "../policy/refusal.ts";
import { cannotOf } from "../policy/words.ts";
import { makeGate } from "../providers/gate.ts";
import { CallFailed, type Errand, type Executed, type Gate, Halted } from "../providers/provider.ts";
import { type Seen, type Unseen, type Work, workFor } from "./action.ts";
import { writeDetails } from "./audit/details.ts";
import type { Operation } from "./audit/entry.ts";
import type { IntentEntry, WaitingEntry } from "./audit/memory.ts";
import { stopOnBreach } from "./breach.ts";
import { worksIn } from "./config.ts";
import { asksBody, consentNow, tooMany, waitingBody } from "./consent.ts";
import { deadlineIn } from "./deadline.ts";
import { COMMAND_DEADLINE_SECONDS, DEPLOY_DEADLINE_SECONDS } from "./limits.ts";
import type { OwnersFolder } from "./owner/folder.ts";
import { ruleStands, stillPermits } from "./permitted.ts";
import { readGate } from "./readGate.ts";
import { type Asking, asking, outcomeBody, refusedBody, rejectedBody } from "./record.ts";
import { decisionTime, type Road, recordNewer, write } from "./road.ts";
import { type Verified, verify } from "./verify.ts";
import { overdue } from "./waiting.ts";
import { open } from "./wire/envelope.ts";
import { type Command, parse } from "./wire/parse.ts";

/**
 * The road of a command, DESIGN section 3, top to bottom. Each stage takes the type that only the stage before it makes.
 * `waited`: the entry of our own log that held the command while people were asked; null for one that was delivered.
 * Returns when the command's last entry is durable. Throws only on our own mistakes and on a log that cannot be written:
 * both end the process, and the next start finishes what is open.
 */
export async function execute(text: string, road: Road, waited: WaitingEntry | null): Promise<void> {
  // Decided meanwhile: what was approved twice came here twice.
  if (waited !== null && !road.log.memory.waiting.has(waited.command)) return;
  const signed = await open(text, road.commandKeys());
  if (isRefusal(signed)) return recordUnread(text, signed, road, waited);
  const command = parse(signed);
  if (isRefusal(command)) return recordUnread(text, command, road, waited);
  await road.owner.refresh();
  const verified = verifyNow(command, road, waited);
  if (isRefusal(verified)) return recordRefusal(asking(command), verified, road, null);
  const matched = matchNow(verified, road);
  if (matched.refusal !== null) return recordRefusal(asking(verified), matched.refusal, road, matched.digest);
  const observed = await describe(verified, matched, road);
  // What this process could not wait for is no refusal: the command is not used up, and comes again at the next start.
  if (isRefusal(observed) && road.stopping()) return;
  if (isRefusal(observed)) return recordRefusal(asking(verified), observed, road, matched.digest);
  await road.owner.refresh();
  // Nothing is awaited from here until the intent is durable: what was judged is still the case when it is written.
  const intended = intend(observed, road, waited);
  if (intended === null) return;
  const heard = await seenByOthers(intended, road);
  const outcome = "because" in heard ? notBegun(intended, heard, road) : await call(heard, road);
  // If we stop here, and where there is none, the intent is open: the next start finishes it.
  if (outcome !== null) write(road, outcome);
}

declare const heard: unique symbol;
/** An intent that others have seen and that is permitted yet: `rule` is as the policy has it now. Only `seenByOthers` makes one. */
type Heard = Intended & {
  readonly entry: IntentEntry;
  readonly judge: (policy: Policy) => Found;
  readonly [heard]: true;
};
type NotBegun = {
  readonly code: "head-unwritten" | "intent-unheard" | "suspended" | "no-longer-permitted";
  readonly because: string;
};

/**
 * The intent is where a copy of this agent would have had to put its own, before anything is changed: in the control plane's copy of the
 * log, and in the head in the owner's bucket, which the next machine counts by. Of two agents one is stopped here. How long that takes is
 * others' to say, up to INTENT_HEARD_SECONDS: so that they cannot choose the moment of the call, the owner is asked once more.
 */
async function seenByOthers(intended: Intended, road: Road): Promise<Heard | NotBegun> {
  const { command, intent, seen } = intended;
  const [head, heard] = await Promise.all([road.head.put(), road.heard(intent)]);
  if (head !== null) return { code: "head-unwritten", because: head };
  if (heard !== null) return { code: "intent-unheard", because: heard };
  await road.owner.refresh();
  // Nothing is awaited from here until the call begins.
  const entry = road.log.memory.open.get(command.claims.jti);
  if (entry?.index !== intent) throw new Error("an intent that was just written is not open");
  const judge = (policy: Policy): Found => seen.judge(policy).found;
  const rule = stillPermits(entry, command.claims, judge, road);
  if (!isRefusal(rule)) return { ...intended, entry, judge, rule } as Heard;
  return { code: rule.code === "verify.suspended" ? "suspended" : "no-longer-permitted", because: rule.because };
}

function verifyNow(command: Command, road: Road, waited: WaitingEntry | null): Verified | Refusal {
  return verify(command, {
    trustDomain: road.trustDomain,
    agentId: road.agentId,
    epoch: road.epoch,
    enrolledAt: road.enrolledAt,
    now: Math.floor(decisionTime(road) / 1000),
    ids: road.log.memory.ids,
    waits: waited?.index ?? null,
    suspended: road.suspended(),
    clockAgrees: road.clockAgrees(),
  });
}

/** Bytes that could not be opened or parsed. Of what waited it is known whose they are: a key was dropped meanwhile. */
function recordUnread(text: string, refusal: Refusal, road: Road, waited: WaitingEntry | null): void {
  if (waited === null) write(road, rejectedBody(text, refusal));
  else recordRefusal(waited, refusal, road, null);
}

function recordRefusal(command: Asking, refusal: Refusal, road: Road, policy: string | null): void {
  const replayed = refusal.code === "verify.replayed" || refusal.code === "verify.id-reused";
  const first = replayed ? (road.log.memory.ids.get(command.command)?.index ?? null) : null;
  write(road, refusedBody(command, refusal, policy, first));
}

type MatchedNow =
  | { readonly refusal: Refusal; readonly digest: string | null }
  | {
      readonly refusal: null;
      readonly digest: string;
      readonly policy: Policy;
      readonly matched: Exclude<ReturnType<typeof match>, Refusal>;
    };

/** The owner's policy as it is at this moment. */
function matchNow(command: Verified, road: Road): MatchedNow {
  const cannot = cannotOf(command.asked);
  const read = road.readPolicy(cannot);
  if ("refusal" in read) return { refusal: read.refusal, digest: read.digest };
  const older = checkRevision(read.policy, road.history(), cannot);
  if (older !== null) return { refusal: older, digest: read.digest };
  recordNewer(read, road);
  const matched = match(read.policy, command.asked, {
    vendor: command.claims.iss,
    cluster: road.cluster,
    place: worksIn(road.config),
    ownGroups: road.provider.ownGroups,
    dryRun: command.claims.dry_run,
  });
  return isRefusal(matched)
    ? { refusal: matched, digest: read.digest }
    : { refusal: null, digest: read.digest, policy: read.policy, matched };
}

declare const observed: unique symbol;
type Observed = { readonly command: Verified; readonly work: Work; readonly seen: Seen; readonly [observed]: true };

/** Reads only, only the resource that the matched rule names, only by the action's read operations. */
async function describe(
  command: Verified,
  { policy, matched }: Extract<MatchedNow, { refusal: null }>,
  road: Road,
): Promise<Observed | Refusal> {
  const cannot = cannotOf(command.asked);
  const csrFolder = road.config.csr ?? `${road.config.state}/csr`;
  const places = { disk: road.host.disk, csrFolder, manifests: road.manifests };
  const work = await workFor(road.provider, places, command.asked, road.stop);
  if (!("describe" in work)) return unseen(cannot, work);
  if (work.before !== null) {
    const early = authorize(matched, work.before(policy), road.history(), decisionTime(road), NOBODY);
    if (early.decided === "refused") return early.refusal;
  }
  const gate = readGate(work, road);
  const deadline = deadlineIn(road.host.clock, COMMAND_DEADLINE_SECONDS);
  try {
    const seen = await work.describe(gate, { id: command.claims.jti, signal: deadline.signal });
    stopOnBreach(gate.breach(), null, command.claims.jti, road);
    if (!("judge" in seen)) return unseen(cannot, seen);
    return { command, work, seen } as Observed;
  } catch (error) {
    stopOnBreach(gate.breach(), error, command.claims.jti, road);
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
  if ("artifact" in why) return refuse(`artifact.${why.artifact}`, cannot, why.because, why.hint);
  return refuse("policy.csr.unreadable", cannot, why.csr_unreadable, why.hint, { field: "csr" });
}

type Intended = Observed & { readonly intent: number; readonly rule: Rule };

/** Everything that can have changed since the bytes came is judged once more, then the intent is made durable. Null: it ended here. */
function intend(observed: Observed, road: Road, waited: WaitingEntry | null): Intended | null {
  const { command, seen } = observed;
  if (road.stopping()) return null;
  const now = stillPermitted(command, road, waited);
  if ("code" in now) return end(command, now, road, null);
  if (now.refusal !== null) return end(command, now.refusal, road, now.digest);
  const consent = consentNow(road, now.policy, now.matched.rules, waited);
  const { found: state, facts: found } = seen.judge(now.policy);
  const decision = authorize(now.matched, state, road.history(), decisionTime(road), consent.approvals);
  if (decision.decided === "refused") return end(command, decision.refusal, road, now.digest);
  const waits = decision.decided === "wait" ? decision.approval : null;
  const allowed = { policy: now.digest, rule: decision.rule.id };
  if (command.claims.dry_run) {
    const approval = waits === null ? {} : { approval: asksBody(waits) };
    const signed = command.signed.text;
    write(road, { ...asking(command), kind: "considered", allowed, found, signed, ...approval });
    return null;
  }
  const full = road.log.roomy ? null : noSpace(cannotOf(command.asked));
  if (full !== null) return end(command, full, road, now.digest);
  if (waits !== null) {
    // What waits already goes on waiting: its entry stands, and the new signatures are on record.
    const full = waited === null ? tooMany(cannotOf(command.asked), decision.rule, road) : null;
    if (full !== null) return end(command, full, road, now.digest);
    if (waited === null) write(road, waitingBody(command, found, now, decision.rule, waits, decisionTime(road)));
    else if (consent.fresh.length > 0) write(road, ...consent.fresh);
    return null;
  }
  const by = "approvedBy" in decision ? decision.approvedBy : [];
  const approved =
    by.length === 0 ? {} : { approved: by.map((person) => ({ entry: consent.entryOf(person), person })) };
  const intent = road.log.size + consent.fresh.length;
  const resource = resourceOf(command.asked);
  const { csr } = seen;
  const signed = command.signed.text;
  // In one group: an intent is never there without the approvals that it names.
  write(road, ...consent.fresh, {
    ...asking(command),
    kind: "intent",
    allowed,
    found,
    resource,
    signed,
    csr,
    ...approved,
  });
  // If we stop here the intent is on disk and nothing was called: the next start reconciles it.
  return { ...observed, intent, rule: decision.rule };
}

function end(command: Command, refusal: Refusal, road: Road, digest: string | null): null {
  recordRefusal(asking(command), refusal, road, digest);
  return null;
}

/** What `verify` and `match` say at this moment, and what else may stand in the way: a dropped key, a cancel, the end of a wait, another command. */
function stillPermitted(command: Verified, road: Road, waited: WaitingEntry | null): Refusal | MatchedNow {
  const cannot = cannotOf(command.asked);
  const still = verifyNow(command, road, waited);
  if (isRefusal(still)) return still;
  if (!road.commandKeys().has(command.signed.kid))
    return refuse(
      "open.key",
      cannot,
      "the trust statement dropped its key meanwhile",
      "Send it again under a present key.",
    );
  if (road.cancelled.has(command.claims.jti))
    return refuse("verify.cancelled", cannot, "the vendor took it back", "Nothing is to be done.");
  const waiting = waited === null ? undefined : road.log.memory.waiting.get(waited.command);
  const over = waiting === undefined ? null : overdue(waiting, decisionTime(road));
  if (over !== null) return over;
  const resource = resourceOf(command.asked);
  for (const open of road.log.memory.open.values()) {
    if (open.resource === resource)
      return refuse(
        "resource.busy",
        cannot,
        `command ${open.command} is at work on it (entry ${open.index})`,
        "Send it again when that one has its outcome.",
      );
  }
  return matchNow(command, road);
}

function noSpace(cannot: string): Refusal {
  return refuse(
    "log.no-space",
    cannot,
    "the log's disk is full; what is left is kept for outcomes",
    "Free space on the state folder's disk.",
  );
}

/** Nothing is called. */
function notBegun(
  { command, intent }: Intended,
  { code, because }: NotBegun,
  road: Road,
): ReturnType<typeof outcomeBody> {
  const none = { result: "failed", code, changed: [], certificate: null, words: because } as const;
  return outcomeBody(command.claims.jti, intent, none, "answer", [], keepWords(because, road));
}

/**
 * The permitted call. Whatever happens in it becomes exactly one outcome; only a breach of the gate and our own mistakes throw. Null: this
 * process is to end, and the next start goes on with it under the same intent.
 */
async function call(heard: Heard, road: Road): Promise<ReturnType<typeof outcomeBody> | null> {
  const { command, entry, judge, work, seen, rule } = heard;
  const id = command.claims.jti;
  const operations: Operation[] = [];
  const deadline = deadlineIn(road.host.clock, deadlineSeconds(command.asked));
  const stands = () => ruleStands(entry, command.claims, judge, road);
  const gate = makeGate({
    table: work.operations,
    places: work.places,
    beside: work.beside,
    resource: work.resource,
    phase: "all",
    beforeChange: () => beforeChange(road, deadline.signal, work.resumes ? stands : null),
    now: () => road.host.clock.monotonic(),
    record: (operation) => operations.push(operation),
  });
  const signal = work.resumes ? AbortSignal.any([deadline.signal, road.stop]) : deadline.signal;
  let executed: Executed;
  try {
    executed = await seen.execute(afterReading(road.owner, work, gate), { id, signal, ...limitsOf(rule) });
    stopOnBreach(gate.breach(), null, id, road);
  } catch (error) {
    stopOnBreach(gate.breach(), error, id, road);
    executed = failureOf(error);
  } finally {
    deadline.end();
  }
  if (work.resumes && leftForNext(executed, road, deadline.signal)) return null;
  return outcomeBody(id, entry.index, executed, "answer", operations, keepWords(executed.words, road));
}

/** What the permitting rule says to the execution itself. */
export function limitsOf(rule: Rule): Pick<Errand, "validity" | "unavailable"> {
  if (rule.allow === "deploy") return { unavailable: rule.unavailable };
  return rule.allow === "issue-certificate" ? { validity: rule.validity } : {};
}

export function deadlineSeconds({ action }: Pick<Asked, "action">): number {
  return action === "deploy" ? DEPLOY_DEADLINE_SECONDS : COMMAND_DEADLINE_SECONDS;
}

/** It stopped because this process is to end, and for no other reason. */
export function leftForNext(
  { result, code }: Pick<Executed, "result" | "code">,
  road: Pick<Road, "stopping" | "halted">,
  deadline: AbortSignal,
): boolean {
  const stopped = result === "failed" && (code === "stopped" || code === "deadline");
  return stopped && road.stopping() && !road.halted() && !deadline.aborted;
}

/**
 * What is looked at right before each change. `stands`: of what takes its time, change after change, and need not be finished by a process
 * that is to end: whether its rule stands yet; null of anything else, which is finished by the rule that it began by. Throws Halted.
 */
export function beforeChange(
  road: Pick<Road, "halted" | "suspended" | "stopping">,
  deadline: AbortSignal,
  stands: (() => boolean) | null,
): void {
  if (road.halted() || (stands !== null && road.stopping())) throw new Halted("stopped");
  if (road.suspended() !== null) throw new Halted("suspended");
  if (deadline.aborted) throw new Halted("deadline");
  if (stands !== null && !stands()) throw new Halted("no-longer-permitted");
}

/** The owner's folder is read anew before each change begins; the gate looks at what was read, at each of its moments. */
export function afterReading(
  owner: OwnersFolder,
  { operations, beside }: Pick<Work, "operations" | "beside">,
  gate: Gate,
): Gate {
  const rows = [...operations, ...beside.flatMap(({ table }) => table)];
  const changes = new Set(rows.filter(({ kind }) => kind === "change").map(({ operation }) => operation));
  return {
    async call(operation, resource, send) {
      if (changes.has(operation)) await owner.refresh();
      return gate.call(operation, resource, send);
    },
  };
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
