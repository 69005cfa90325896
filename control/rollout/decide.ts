import type { CommandState } from "../store.ts";
import { CAREFUL_PERCENT, LOOK_MS, limitOf, MAX_ATTEMPTS, OVERDUE_MS, PARKED_LOOK_MS, RETRY_MS } from "./limits.ts";
import { type ClusterState, lanesOf, type MemberRow, NEVER, type Phase, type RolloutRow } from "./schema.ts";

/** Why a cluster cannot act of which nothing is heard; of one that was touched, the code with which it is put aside, and then has failed. */
export const NOT_HEARD = "not-heard-from";
export const SILENT = "silent";

/** What a cluster can do, as the control plane last heard. `why` is kept with a state that is none of its own. */
export type Reach =
  | { readonly can: "act" }
  | { readonly can: "not"; readonly state: "suspended" | "refused" | "cut-off"; readonly why: string };

export type CommandFact = {
  readonly group: string;
  readonly attempt: number;
  /** A queued one that has expired is `expired` already. */
  readonly state: CommandState;
  readonly code: string | null;
  readonly sentMs: number;
};
/** What is the case with one cluster. `commands`: of this rollout and phase. */
export type Facts = {
  readonly reach: Reach;
  readonly commands: readonly CommandFact[];
  /** A command of another rollout, or of this one's other phase, may still run there. */
  readonly busy: boolean;
  /** Its commands that failed, of whatever kind, so far. */
  readonly failures: number;
};
type Member = Pick<MemberRow, "state" | "code" | "wanted" | "since" | "failures" | "gap">;
type At = {
  /** Of the rollout's own time. */
  readonly elapsed: number;
  readonly soakMs: number;
  /** How long one that was touched may be silent before it has failed; null: for ever. */
  readonly silentMs: number | null;
  /** How far `elapsed` may be behind (clock.ts). */
  readonly behindMs: number;
  /** Whether anything may be sent: it runs, and the cluster's lane has begun. */
  readonly maySend: boolean;
};

/** What becomes of a cluster. `send`: groups, null for those that its manifest says; `arrived`: it runs its target from now on. */
export type Decision = {
  readonly state: ClusterState;
  readonly code: string | null;
  readonly since: number;
  readonly failures: number;
  readonly due: number;
  readonly send: readonly string[] | null | "nothing";
  readonly arrived: boolean;
};

/** Pure: what one cluster's facts make of it. `wanted`: of a cluster that was never touched it is not known yet. */
export function decideCluster(member: Member, facts: Facts, at: At): Decision {
  const stay = { state: member.state, code: member.code, since: member.since, failures: member.failures };
  const become = (state: ClusterState, code: string | null, due: number): Decision => {
    const since = member.state === state ? member.since : at.elapsed;
    return { ...stay, state, code, since, due, send: "nothing", arrived: false };
  };
  if (member.state === "healthy" || member.state === "failed") return become(member.state, member.code, NEVER);
  const latest = newest(facts.commands);
  const bad = latest.find(isFailure);
  if (bad !== undefined) return become("failed", bad.code ?? bad.state, NEVER);
  const open = latest.filter(isOpen);
  if (open.length > 0) {
    if (open.some(({ sentMs }) => at.elapsed - sentMs >= OVERDUE_MS)) return become("failed", "no-outcome", NEVER);
    if (facts.reach.can === "not") return aside(facts.reach, member, facts, at, become);
    const waits = open.some(({ state }) => state === "waiting");
    return become(waits ? "waiting" : "sent", null, at.elapsed + LOOK_MS);
  }
  const wanted = member.wanted === null ? null : (JSON.parse(member.wanted) as string[]);
  const missing = wanted?.filter((group) => latest.find((one) => one.group === group)?.state !== "succeeded") ?? null;
  if (missing !== null && missing.length === 0) return health(member, facts, at, become);
  if (facts.reach.can === "not") return aside(facts.reach, member, facts, at, become);
  const refused = latest.find(({ state }) => state === "refused");
  const spent = new Set(facts.commands.filter(({ state }) => state !== "cancelled").map(({ attempt }) => attempt)).size;
  if (spent >= MAX_ATTEMPTS) {
    if (refused !== undefined) return become(parkedBy(refused), refused.code, NEVER);
    return become("cut-off", "attempts", NEVER);
  }
  if (refused !== undefined) {
    const state = parkedBy(refused);
    const since = member.state === state ? member.since : at.elapsed;
    const again = since + RETRY_MS;
    if (at.elapsed < again || !at.maySend) return become(state, refused.code, at.maySend ? again : NEVER);
  }
  if (!at.maySend) return become("pending", null, NEVER);
  if (facts.busy) return become("cut-off", "busy", at.elapsed + PARKED_LOOK_MS);
  return { ...become(member.state, member.code, at.elapsed), send: missing };
}

