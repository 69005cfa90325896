import { z } from "zod";
import type { DnsArgs } from "../../policy/asked.ts";
import { stoppedBy } from "../outcome.ts";
import { CallFailed, type Errand, type Executed } from "../provider.ts";
import { awaitTruth, compare, type Doubt, refusedBecause, type Told } from "../recordTruth.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { dnsCall } from "./dnsCall.ts";
import { PASSING } from "./failure.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { type RecordSet, readRecordSet } from "./recordSet.ts";

/** One command's dealings with one name. `before`: as it lies there now; `wanted`: what is to lie there. */
export type Updating = {
  readonly context: GcpContext;
  readonly calls: GcpCalls;
  readonly args: DnsArgs;
  readonly errand: Errand;
  readonly before: RecordSet | null;
  readonly wanted: RecordSet | null;
};

const Change = z.object({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), status: z.enum(["pending", "done"]) });
/** What is said when a record set is another than the change's deletions say, or is there already, or not any more. */
const OTHER_NOW: ReadonlySet<string> = new Set(["precondition", "exists", "missing"]);

/** Makes the change if the record set is still as it was read, and waits until it is sent to every name server. */
export async function change(work: Updating): Promise<Executed> {
  const told = toldOf(work);
  let id: string;
  try {
    id = await submit(work);
  } catch (error) {
    const stopped = stoppedBy(error);
    if (stopped.result === "unknown")
      return awaitTruth(told, stopped, { firstMs: LOOK_FIRST_MS, maxMs: LOOK_MAX_MS, settlesMs: SETTLES_WITHIN_MS });
    return OTHER_NOW.has(stopped.code ?? "") ? refusedBecause(told, stopped) : stopped;
  }
  return compare(told, await isDone(work, id));
}

function toldOf({ context, calls, args, errand, before, wanted }: Updating): Told {
  const read = () => readRecordSet({ gcp: context.gcp, calls }, args);
  return { host: context.host, args, errand, before, wanted, read };
}

/** Returns the change's id. Throws CallFailed and Halted. What was refused before it began, and passes, is sent again until the deadline. */
async function submit(work: Updating): Promise<string> {
  const { context, calls, args, errand, before, wanted } = work;
  const of = (set: RecordSet | null): object[] =>
    set === null ? [] : [{ name: `${args.name}.`, type: args.type, ttl: set.ttl, rrdatas: set.raw }];
  // All or nothing: the old record set must be there exactly as it was read, and a new one must not.
  const body = { deletions: of(before), additions: of(wanted) };
  const call = { gcp: context.gcp, calls, path: `${args.zone}/changes`, method: "POST", query: {}, body } as const;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 2, LOOK_MAX_MS)) {
    try {
      const { id } = await dnsCall(call, Change);
      calls.known.add(`${args.zone}/changes/${id}`);
      return id;
    } catch (error) {
      if (!(error instanceof CallFailed) || error.effect !== "none" || error.status !== "throttled") throw error;
      await context.host.clock.sleep(wait, errand.signal);
      if (errand.signal.aborted) throw error;
    }
  }
}

/** Null once the change is done; else what keeps that from being known. */
async function isDone({ context, calls, args, errand }: Updating, id: string): Promise<Doubt | null> {
  const path = `${args.zone}/changes/${id}`;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = errand.signal.aborted;
    try {
      const { status } = await dnsCall({ gcp: context.gcp, calls, path, method: "GET", query: {}, body: null }, Change);
      if (status === "done") return null;
      if (late) return { code: "pending", words: `the change ${id} is not done yet` };
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (late || !PASSING.has(error.status)) return { code: error.status, words: `${id}: ${error.words}` };
    }
    await context.host.clock.sleep(wait, errand.signal);
  }
}
