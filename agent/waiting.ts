import type { Asked } from "../policy/asked.ts";
import { timeText } from "../policy/duration.ts";
import type { Policy } from "../policy/policy.ts";
import { type Refusal, refuse } from "../policy/refusal.ts";
import { approvalText, cannotOf } from "../policy/words.ts";
import type { EntryBody } from "./audit/entry.ts";
import type { Recorded, Waiting, WaitingEntry } from "./audit/memory.ts";
import { timeOf } from "./audit/time.ts";
import { MAX_RECORDED_APPROVALS } from "./limits.ts";
import { approvalBody, approvers, type Judged, readApprovals } from "./owner/approvals.ts";
import { refusedBody } from "./record.ts";
import { decisionTime, type Road, write } from "./road.ts";
import type { Approvable } from "./wire/approval.ts";
import { CommandClaims } from "./wire/command.ts";

/** Commands that wait for people (DESIGN section 3, Waiting): what ends a wait, and what lets the command take the road again. */

export function approvableOf(entry: WaitingEntry): Approvable {
  return { kind: "command", id: entry.command, digest: entry.digest };
}

/** Milliseconds since 1970. */
export function waitsSince(entry: WaitingEntry): number {
  const since = timeOf(entry.time);
  if (since === null) throw new Error("a waiting entry without a time");
  return since;
}

/** Entries for signatures that are not on record yet. All that count are; of others only so many, so that nobody fills the log with them. */
export function newApprovals(
  what: Approvable,
  recorded: ReadonlyMap<string, Recorded>,
  judged: readonly Judged[],
): Extract<EntryBody, { kind: "approval" }>[] {
  const counts = judged.filter(({ code, digest }) => code === null && (recorded.get(digest)?.person ?? null) === null);
  const others = judged.filter(({ code, digest }) => code !== null && !recorded.has(digest));
  const room = Math.max(0, MAX_RECORDED_APPROVALS - recorded.size);
  return [...counts, ...others.slice(0, room)].map((one) => approvalBody(what, one));
}

/** Says why a wait is over before enough people approved; null while it goes on. `now`: milliseconds. */
export function overdue(waiting: Waiting, now: number): Refusal | null {
  const { entry, signatures } = waiting;
  if (now < entry.until * 1000) return null;
  const { approval, allowed } = entry;
  const yes = [...new Set([...signatures.values()].flatMap(({ person }) => person ?? []))];
  const had = yes.length === 0 ? "nobody approved" : `only ${yes.join(", ")} approved`;
  const until = timeText(entry.until * 1000);
  return refuse(
    "policy.approval.needs-approval",
    cannotOf(askedOf(entry)),
    `the customer's rule ${allowed.rule} needs ${approval.need} of ${approval.by.join(", ")} to approve, and until ${until} ${had}`.slice(
      0,
      400,
    ),
    "Send it again, and have it approved in time.",
    {
      rule: allowed.rule,
      field: "approval",
      found: `${yes.length} approved`,
      limit: `approval: ${approvalText(approval)}`.slice(0, 200),
    },
  );
}

/** The command as it stands in our own log, which is trusted: it was opened and verified before the entry was written. */
function askedOf(entry: WaitingEntry): Asked {
  return CommandClaims.parse(
    JSON.parse(Buffer.from(entry.signed.split(".")[1] ?? "", "base64url").toString()),
  ) as Asked;
}

export type WaitWatch = {
  /** Ends what is over or was taken back. Nothing is changed by it, so it needs no contact. */
  end(): void;
  /** Commands that have a new approval, in the order of their ids; each new signature is on record. Call it right after contact. */
  due(most: number): readonly WaitingEntry[];
};

export function watchWaits(road: Road): WaitWatch {
  /** The approvals that a command took the road with last, so that it reads nothing again before there is another. */
  const tried = new Map<string, string>();
  const policyNow = (): Policy | null => {
    const read = road.readPolicy("look at approvals");
    return "policy" in read ? read.policy : null;
  };
  const judgedFor = (entry: WaitingEntry, policy: Policy): readonly Judged[] => {
    const rule = policy.rules.find(({ id }) => id === entry.allowed.rule);
    const asked = rule === undefined || rule.approval === "none" ? null : rule.approval.by;
    return readApprovals(road.owner, policy, approvableOf(entry), asked);
  };

  function endOne(waiting: Waiting, refusal: Refusal): void {
    const { entry } = waiting;
    const policy = policyNow();
    const late = (policy === null ? [] : judgedFor(entry, policy)).map((one) =>
      one.code === null ? { ...one, code: "approval.late" as const, signature: null } : one,
    );
    tried.delete(entry.command);
    write(
      road,
      ...newApprovals(approvableOf(entry), waiting.signatures, late),
      refusedBody(entry, refusal, entry.allowed.policy, null),
    );
  }

  return {
    end() {
      for (const waiting of [...road.log.memory.waiting.values()]) {
        const { command } = waiting.entry;
        const cannot = cannotOf(askedOf(waiting.entry));
        const over = road.cancelled.has(command)
          ? refuse("verify.cancelled", cannot, "the vendor took it back", "Nothing is to be done.")
          : overdue(waiting, decisionTime(road));
        if (over !== null) endOne(waiting, over);
      }
    },
    due(most) {
      const policy = road.log.memory.waiting.size === 0 ? null : policyNow();
      if (policy === null) return [];
      const due: WaitingEntry[] = [];
      const waiting = [...road.log.memory.waiting.values()];
      for (const { entry, signatures } of waiting.sort((a, b) => (a.entry.command < b.entry.command ? -1 : 1))) {
        const judged = judgedFor(entry, policy);
        const fresh = newApprovals(approvableOf(entry), signatures, judged);
        if (fresh.length > 0) write(road, ...fresh);
        const yes = [...approvers(judged)].sort().join(" ");
        const busy = [...road.log.memory.open.values()].some(({ resource }) => resource === entry.resource);
        if (yes === "" || busy || tried.get(entry.command) === yes || due.length >= most) continue;
        tried.set(entry.command, yes);
        due.push(entry);
      }
      return due;
    },
  };
}
