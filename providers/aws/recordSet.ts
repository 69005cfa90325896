import { ListResourceRecordSetsCommand, type ResourceRecordSet } from "@aws-sdk/client-route-53";
import type { DnsArgs, DnsType } from "../../policy/asked.ts";
import { MAX_TTL_SECONDS } from "../recordState.ts";
import type { Seen } from "../recordTruth.ts";
import type { AwsCalls } from "./call.ts";
import { plainName, readValue, writeValue } from "./recordValue.ts";

/** A plain record set: seconds, and values as they are judged beside values as they lie there, byte for byte. */
export type RecordSet = {
  readonly ttl: number;
  readonly values: readonly string[];
  readonly raw: readonly string[];
};

/** Fields that make one of several record sets of the same name and type, or one that is another's: to put it back is more than values. */
const ROUTING: readonly (readonly [keyof ResourceRecordSet, string])[] = [
  ["AliasTarget", "alias"],
  ["TrafficPolicyInstanceId", "traffic-policy"],
  ["Weight", "weighted"],
  ["Region", "latency"],
  ["GeoLocation", "geolocation"],
  ["GeoProximityLocation", "geoproximity"],
  ["Failover", "failover"],
  ["MultiValueAnswer", "multivalue"],
  ["CidrRoutingConfig", "cidr"],
  ["SetIdentifier", "routed"],
  ["HealthCheckId", "health-checked"],
];

/** The name's record set of the type, exactly. Throws CallFailed. */
export async function readRecordSet(calls: AwsCalls, { zone, name, type }: DnsArgs): Promise<Seen<RecordSet>> {
  // The first from this name and type on: no other's record set is read.
  const input = { HostedZoneId: zone, StartRecordName: name, StartRecordType: type, MaxItems: 1 };
  const answer = await calls.send("route53", (client) => client.send(new ListResourceRecordSetsCommand(input)));
  const found = answer.ResourceRecordSets?.find((set) => plainName(set.Name ?? "") === name && set.Type === type);
  return found === undefined ? { set: null } : seenOf(found, type);
}

function seenOf(found: ResourceRecordSet, type: DnsType): Seen<RecordSet> {
  const routing = ROUTING.find(([field]) => found[field] !== undefined);
  if (routing !== undefined) return { unusual: `record-${routing[1]}` };
  const raw = (found.ResourceRecords ?? []).map(({ Value }) => Value ?? "");
  const { TTL: ttl } = found;
  if (ttl === undefined || raw.length === 0) return { unusual: "record-unusual" };
  try {
    return { set: { ttl, raw, values: raw.map((value) => readValue(type, value)).sort() } };
  } catch (error) {
    // A value that has no spelling in a policy cannot be judged.
    if (error instanceof RangeError) return { unusual: "record-unusual" };
    throw error;
  }
}

/** What the command wants to lie there; null: nothing. A RangeError says what about it is no record set. */
export function wantedSet(args: DnsArgs): RecordSet | null | RangeError {
  if (args.change === "delete") return null;
  const { type, ttl } = args;
  if (ttl < 0 || ttl > MAX_TTL_SECONDS) return new RangeError("a TTL has 31 bits (RFC 2181 section 8)");
  try {
    const given = [...new Set(args.values)];
    const raw = given.map((value) => writeValue(type, value));
    if (raw.length === 0 || (type === "CNAME" && raw.length > 1)) return new RangeError("too few or too many values");
    return { ttl, raw, values: raw.map((value) => readValue(type, value)).sort() };
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}
