import type { z } from "zod";
import type { Log } from "./audit/log.ts";
import type { WaitingEntry } from "./audit/memory.ts";
import { backoff } from "./backoff.ts";
import { deadlineIn } from "./deadline.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { Host } from "./host/host.ts";
import {
  CONTACT_FRESH_SECONDS,
  INTENT_HEARD_SECONDS,
  MAX_ENTRIES_PER_REPORT,
  MAX_RUNNING_COMMANDS,
  POLL_HOLD_SECONDS,
  REQUEST_TIMEOUT_SECONDS,
  WAITING_HOLD_SECONDS,
} from "./limits.ts";
import type { Logger } from "./logger.ts";
import { type FaultCode, PollAnswer, type PollRequest, ReportAnswer } from "./wire/protocol.ts";

export type Answer<T> =
  | { readonly ok: T }
  | { readonly fault: FaultCode; readonly message: string }
  | { readonly unreachable: string };
export type Post = <T>(
  path: string,
  body: object | (() => object),
  schema: z.ZodType<T>,
  options: { timeoutSeconds: number; signal: AbortSignal },
) => Promise<Answer<T>>;

/** What others say that ends this agent. */
export type Ended =
  | { readonly why: "fenced"; readonly message: string }
  | { readonly why: "shorter"; readonly message: string }
  /** The certificate is past its grace, and the next start enrols anew. */
  | { readonly why: "expired"; readonly message: string }
  /** A witness has seen another history of this log, or more of it. */
  | { readonly why: "witness"; readonly message: string };

export type Contact = {
  readonly host: Host;
  readonly log: Log;
  readonly post: Post;
  readonly say: Logger;
  readonly stop: AbortSignal;
  /** Told what the control plane holds: entries below this index. */
  handedIn(next: number): void;
  /** Told at each step of handing in; `false` when there is nothing to hand in. */
  reporting(works: boolean): void;
  /** Told once when contact is made or lost; `reason` is null when made. */
  contact(reason: string | null): void;
  end(ended: Ended): void;
};

/** Bytes of entries in one report, beside the limit in number. */
const MAX_REPORT_BYTES = 512 * 1024;

const ENDING = "this agent is to end";

export type Reporter = {
  run(): Promise<void>;
  /** Wakes the reporter: entries were added. */
  wake(): void;
  /** The control plane answered after a silence: what could not be handed in is tried again at once. */
  reached(): void;
  /** Resolves when all entries of this moment are handed in, or an attempt failed. `step`: told at each report that was taken meanwhile. */
  flushed(step?: () => void): Promise<void>;
  /**
   * Null once the control plane holds the entry at this index, so that no copy of this agent can have another in its place. Else why it
   * does not, after INTENT_HEARD_SECONDS or when this agent is to end.
   */
  holds(index: number): Promise<string | null>;
};

/** Hands in the log's entries in order and without a gap. What the control plane has is asked, not remembered: it survives any crash. */
export function reporter(to: Contact): Reporter {
  let next: number | null = null;
  let wakeUp = (): void => undefined;
  let endPause = (): void => undefined;
  let waiting: { readonly step: (() => void) | undefined; resolve(): void }[] = [];
  const release = (): void => {
    const done = waiting;
    waiting = [];
    for (const one of done) one.resolve();
  };
  const wait = backoff(to.host.random);
  const expecting = new Set<{ readonly index: number; end(why: string | null): void }>();

  async function once(): Promise<boolean> {
    const size = to.log.size;
    // At first nobody here knows what it has: the answer to a report of nothing says so.
    const asking = next === null;
    const from = next ?? size;
    const entries = next === null ? [] : bounded(to.log.lines(from, MAX_ENTRIES_PER_REPORT));
    if (next !== null && entries.length === 0) {
      to.contact(`the entries from ${from} on, which it has not got, were moved away from this log`);
      return false;
    }
    const body = () => ({ from, entries, checkpoint: to.log.checkpoint(), proofs: null });
    const answer = await to.post("/v1/reports", body, ReportAnswer, {
      timeoutSeconds: REQUEST_TIMEOUT_SECONDS,
      signal: to.stop,
    });
    if (!("ok" in answer)) {
      heard(answer, to);
      return false;
    }
    if (answer.ok.next > to.log.size) {
      to.end({
        why: "shorter",
        message: `the control plane holds ${answer.ok.next} entries of this log, and here are ${to.log.size}`,
      });
      return false;
    }
    next = answer.ok.next;
    to.handedIn(next);
    for (const one of expecting) if (one.index < answer.ok.next) one.end(null);
    to.contact(null);
    for (const one of waiting) one.step?.();
    // Who asks again for what was just handed in, or for older entries, is answered, but not as fast as it asks.
    if (!asking && (next < from || (entries.length > 0 && next === from))) return false;
    wait.reset();
    return true;
  }

  return {
    wake: () => wakeUp(),
    reached: () => endPause(),
    flushed: (step) =>
      // Once this is to end nobody releases who waits.
      to.stop.aborted || (next !== null && next >= to.log.size)
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push({ step, resolve });
            // Not every entry wakes: a segment that grew old begins with one of its own, and nobody would hand it in.
            wakeUp();
          }),
    async holds(index) {
      if (next !== null && index < next) return null;
      if (to.stop.aborted) return ENDING;
      const { promise, resolve } = Promise.withResolvers<string | null>();
      const one = { index, end: resolve };
      const deadline = deadlineIn(to.host.clock, INTENT_HEARD_SECONDS);
      const late = (): void => resolve("the control plane has not taken the intent");
      const ending = (): void => resolve(ENDING);
      expecting.add(one);
      deadline.signal.addEventListener("abort", late, { once: true });
      to.stop.addEventListener("abort", ending, { once: true });
      const why = await promise;
      expecting.delete(one);
      to.stop.removeEventListener("abort", ending);
      deadline.end();
      return why;
    },
    async run() {
      while (!to.stop.aborted) {
        if (next !== null && next >= to.log.size) {
          release();
          to.reporting(false);
          await new Promise<void>((resolve) => {
            const end = (): void => {
              to.stop.removeEventListener("abort", end);
              resolve();
            };
            wakeUp = end;
            to.stop.addEventListener("abort", end, { once: true });
          });
          continue;
        }
        to.reporting(true);
        if (await once()) continue;
        release();
        const reached = new AbortController();
        endPause = () => {
          wait.reset();
          reached.abort();
        };
        await to.host.clock.sleep(wait.next(), AbortSignal.any([to.stop, reached.signal]));
        endPause = () => undefined;
      }
      release();
    },
  };
}

