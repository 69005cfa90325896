import { forElsewhere } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import { backoff } from "./backoff.ts";
import { worksIn } from "./config.ts";
import { MAX_POLICY_BYTES, REQUEST_TIMEOUT_SECONDS } from "./limits.ts";
import { readOwned } from "./owner/files.ts";
import type { Contact, Reporter } from "./poll.ts";
import type { Road } from "./road.ts";
import { digestOf } from "./wire/envelope.ts";
import { SharedAnswer, type SharedPolicy } from "./wire/protocol.ts";

/** The policy in force, as `share: [policy]` in it lets the vendor see it. */
export type Shared = { readonly digest: string; readonly text: string };
/** What was said last. Not `taken`: said, and no answer heard, so the control plane may have it. Null: it has nothing of this process. */
export type Told = { readonly digest: string; readonly taken: boolean } | null;

/** What is to be said next, null for nothing. Pure. What was never said is never taken back: then nothing leaves at all (invariant 11). */
export function nextShared(told: Told, now: Shared | null): SharedPolicy | null {
  if (now === null) return told === null ? null : { kind: "policy", digest: told.digest, text: null };
  const has = told?.taken === true && told.digest === now.digest;
  return has ? null : { kind: "policy", digest: now.digest, text: now.text };
}

/** What says which policy is in force, and whether it is for here. */
export type InForce = Pick<Road, "log" | "readPolicy" | "trustDomain" | "cluster" | "config">;

/**
 * The policy that is in force and on record as such; null when none is, or when it names another vendor, cluster or place: who is not named
 * in it is shown none of it, nor anything of this place by it. "changing" while file and record differ, until the record has caught up. Only
 * such a policy shares anything.
 */
export function policyOnRecord(
  road: InForce,
): { readonly digest: string; readonly policy: Policy } | null | "changing" {
  const recorded = road.log.memory.policy;
  if (recorded === null || recorded.code !== null) return null;
  const read = road.readPolicy("share it");
  if (read.digest !== recorded.digest || !("policy" in read)) return "changing";
  const here = { vendor: road.trustDomain, cluster: road.cluster, place: worksIn(road.config) };
  return forElsewhere(read.policy, "share it", here) === null ? read : null;
}

/** What the owner shares at this moment: only the very bytes of the policy in force. */
export function sharedNow(road: InForce & Pick<Road, "owner">): Shared | null | "changing" {
  const now = policyOnRecord(road);
  if (now === null || now === "changing") return now;
  if (!now.policy.share.includes("policy")) return null;
  const file = readOwned(road.owner.disk, road.owner.at, "policy.yaml", MAX_POLICY_BYTES);
  if (!("bytes" in file) || digestOf(file.bytes) !== now.digest) return "changing";
  return { digest: now.digest, text: new TextDecoder("utf-8", { fatal: true }).decode(file.bytes) };
}

export type Sharer = {
  run(): Promise<void>;
  /** Looks again: the policy may have changed. */
  wake(): void;
};

/** A loop that rests until something may have changed, or `stop` comes. */
export function wakeable(stop: AbortSignal): { woken(): Promise<void>; wake(): void } {
  let wakeUp = (): void => undefined;
  return {
    wake: () => wakeUp(),
    woken: () =>
      new Promise((resolve) => {
        const end = (): void => {
          stop.removeEventListener("abort", end);
          wakeUp = () => undefined;
          resolve();
        };
        wakeUp = end;
        stop.addEventListener("abort", end);
        if (stop.aborted) end();
      }),
  };
}

/** Says what the owner shares, again until it is taken, after each start and each change. A control plane without this call is left alone. */
export function sharer(
  to: Pick<Contact, "host" | "post" | "say" | "stop">,
  road: InForce & Pick<Road, "owner">,
  reports: Pick<Reporter, "flushed">,
): Sharer {
  const wait = backoff(to.host.random);
  let told: Told = null;
  let complained = "";
  const rest = wakeable(to.stop);

  const due = (): SharedPolicy | null => {
    const now = sharedNow(road);
    return now === "changing" ? null : nextShared(told, now);
  };
  /** False when the control plane does not know the call. */
  async function say(next: SharedPolicy): Promise<boolean> {
    // From here on it may have the text, whether an answer comes or not: what is withdrawn meanwhile is taken back.
    if (next.text !== null) told = { digest: next.digest, taken: false };
    const options = { timeoutSeconds: REQUEST_TIMEOUT_SECONDS, signal: to.stop };
    const answer = await to.post("/v1/shared", next, SharedAnswer, options);
    if ("ok" in answer) {
      told = next.text === null ? null : { digest: next.digest, taken: true };
      const words = next.text === null ? "the policy is not shared any more" : "the policy's text was shared";
      to.say("info", words, { digest: next.digest });
      complained = "";
      wait.reset();
      return true;
    }
    if ("fault" in answer && answer.fault === "not-found") {
      to.say("info", "the control plane takes no shared policy; nothing is shared", {});
      return false;
    }
    // No contact is said by the poll; here only what was heard and refused.
    if ("fault" in answer && answer.fault !== complained && !to.stop.aborted) {
      complained = answer.fault;
      to.say("warn", "the control plane did not take the shared policy; it is tried again", {
        code: answer.fault,
        said: answer.message,
      });
    }
    await to.host.clock.sleep(wait.next(), to.stop);
    return true;
  }

  return {
    wake: rest.wake,
    async run() {
      while (!to.stop.aborted) {
        if (due() === null) {
          await rest.woken();
          continue;
        }
        // The entry that names the policy goes first: without it the text is refused.
        await reports.flushed();
        const next = due();
        if (next !== null && !to.stop.aborted && !(await say(next))) return;
      }
    },
  };
}
