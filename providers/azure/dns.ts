import { DnsName } from "../../agent/wire/names.ts";
import type { DnsArgs } from "../../policy/asked.ts";
import { byState, failed, stoppedBy, succeeded, unknown } from "../outcome.ts";
import {
  type ActionProvider,
  CallFailed,
  type Errand,
  type Executed,
  type Gate,
  type Reconciled,
  type RecordState,
} from "../provider.ts";
import { changes, fitsEntry, same } from "../recordState.ts";
import { type AzureCalls, type AzureContext, azureCalls } from "./call.ts";
import { placesOf } from "./endpoints.ts";
import { PASSING } from "./failure.ts";
import { IN_FLIGHT_MS, LOOK_FIRST_MS, LOOK_MAX_MS, SETTLES_WITHIN_MS } from "./limits.ts";
import { DNS_OPERATIONS } from "./operations.ts";
import { type RecordSet, readRecordSet, type Seen, type Wanted, wantedSet, writeRecordSet } from "./recordSet.ts";

/** Changes one plain record set of a zone, and leaves alone whatever is more than a name, a type, values and a TTL. */
export function azureDns(context: AzureContext): ActionProvider<DnsArgs, RecordState> {
  const callsOf = (gate: Gate, args: DnsArgs, errand: Errand): AzureCalls =>
    azureCalls(context, gate, errand, `${args.zone}/${args.name}`);
  return {
    operations: DNS_OPERATIONS,
    places: () => placesOf(context.azure, "arm", ["GET", "PUT", "DELETE"]),
    async describe(gate, args, errand) {
      const missing = { missing: `there is no zone ${args.zone} in ${context.azure.resource_group}` };
      const within = args.name === args.zone || args.name.endsWith(`.${args.zone}`);
      if (!DnsName.safeParse(args.zone).success) return missing;
      const calls = callsOf(gate, args, errand);
      try {
        await calls.send("dns", (client) => client.zones.get(context.azure.resource_group, args.zone));
      } catch (error) {
        if (error instanceof CallFailed && error.status === "missing") return missing;
        throw error;
      }
      if (!within) return { missing: `the zone ${args.zone} does not hold the name ${args.name}` };
      const seen = await readRecordSet(calls, context.azure, args);
      if ("unusual" in seen) return { unreadable: seen.unusual };
      if (seen.set === null) return { state: { record: null } };
      // What cannot stand in an intent cannot be judged.
      if (!fitsEntry(seen.set)) return { unreadable: "too-large" };
      return { state: { record: { values: seen.set.values, ttl: seen.set.ttl } } };
    },
    execute: (gate, args, found, errand) =>
      update({ context, calls: callsOf(gate, args, errand), args, errand }, found),
    reconcile: (gate, args, found, errand) =>
      known({ context, calls: callsOf(gate, args, errand), args, errand }, found),
  };
}

/** One command's dealings with one name. */
type Updating = {
  readonly context: AzureContext;
  readonly calls: AzureCalls;
  readonly args: DnsArgs;
  readonly errand: Errand;
};

async function update(work: Updating, found: RecordState): Promise<Executed> {
  const { args, calls, context } = work;
  const wanted = wantedSet(args);
  if (wanted instanceof RangeError) return failed("values", [], wanted.message);
  if (args.change === "create" && found.record !== null) return failed("exists");
  if (args.change !== "create" && found.record === null) return failed("not-there");
  try {
    const seen = await readRecordSet(calls, context.azure, args);
    // The policy judged another record set.
    if ("unusual" in seen) return failed("concurrent", [], seen.unusual);
    if (!same(seen.set, found.record)) return failed("concurrent");
    if (same(seen.set, wanted)) return succeeded([]);
    return await change(work, seen.set, wanted);
  } catch (error) {
    // Nothing was changed yet: what was, `change` says itself.
    return stoppedBy(error);
  }
}

async function change(work: Updating, before: RecordSet | null, wanted: Wanted | null): Promise<Executed> {
  let lost: CallFailed | null = null;
  try {
    await writeRecordSet(work.calls, work.context.azure, work.args, before, wanted);
  } catch (error) {
    // A Halted, and what had no effect, goes on up: nothing was changed.
    if (!(error instanceof CallFailed) || error.effect === "none") throw error;
    // It is never sent again: what lies there tells, if it comes soon.
    lost = error;
  }
  return awaitTruth(work, before, wanted, lost);
}

/** Reads until it lies there, or something else does. `lost`: the change's answer did not come. */
async function awaitTruth(
  { context, calls, args, errand }: Updating,
  before: RecordSet | null,
  wanted: Wanted | null,
  lost: CallFailed | null,
): Promise<Executed> {
  const { clock } = context.host;
  const until = clock.monotonic() + SETTLES_WITHIN_MS;
  for (let wait = LOOK_FIRST_MS; ; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
    const late = errand.signal.aborted || clock.monotonic() > until;
    const seen = await readNow(calls, context, args);
    if (seen !== null && "set" in seen && same(seen.set, wanted)) return succeeded(changes(args, before, wanted));
    const still = seen === null || ("set" in seen && same(seen.set, before));
    if (late || !still) return untrue(args, before, seen, lost);
    await clock.sleep(wait, errand.signal);
  }
}

function untrue(args: DnsArgs, before: RecordSet | null, seen: Seen | null, lost: CallFailed | null): Executed {
  const now = seen !== null && "set" in seen ? changes(args, before, seen.set) : [];
  if (lost !== null) return unknown(lost.status, now, lost.words);
  if (seen === null) return unknown("unread");
  // The change was made, and then someone else made another.
  return failed("concurrent", now, "unusual" in seen ? seen.unusual : null);
}

/** Null when it cannot be read now. */
async function readNow(calls: AzureCalls, { azure }: AzureContext, args: DnsArgs): Promise<Seen | null> {
  try {
    return await readRecordSet(calls, azure, args);
  } catch (error) {
    if (error instanceof CallFailed && PASSING.has(error.status)) return null;
    if (error instanceof CallFailed) return { unusual: error.status };
    throw error;
  }
}

/** What an intent became, by what lies there now. Throws CallFailed when it cannot be read: whoever asked asks again. */
async function known({ context, calls, args }: Updating, found: RecordState): Promise<Reconciled> {
  const wanted = wantedSet(args);
  // Execution refuses these before it calls anything.
  if (wanted instanceof RangeError) return byState(failed("values", [], wanted.message));
  let now = await readRecordSet(calls, context.azure, args);
  if ("set" in now && same(now.set, found.record) && !same(now.set, wanted)) {
    await context.host.clock.sleep(IN_FLIGHT_MS);
    now = await readRecordSet(calls, context.azure, args);
  }
  // Someone else wrote since: whether ours was there in between cannot be read from it.
  if ("unusual" in now) return byState(unknown("concurrent", [], now.unusual));
  const changed = changes(args, found.record, now.set);
  if (same(now.set, wanted)) return byState(succeeded(changed));
  return byState(same(now.set, found.record) ? failed("not-done") : unknown("concurrent", changed));
}