type Become = (state: ClusterState, code: string | null, due: number) => Decision;
/** All of it succeeded: whether it has been well since, for the whole soak time. A gap, or a time away, begins it anew. */
function health(member: Member, facts: Facts, at: At, become: Become): Decision {
  if (facts.reach.can === "not") return aside(facts.reach, member, facts, at, become);
  if (member.state === "soaking" && facts.failures > member.failures) return become("failed", "since", NEVER);
  if (member.state !== "soaking" || member.gap === 1) {
    const since = at.elapsed + (at.soakMs === 0 ? 0 : at.behindMs);
    const begun = { since, failures: facts.failures, arrived: member.state !== "soaking" };
    return { ...become("soaking", null, since + at.soakMs), ...begun };
  }
  const until = member.since + at.soakMs;
  return at.elapsed >= until ? become("healthy", null, NEVER) : become("soaking", null, until);
}

/** One that cannot act. What was touched and fell silent may have been silenced by it: it holds its lane, and after a while it has failed. */
function aside(reach: Reach & { can: "not" }, member: Member, facts: Facts, at: At, become: Become): Decision {
  const later = at.elapsed + PARKED_LOOK_MS;
  const silent = reach.why === NOT_HEARD && at.silentMs !== null && facts.commands.some(isTouch);
  if (!silent) return become(reach.state, reach.why, later);
  const since = member.code === SILENT ? member.since : at.elapsed;
  const until = since + (at.silentMs ?? 0);
  if (at.elapsed >= until) return become("failed", SILENT, NEVER);
  return { ...become("cut-off", SILENT, Math.min(later, until)), since };
}

/** An agent got it, so it may have done something there. */
function isTouch({ state }: CommandFact): boolean {
  return state === "succeeded" || state === "unknown" || (isOpen({ state }) && state !== "queued");
}

/** The newest attempt of each group. */
function newest(commands: readonly CommandFact[]): CommandFact[] {
  const latest = new Map<string, CommandFact>();
  for (const one of commands) if (one.attempt >= (latest.get(one.group)?.attempt ?? 0)) latest.set(one.group, one);
  return [...latest.values()];
}

export function isOpen({ state }: Pick<CommandFact, "state">): boolean {
  return state === "queued" || state === "handed-out" || state === "waiting" || state === "intent";
}

/** Nobody can tell what became of it, or it failed. Of a fenced agent's command a new one may be sent: it aims at a state. */
function isFailure({ state, code }: CommandFact): boolean {
  return state === "failed" || (state === "unknown" && code !== "epoch");
}

function parkedBy({ code }: CommandFact): ClusterState {
  return code === "verify.suspended" ? "suspended" : "refused";
}

/** What can stop a rollout: how many failed and refused, of those that were begun, which are the lanes up to the one that is on. */
export type Troubles = {
  readonly begun: number;
  readonly failed: number;
  readonly failedCanaries: number;
  readonly refused: number;
};
/** How many clusters are how. `active` and `parked`: of lanes up to the one that is on, of it alone. One that was touched and fell silent is active. */
export type Counts = Troubles & {
  /** 0: none is well yet. */
  readonly healthy: number;
  readonly active: number;
  readonly parked: number;
};
export type LaneDecision =
  | { readonly step: "stay" | "next-lane" | "widen" | "finish" }
  | { readonly step: "stop"; readonly because: string };
type Rollout = Pick<
  RolloutRow,
  "lane" | "lane_since" | "elapsed" | "wait_ms" | "max_failed" | "max_refused" | "lanes"
> & {
  readonly phase: Phase;
};

/**
 * Pure: whether a rollout goes on. The next lane begins when nothing of the lanes before is under way, nobody in this one is waited for any
 * more, and somebody is well with it. Where nobody is, one cluster more is tried first: `widen`. Going back never stops: what would be left is
 * what was to be taken away.
 */
export function decideLane(rollout: Rollout, counts: Counts): LaneDecision {
  const stop = whyStop(rollout, counts);
  if (stop !== null) return { step: "stop", because: stop };
  if (counts.active > 0) return { step: "stay" };
  if (counts.parked > 0 && rollout.elapsed < rollout.lane_since + rollout.wait_ms) return { step: "stay" };
  if (rollout.lane + 1 >= lanesOf(rollout).length) return { step: "finish" };
  return { step: rollout.phase === "forward" && counts.healthy === 0 ? "widen" : "next-lane" };
}

/** Pure: why nothing more may be sent, or null. Going back never stops. */
export function whyStop(
  rollout: Omit<Rollout, "elapsed" | "lane_since" | "wait_ms">,
  troubles: Troubles,
): string | null {
  if (rollout.phase === "back") return null;
  if (troubles.failedCanaries > 0) return "a canary failed";
  const percent = lanesOf(rollout)[rollout.lane] ?? 100;
  const failed = percent <= CAREFUL_PERCENT ? 0 : limitOf(rollout.max_failed, troubles.begun, Math.floor);
  if (troubles.failed > failed) return `${troubles.failed} failed, and ${failed} may`;
  const refused = limitOf(rollout.max_refused, troubles.begun, Math.ceil);
  return troubles.refused > refused ? `${troubles.refused} refused, and ${refused} may` : null;
}
