import { type Change, ChangeResourceRecordSetsCommand, GetChangeCommand } from "@aws-sdk/client-route-53";
import type { DnsArgs } from "../../policy/asked.ts";
import { stoppedBy } from "../outcome.ts";
import { CallFailed, type Errand, type Executed } from "../provider.ts";
import { awaitTruth, compare, type Doubt, refusedBecause, type Told } from "../recordTruth.ts";
import type { AwsCalls, AwsContext } from "./call.ts";
import { PASSING } from "./failure.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { type RecordSet, readRecordSet } from "./recordSet.ts";

/** One command's dealings with one name. `before`: as it lies there now; `wanted`: what is to lie there. */
export type Updating = {
  readonly context: AwsContext;
  readonly calls: AwsCalls;
  readonly args: DnsArgs;
  readonly errand: Errand;
  readonly before: RecordSet | null;
  readonly wanted: RecordSet | null;
};

/** Refusals that come before any effect, and pass: Route 53 makes one change of a zone after the other. */
const NOT_BEGUN: ReadonlySet<string> = new Set(["prior-request", "throttled"]);

/** Makes the change if the record set is still as it was read, and waits until every name server answers with it. */
export async function change(work: Updating): Promise<Executed> {
  let id: string;
  try {
    id = await submit(work);
  } catch (error) {
    const stopped = stoppedBy(error);
    const told = toldOf(work);
    if (stopped.result === "unknown")
      return awaitTruth(told, stopped, { firstMs: LOOK_FIRST_MS, maxMs: LOOK_MAX_MS, settlesMs: SETTLES_WITHIN_MS });
    return error instanceof CallFailed && stopped.code === "InvalidChangeBatch"
      ? refusedBecause(told, stopped)
      : stopped;
  }
  return compare(toldOf(work), await inSync(work, id));
}

function toldOf({ context, calls, args, errand, before, wanted }: Updating): Told {
  return { host: context.host, args, errand, before, wanted, read: () => readRecordSet(calls, args) };
}

/** Returns the change's id. Throws CallFailed and Halted. What was refused before it began is sent again until the deadline. */
async function submit(work: Updating): Promise<string> {
  const { context, calls, args, errand } = work;
  const batch = { Comment: `reeve command ${errand.id}`, Changes: batchOf(work) };
  const input = { HostedZoneId: args.zone, ChangeBatch: batch };
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 2, LOOK_MAX_MS)) {
    try {
      const answer = await calls.send("route53", (client) => client.send(new ChangeResourceRecordSetsCommand(input)));
      const [, id] = /^(?:\/change\/)?([A-Z0-9]{1,32})$/.exec(answer.ChangeInfo?.Id ?? "") ?? [];
      if (id === undefined) throw new CallFailed("malformed", "its answer names no change", "unknown");
      calls.changeIds.add(id);
      return id;
    } catch (error) {
      if (!(error instanceof CallFailed) || error.effect !== "none" || !NOT_BEGUN.has(error.status)) throw error;
      await context.host.clock.sleep(wait, errand.signal);
      if (errand.signal.aborted) throw error;
    }
  }
}

/** All or nothing: the old record set must be there exactly as it was read, and a new one must not. */
function batchOf({ args, before, wanted }: Updating): Change[] {
  const of = (Action: "DELETE" | "CREATE", set: RecordSet | null): Change[] => {
    if (set === null) return [];
    const ResourceRecords = set.raw.map((Value) => ({ Value }));
    return [{ Action, ResourceRecordSet: { Name: args.name, Type: args.type, TTL: set.ttl, ResourceRecords } }];
  };
  return [...of("DELETE", before), ...of("CREATE", wanted)];
}

/** Null once the change is on every name server; else what keeps that from being known. */
async function inSync({ context, calls, errand }: Updating, id: string): Promise<Doubt | null> {
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = errand.signal.aborted;
    try {
      const answer = await calls.send("route53", (client) => client.send(new GetChangeCommand({ Id: id })));
      if (answer.ChangeInfo?.Status === "INSYNC") return null;
      if (late) return { code: "pending", words: `the change ${id} is not on every name server yet` };
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (late || !PASSING.has(error.status)) return { code: error.status, words: `${id}: ${error.words}` };
    }
    await context.host.clock.sleep(wait, errand.signal);
  }
}