function bounded(lines: readonly string[]): string[] {
  let bytes = 0;
  const taken: string[] = [];
  for (const line of lines) {
    bytes += Buffer.byteLength(line);
    if (taken.length > 0 && bytes > MAX_REPORT_BYTES) break;
    taken.push(line);
  }
  return taken;
}

/** What an answer other than ok means for the agent. */
function heard(answer: { fault: FaultCode; message: string } | { unreachable: string }, to: Contact): void {
  if (to.stop.aborted) return;
  if ("unreachable" in answer) to.contact(answer.unreachable);
  else if (answer.fault === "fenced") to.end({ why: "fenced", message: answer.message });
  else to.contact(`${answer.fault}: ${answer.message}`);
}

async function pause(to: Contact, milliseconds: number): Promise<void> {
  await to.host.clock.sleep(milliseconds, to.stop);
}

export type Poller = {
  /** What this agent says of itself. Looked up for each poll. */
  state(): Pick<PollRequest, "state" | "reason" | "epoch" | "process" | "trust_version" | "version">;
  /** Before each poll: renewal, the hourly checkpoint, what the owner changed. */
  before(): Promise<void>;
  /** While it waits for what is on record to be handed in: some of it was. */
  step(): void;
  trust(statements: readonly string[]): Promise<void>;
  cancel(ids: readonly string[]): void;
  /** Resolves when the witnesses have seen what is on record, as far as a command depends on it. */
  settled(): Promise<void>;
  /** Why no command may be begun now; null when one may. */
  heldBack(): string | null;
  /** Something waits for people: the next poll is a short one. */
  waits(): boolean;
  /** After an answer: what has its approvals now, at most so many. Never without contact, so that one firewall rule lets nothing begin. */
  approved(most: number): readonly WaitingEntry[];
};

/** What runs may begin to wait for people, so that a poll is short then too. */
function holdSeconds(dispatch: Dispatcher, agent: Poller): number {
  return agent.waits() || dispatch.running() > 0 ? WAITING_HOLD_SECONDS : POLL_HOLD_SECONDS;
}

/** Asks for commands until told to stop. Before each poll everything on record is handed in, so that nothing is asked for twice. */
export async function poll(to: Contact, dispatch: Dispatcher, reports: Reporter, agent: Poller): Promise<void> {
  const wait = backoff(to.host.random);
  // The first answer, and the first after a silence, comes at once: it says whether there is contact.
  let silent = true;
  while (!to.stop.aborted) {
    await agent.before();
    await reports.flushed(agent.step);
    await agent.settled();
    if (to.stop.aborted) return;
    const take = agent.heldBack() === null ? dispatch.room() : 0;
    const hold = silent ? 0 : take === 0 ? 1 : holdSeconds(dispatch, agent);
    const body = () => ({ ...agent.state(), checkpoint: to.log.checkpoint(), take, hold });
    const asked = to.host.clock.monotonic();
    const answer = await to.post("/v1/commands", body, PollAnswer, {
      timeoutSeconds: POLL_HOLD_SECONDS + REQUEST_TIMEOUT_SECONDS,
      signal: to.stop,
    });
    if (!("ok" in answer)) {
      silent = true;
      heard(answer, to);
      await pause(to, wait.next());
      continue;
    }
    // A rule that drops only what we send lets the answer in that we wait for. Without one more round trip something would still begin.
    const late = to.host.clock.monotonic() - asked > CONTACT_FRESH_SECONDS * 1000;
    if (late && (answer.ok.commands.length > 0 || agent.waits())) {
      const again = await to.post("/v1/commands", () => ({ ...body(), take: 0, hold: 0 }), PollAnswer, {
        timeoutSeconds: REQUEST_TIMEOUT_SECONDS,
        signal: to.stop,
      });
      if (!("ok" in again)) {
        silent = true;
        heard(again, to);
        await pause(to, wait.next());
        continue;
      }
      agent.cancel(again.ok.cancel);
    }
    // Else an intent might wait for a pause of the reporter's to end, longer than it may.
    if (silent) reports.reached();
    silent = false;
    wait.reset();
    to.contact(null);
    agent.cancel(answer.ok.cancel);
    await agent.trust(answer.ok.trust);
    // More than was asked for is not taken: the intake's limits hold against a hostile sender too.
    dispatch.accept(answer.ok.commands.slice(0, take));
    await agent.settled();
    if (agent.heldBack() === null) dispatch.resume(agent.approved(MAX_RUNNING_COMMANDS - dispatch.running()));
    if (take === 0) await pause(to, 1000);
    else if (answer.ok.commands.length === 0) await pause(to, 50);
  }
}
