import { timeText as wholeSeconds } from "../policy/duration.ts";
import type { Policy } from "../policy/policy.ts";
import type { Memory, Recent } from "./audit/memory.ts";
import { timeText } from "./audit/time.ts";
import type { Disk } from "./host/host.ts";
import type { WitnessStatus } from "./witness/witnesses.ts";

/** One thing that waits for people: a command's id, or `trust-2`. `until`: RFC 3339; null for ever. */
export type WaitingStatus = {
  readonly id: string;
  readonly subject: string;
  readonly rule: string | null;
  readonly by: readonly string[];
  readonly need: number;
  readonly approved: readonly string[];
  readonly until: string | null;
  readonly entry: number | null;
};
/** How much of a rule's rate is used up. */
export type RateStatus = { readonly rule: string; readonly used: number; readonly times: number; readonly per: string };

/** What the agent keeps in `status.json` of its runtime folder, for `reeve status`. Times are RFC 3339. */
export type Status = {
  /** `waiting`: for a required witness; commands wait, and none is refused for it. */
  readonly state: "enrolling" | "ready" | "waiting" | "suspended" | "refusing" | "stopped" | "fenced";
  readonly reason: string;
  readonly since: string;
  readonly pid: number;
  readonly version: string;
  readonly cluster: string;
  readonly agent: string | null;
  readonly epoch: number | null;
  readonly policy: { readonly digest: string; readonly revision: number } | null;
  /** Null while the control plane is reached; else since when and why not. */
  readonly out_of_contact: { readonly since: string; readonly reason: string } | null;
  /** The control plane's newest good answer; null before the first. */
  readonly last_contact: string | null;
  readonly log: { readonly size: number; readonly root: string } | null;
  readonly witnesses: readonly WitnessStatus[];
  readonly running: number;
  /** Commands that were taken in within the last hour, and how many may be; `full` also when their bytes are as many as may be. */
  readonly intake: { readonly taken: number; readonly of: number; readonly full: boolean };
  /** What was refused since the log began: commands, of them those that nobody's key signed or that could not be read, trust statements. */
  readonly refused: { readonly commands: number; readonly unread: number; readonly trust: number };
  readonly waiting: readonly WaitingStatus[];
  readonly rates: readonly RateStatus[];
  /** The newest commands, oldest first. */
  readonly recent: readonly Recent[];
};

/** What the log's memory and the policy say at this moment. `now`: milliseconds. Pure. */
export function remembered(
  memory: Pick<Memory, "waiting" | "trust" | "recent" | "counts">,
  history: Memory["history"],
  policy: Pick<Policy, "rules" | "people"> | null,
  now: number,
): Pick<Status, "waiting" | "rates" | "recent" | "refused"> {
  const yes = (signatures: ReadonlyMap<string, { readonly person: string | null }>): string[] => [
    ...new Set([...signatures.values()].flatMap(({ person }) => person ?? [])),
  ];
  const commands = [...memory.waiting.values()].map(({ entry, signatures }) => ({
    id: entry.command,
    subject: memory.recent.find(({ command }) => command === entry.command)?.subject ?? entry.resource,
    rule: entry.allowed.rule,
    by: entry.approval.by,
    need: entry.approval.need,
    approved: yes(signatures),
    until: wholeSeconds(entry.until * 1000),
    entry: entry.index,
  }));
  const { trust } = memory;
  const statement =
    trust === null
      ? []
      : [
          {
            id: `trust-${trust.version}`,
            subject: `trust statement ${trust.version}`,
            rule: null,
            by: Object.keys(policy?.people ?? {}),
            need: 1,
            approved: yes(trust.signatures),
            until: null,
            entry: null,
          },
        ];
  const rates = (policy?.rules ?? []).map(({ id, rate }) => ({
    rule: id,
    used: usedOf(history, id, rate, now),
    times: rate.times,
    per: rate.per,
  }));
  const count = (kind: "refused" | "rejected" | "trust-refused"): number => memory.counts.get(kind) ?? 0;
  const unread = count("rejected");
  const refused = { commands: count("refused") + unread, unread, trust: count("trust-refused") };
  return { waiting: [...commands, ...statement], rates, recent: memory.recent, refused };
}

/** What the log does not reach back to counts as used up, as the policy has it. */
function usedOf(history: Memory["history"], rule: string, rate: Policy["rules"][number]["rate"], now: number): number {
  const start = now - rate.seconds * 1000;
  if (history.since !== null && start < history.since) return rate.times;
  return (history.intents.get(rule) ?? []).filter((time) => time > start).length;
}

/** Keeps the file up to date: written when something other than `since` changed. */
export function statusFile(disk: Disk, path: string, now: () => number): (status: Omit<Status, "since">) => void {
  let last = "";
  let state = "";
  let since = timeText(now());
  return (status) => {
    const text = JSON.stringify(status);
    if (text === last) return;
    last = text;
    if (status.state !== state) since = timeText(now());
    state = status.state;
    disk.replace(path, Buffer.from(`${JSON.stringify({ ...status, since })}\n`), 0o644);
  };
}
