import { type Change, ChangeResourceRecordSetsCommand, GetChangeCommand } from "@aws-sdk/client-route-53";
import type { DnsArgs } from "../../policy/asked.ts";
import { failed, stoppedBy, succeeded, unknown } from "../outcome.ts";
import { CallFailed, type Errand, type Executed } from "../provider.ts";
import { changes, same } from "../recordState.ts";
import type { AwsCalls, AwsContext } from "./call.ts";
import { PASSING } from "./failure.ts";
import { LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { type RecordSet, readRecordSet, type Seen } from "./recordSet.ts";

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
    if (stopped.result === "unknown") return awaitTruth(work, stopped);
    return error instanceof CallFailed ? refused(work, stopped) : stopped;
  }
  return compare(work, await inSync(work, id));
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
      await context.host.clock.sleep(wait, errand.signal).catch(() => undefined);
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

/** Nothing was changed. A batch is not taken when the record set is another now: that is read, whatever words it is said in. */
async function refused(work: Updating, stopped: Executed): Promise<Executed> {
  if (stopped.code !== "InvalidChangeBatch") return stopped;
  const seen = await readNow(work);
  if (seen === null || ("set" in seen && same(seen.set, work.before))) return stopped;
  return failed("concurrent", [], stopped.words);
}

type Doubt = Pick<Executed, "code" | "words">;

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
    await context.host.clock.sleep(wait, errand.signal).catch(() => undefined);
  }
}

/** What lies there after the change was accepted. */
async function compare(work: Updating, doubt: Doubt | null): Promise<Executed> {
  const { args, before, wanted } = work;
  const seen = await readNow(work);
  const made = changes(args, before, wanted);
  if (seen === null) return unknown(doubt?.code ?? "unread", made, doubt?.words ?? null);
  // The change was made, and then someone else made another.
  if (!("set" in seen)) return failed("concurrent", made, seen.unusual);
  if (!same(seen.set, wanted)) return failed("concurrent", changes(args, before, seen.set));
  return doubt === null ? succeeded(made) : unknown(doubt.code ?? "pending", made, doubt.words);
}

/** Null when it cannot be read now. */
async function readNow({ calls, args }: Updating): Promise<Seen | null> {
  try {
    return await readRecordSet(calls, args);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return null;
  }
}

/** The answer was lost: it is never sent again; what lies there tells, if it comes soon. */
async function awaitTruth(work: Updating, lost: Executed): Promise<Executed> {
  const { context, args, errand, before, wanted } = work;
  const until = context.host.clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = errand.signal.aborted || context.host.clock.monotonic() > until;
    const seen = await readNow(work);
    const set = seen !== null && "set" in seen ? seen.set : undefined;
    if (set !== undefined && same(set, wanted)) return succeeded(changes(args, before, set));
    const still = set === undefined || same(set, before);
    if (late || !still)
      return unknown(lost.code ?? "lost", set === undefined ? [] : changes(args, before, set), lost.words);
    await context.host.clock.sleep(wait, errand.signal).catch(() => undefined);
  }
}
