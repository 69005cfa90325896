import { z } from "zod";
import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import type { DnsArgs, DnsType } from "../../policy/asked.ts";
import { CallFailed } from "../provider.ts";
import { MAX_TTL_SECONDS } from "../recordState.ts";
import type { Seen } from "../recordTruth.ts";
import type { GcpCalls } from "./call.ts";
import { dnsCall } from "./dnsCall.ts";
import { MAX_PAGES } from "./limits.ts";
import { readValue, writeValue } from "./recordValue.ts";

/** A plain record set: seconds, and values as they are judged beside values as they lie there, byte for byte. */
export type RecordSet = {
  readonly ttl: number;
  readonly values: readonly string[];
  readonly raw: readonly string[];
};

/** Fields that are not used are let be; any of them that changes what is answered makes it another kind of record set. */
const Listed = z.object({
  name: z.string(),
  type: z.string(),
  ttl: z.number().int().min(0).optional(),
  rrdatas: z.array(z.string()).default([]),
  routingPolicy: z.unknown().optional(),
});
const Page = z.object({ rrsets: z.array(Listed).default([]), nextPageToken: z.string().default("") });

type In = { readonly gcp: GcpConfig; readonly calls: GcpCalls };

/** The name's record set of the type, exactly. Throws CallFailed. */
export async function readRecordSet({ gcp, calls }: In, { zone, name, type }: DnsArgs): Promise<Seen<RecordSet>> {
  let pageToken = "";
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = { name: `${name}.`, type, ...(pageToken === "" ? {} : { pageToken }) };
    const answer = await dnsCall({ gcp, calls, path: `${zone}/rrsets`, method: "GET", query, body: null }, Page);
    const found = answer.rrsets.find((set) => set.name.toLowerCase() === `${name}.` && set.type === type);
    if (found !== undefined) return seenOf(found, type);
    pageToken = answer.nextPageToken;
    if (pageToken === "") return { set: null };
  }
  throw new CallFailed("too-many-pages", `the record was not on ${MAX_PAGES} pages`, "none");
}

function seenOf({ ttl, rrdatas: raw, routingPolicy }: z.infer<typeof Listed>, type: DnsType): Seen<RecordSet> {
  if (routingPolicy !== undefined && routingPolicy !== null) return { unusual: "record-routed" };
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
    const raw = [...new Set(args.values)].map((value) => writeValue(type, value));
    if (raw.length === 0 || (type === "CNAME" && raw.length > 1)) return new RangeError("too few or too many values");
    return { ttl, raw, values: raw.map((value) => readValue(type, value)).sort() };
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}
