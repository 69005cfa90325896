import { backoff } from "./backoff.ts";
import { INVENTORY_SECONDS, MAX_SHARED_GROUPS, REQUEST_TIMEOUT_SECONDS } from "./limits.ts";
import type { Contact, Reporter } from "./poll.ts";
import type { Road } from "./road.ts";
import { type InForce, policyOnRecord, type Sharer, wakeable } from "./share.ts";
import { SharedAnswer, type SharedGroup, type SharedInventory } from "./wire/protocol.ts";

/** What is to be said next: of which policy, and of which groups. Null: nothing is shared. */
export type Wanted = { readonly policy: string; readonly groups: readonly string[] } | null;
/** What a look at the groups belongs to. `outcomes`: how many the log had when it began. `at`: monotonic milliseconds. */
type Occasion = { readonly policy: string; readonly outcomes: number; readonly at: number };
/** What was said last. Null: the control plane has nothing of this process. */
export type Told = (Occasion & { readonly taken: boolean }) | null;
/** What was read last, and is said until it is taken: a control plane that takes nothing has nothing read again. */
type Held = Occasion & { readonly groups: readonly SharedGroup[] };

/** Whether something is to be said. Pure. What was never said is never taken back: then nothing leaves at all (invariant 11). */
export function isDue(wanted: Wanted, told: Told, outcomes: number, now: number): boolean {
  if (wanted === null || told === null) return wanted !== null || told !== null;
  return !told.taken || isOver(told, wanted, outcomes, now);
}

/** Whether there is another occasion to look since this one. */
function isOver(last: Occasion, wanted: NonNullable<Wanted>, outcomes: number, now: number): boolean {
  const old = now - last.at >= INVENTORY_SECONDS * 1000;
  return old || last.policy !== wanted.policy || last.outcomes !== outcomes;
}

/** The groups that deploy rules of the policy in force name, where it shares `manifest`; none while the switch is off. */
export function wantedNow(road: InForce & Pick<Road, "suspended">): Wanted | "changing" {
  const now = policyOnRecord(road);
  if (now === null || now === "changing") return now;
  if (!now.policy.share.includes("manifest")) return null;
  if (road.suspended() !== null) return "changing";
  const groups = now.policy.rules.flatMap((rule) => (rule.allow === "deploy" ? [rule.group] : []));
  return { policy: now.digest, groups: [...new Set(groups)].sort().slice(0, MAX_SHARED_GROUPS) };
}

/**
 * Says what the groups run, as the policy shares it: at the start, after each outcome, each hour. What was read then is said until it is taken,
 * and not read again for that. `read`: one group through the gate, null when it cannot be read. A control plane without this call is left alone.
 */
export function inventorist(
  to: Pick<Contact, "host" | "post" | "say" | "stop">,
  road: InForce & Pick<Road, "suspended">,
  reports: Pick<Reporter, "flushed">,
  read: (group: string) => Promise<SharedGroup | null>,
): Sharer {
  const wait = backoff(to.host.random);
  const { clock } = to.host;
  let told: Told = null;
  let held: Held | null = null;
  const rest = wakeable(to.stop);
  const outcomes = (): number => road.log.memory.counts.get("outcome") ?? 0;

  async function look(wanted: NonNullable<Wanted>): Promise<Held> {
    const occasion = { policy: wanted.policy, outcomes: outcomes(), at: clock.monotonic() };
    if (held !== null && !isOver(held, wanted, occasion.outcomes, occasion.at)) return held;
    const groups: SharedGroup[] = [];
    for (const group of wanted.groups) {
      const found = await read(group);
      if (found !== null) groups.push(found);
    }
    return { ...occasion, groups };
  }

  /** False when the control plane does not know the call. */
  async function say(wanted: Wanted): Promise<boolean> {
    held = wanted === null ? null : await look(wanted);
    const { policy, groups } = held ?? { policy: told?.policy ?? "", groups: null };
    const body: SharedInventory = { kind: "inventory", policy, groups: groups === null ? null : [...groups] };
    // The policy may have changed while the groups were read: then nothing of them leaves.
    const still = wantedNow(road);
    if (wanted !== null && (still === null || still === "changing" || still.policy !== wanted.policy)) return true;
    // From here on it may have it, whether an answer comes or not: what is withdrawn meanwhile is taken back.
    if (held !== null) told = { ...held, taken: false };
    const options = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS, signal: to.stop };
    const answer = await to.post("/v1/shared", body, SharedAnswer, options);
    if ("ok" in answer) {
      told = held === null ? null : { ...held, taken: true };
      wait.reset();
      return true;
    }
    if ("fault" in answer && (answer.fault === "not-found" || answer.fault === "malformed")) {
      to.say("info", "the control plane takes no inventory; none is shared", {});
      return false;
    }
    await clock.sleep(wait.next(), to.stop);
    return true;
  }

  return {
    wake: rest.wake,
    async run() {
      while (!to.stop.aborted) {
        const wanted = wantedNow(road);
        if (wanted === "changing" || !isDue(wanted, told, outcomes(), clock.monotonic())) {
          await rest.woken();
          continue;
        }
        // The entry that names the policy, and the outcomes so far, go first.
        await reports.flushed();
        if (!to.stop.aborted && !(await say(wanted))) return;
      }
    },
  };
}
