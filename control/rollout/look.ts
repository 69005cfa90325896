import { readStatements, type Statement } from "../statement.ts";
import type { Sql } from "../store.ts";
import { arriveAt, currentOf, type NoManifest, signedParameters } from "./current.ts";
import { type Decision, decideCluster } from "./decide.ts";
import { factsOf } from "./facts.ts";
import { BATCH, LEASE_MS, PARKED_LOOK_MS } from "./limits.ts";
import { takeDue } from "./lock.ts";
import type { Order, Releaser } from "./order.ts";
import type { MemberRow, RolloutRow } from "./schema.ts";
import { type Frame, type Target, targetOf } from "./target.ts";

/** What is to be sent: the manifest and the release key, both held to their signatures. */
export type Work = { readonly order: Order; readonly frame: Frame; readonly key: Releaser["key"] };

/** A cluster to which something is to be sent. `changes`: of its row; who finds another one there is too late. */
export type Wish = {
  readonly cluster: string;
  readonly changes: number;
  readonly attempt: number;
  readonly epoch: number;
  readonly accepted: number;
  readonly statements: readonly Statement[];
  readonly groups: readonly string[];
  readonly digest: string;
  /** To be signed and kept with it, where the cluster was not touched before. */
  readonly fresh: { readonly target: Target; readonly was: string } | null;
};
export type Looked = { readonly rollout: RolloutRow; readonly count: number; readonly wishes: readonly Wish[] };

/**
 * One transaction: looks at clusters that are due, and writes what became of them. Those to which something is to be sent are leased for a
 * while, so that no other driver signs the same; if this one stops right here, they are due again after LEASE_MS.
 */
export async function look(sql: Sql, rollout: RolloutRow, work: Work, behindMs: number): Promise<Looked> {
  const members = await takeDue(sql, rollout.id, rollout.elapsed, BATCH);
  const wishes: Wish[] = [];
  for (const member of members) {
    const wish = await lookAt(sql, rollout, member, work, behindMs);
    if (wish !== null) wishes.push(wish);
  }
  return { rollout, count: members.length, wishes };
}

async function lookAt(
  sql: Sql,
  rollout: RolloutRow,
  member: MemberRow,
  work: Work,
  behindMs: number,
): Promise<Wish | null> {
  const facts = await factsOf(sql, member);
  const decided = decideCluster(member, facts, {
    elapsed: rollout.elapsed,
    behindMs,
    // Going back is not a trial: what is well there is done.
    soakMs: member.phase === "back" ? 0 : rollout.soak_ms,
    // Nor does it give up: who comes back late is taken back too.
    silentMs: member.phase === "back" ? null : rollout.wait_ms,
    maySend: rollout.state === "running" && member.lane <= rollout.lane && member.phase === rollout.phase,
  });
  if (decided.arrived) await arrive(sql, rollout, member);
  if (decided.send === "nothing") {
    await write(sql, member, decided);
    return null;
  }
  const found = await targetFor(sql, member, decided.send, work);
  if ("fault" in found) {
    const due = rollout.elapsed + PARKED_LOOK_MS;
    await write(sql, member, { ...decided, state: "cut-off", code: found.fault, due });
    return null;
  }
  await write(sql, member, { ...decided, due: rollout.elapsed + LEASE_MS });
  return {
    cluster: member.cluster,
    changes: member.changes + 1,
    attempt: member.attempts + 1,
    epoch: facts.cluster?.epoch ?? 0,
    accepted: facts.cluster?.trust_version ?? 0,
    statements: await readStatements(sql, member.cluster),
    ...found,
  };
}

async function arrive(sql: Sql, rollout: RolloutRow, member: MemberRow): Promise<void> {
  const at = member.phase === "back" ? member.was : member.target;
  if (at !== null) await arriveAt(sql, member.cluster, at, rollout.said_by, whyOf(rollout));
}

/** As the customer reads it in the command. */
export function whyOf(rollout: Pick<RolloutRow, "id" | "why" | "phase">): string {
  const words = `rollout ${rollout.id}${rollout.phase === "back" ? ", back to what was" : ""}: ${rollout.why}`;
  return words.length <= 256 ? words : `${[...words].slice(0, 250).join("")} …`;
}

type Found = Pick<Wish, "digest" | "fresh" | "groups">;
type NoTarget = NoManifest | { readonly fault: "no-image" };
/**
 * The manifest and the groups for a cluster. What is signed comes from what the release key has signed: its own manifest's parameters and the
 * rollout's content. The row only chooses among that. `send`: groups that miss it, null where it was never touched.
 */
async function targetFor(
  sql: Sql,
  member: MemberRow,
  send: readonly string[] | null,
  { order, frame, key }: Work,
): Promise<Found | NoTarget> {
  const releaser = { name: order.signer, key };
  if (send === null || member.target === null || member.was === null) {
    if (member.phase === "back") return { fault: "no-manifest" };
    const current = await currentOf(sql, member.cluster, releaser);
    if ("fault" in current) return current;
    const target = targetOf(frame, current.parameters, order.images, current.groups);
    if ("fault" in target) return { fault: "no-image" };
    return { digest: target.digest, fresh: { target, was: current.digest }, groups: target.wanted };
  }
  const before = await signedParameters(sql, member.cluster, member.was, releaser);
  if ("fault" in before) return before;
  const target = targetOf(frame, before, order.images, {});
  if ("fault" in target) return { fault: "no-image" };
  const known = send.every((group) => Object.hasOwn(before.groups, group));
  if (!known || target.digest !== member.target) return { fault: "manifest-not-signed" };
  return { digest: member.phase === "back" ? member.was : target.digest, fresh: null, groups: send };
}

async function write(sql: Sql, member: MemberRow, to: Omit<Decision, "send" | "arrived">): Promise<void> {
  await sql.run(
    `update rollout_clusters set state = $1, code = $2, since = $3, failures = $4, due = $5, news = 0, gap = 0, changes = changes + 1
     where rollout = $6 and cluster = $7`,
    to.state,
    to.code,
    to.since,
    to.failures,
    to.due,
    member.rollout,
    member.cluster,
  );
}
