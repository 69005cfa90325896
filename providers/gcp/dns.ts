import { z } from "zod";
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
import { type GcpCalls, type GcpContext, gcpCalls } from "./call.ts";
import { dnsCall } from "./dnsCall.ts";
import { placesOf } from "./endpoints.ts";
import { IN_FLIGHT_MS } from "./limits.ts";
import { isZoneName } from "./names.ts";
import { DNS_OPERATIONS } from "./operations.ts";
import { readRecordSet, wantedSet } from "./recordSet.ts";
import { change } from "./sync.ts";

const ManagedZone = z.object({ name: z.string(), dnsName: z.string() });

/** Changes one plain record set of a managed zone, and leaves alone whatever is more than a name, a type, values and a TTL. */
export function gcpDns(context: GcpContext): ActionProvider<DnsArgs, RecordState> {
  const { gcp } = context;
  const callsOf = (gate: Gate, args: DnsArgs, errand: Errand): GcpCalls =>
    gcpCalls(context, gate, errand, `${args.zone}/${args.name}`);
  return {
    operations: DNS_OPERATIONS,
    places: () => placesOf(gcp, "dns", "global", ["GET", "POST"]),
    async describe(gate, args, errand) {
      const calls = callsOf(gate, args, errand);
      const missing = { missing: `there is no managed zone ${args.zone} in ${gcp.project}` };
      if (!isZoneName(args.zone)) return missing;
      try {
        if (!(await holds(context, calls, args)))
          return { missing: `the managed zone ${args.zone} does not hold the name ${args.name}` };
        const seen = await readRecordSet({ gcp, calls }, args);
        if ("unusual" in seen) return { unreadable: seen.unusual };
        if (seen.set === null) return { state: { record: null } };
        // What cannot stand in an intent cannot be judged.
        if (!fitsEntry(seen.set)) return { unreadable: "too-large" };
        return { state: { record: { values: seen.set.values, ttl: seen.set.ttl } } };
      } catch (error) {
        if (error instanceof CallFailed && error.status === "missing") return missing;
        throw error;
      }
    },
    execute: (gate, args, found, errand) => update(context, callsOf(gate, args, errand), args, found, errand),
    reconcile: (gate, args, found, errand) => known(context, callsOf(gate, args, errand), args, found),
  };
}

/** Whether the zone's own name is the record's or above it. */
async function holds({ gcp }: GcpContext, calls: GcpCalls, args: DnsArgs): Promise<boolean> {
  const call = { gcp, calls, path: args.zone, method: "GET", query: {}, body: null } as const;
  const zone = (await dnsCall(call, ManagedZone)).dnsName.toLowerCase().replace(/\.$/, "");
  return zone !== "" && (args.name === zone || args.name.endsWith(`.${zone}`));
}

async function update(
  context: GcpContext,
  calls: GcpCalls,
  args: DnsArgs,
  found: RecordState,
  errand: Errand,
): Promise<Executed> {
  const wanted = wantedSet(args);
  if (wanted instanceof RangeError) return failed("values", [], wanted.message);
  if (args.change === "create" && found.record !== null) return failed("exists");
  if (args.change !== "create" && found.record === null) return failed("not-there");
  try {
    const seen = await readRecordSet({ gcp: context.gcp, calls }, args);
    // The policy judged another record set.
    if ("unusual" in seen) return failed("concurrent", [], seen.unusual);
    if (!same(seen.set, found.record)) return failed("concurrent");
    if (same(seen.set, wanted)) return succeeded([]);
    return await change({ context, calls, args, errand, before: seen.set, wanted });
  } catch (error) {
    // Nothing was changed yet: what was, `change` says itself.
    return stoppedBy(error);
  }
}

/** What an intent became, by what lies there now. Throws CallFailed when it cannot be read: whoever asked asks again. */
async function known(context: GcpContext, calls: GcpCalls, args: DnsArgs, found: RecordState): Promise<Reconciled> {
  const wanted = wantedSet(args);
  // Execution refuses these before it calls anything.
  if (wanted instanceof RangeError) return byState(failed("values", [], wanted.message));
  const read = () => readRecordSet({ gcp: context.gcp, calls }, args);
  let now = await read();
  if ("set" in now && same(now.set, found.record) && !same(now.set, wanted)) {
    await context.host.clock.sleep(IN_FLIGHT_MS);
    now = await read();
  }
  // Someone else wrote since: whether ours was there in between cannot be read from it.
  if ("unusual" in now) return byState(unknown("concurrent", [], now.unusual));
  const changed = changes(args, found.record, now.set);
  if (same(now.set, wanted)) return byState(succeeded(changed));
  return byState(same(now.set, found.record) ? failed("not-done") : unknown("concurrent", changed));
}
