import type { RecordSet as Given, RecordType } from "@azure/arm-dns";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import type { DnsArgs } from "../../policy/asked.ts";
import { CallFailed } from "../provider.ts";
import { MAX_TTL_SECONDS } from "../recordState.ts";
import type { AzureCalls } from "./call.ts";
import { plain, recordsOf, valuesOf } from "./recordValue.ts";

/** A plain record set: seconds, and values as they are judged. */
export type RecordSet = {
  readonly ttl: number;
  readonly values: readonly string[];
  /** For If-Match: what it was when it was read. */
  readonly etag: string;
  /** Labels that others gave it; they stay. */
  readonly metadata: Readonly<Record<string, string>> | null;
};
/** What lies under a name and type, or why it must not be touched, as a short stable word. */
export type Seen = { readonly set: RecordSet | null } | { readonly unusual: string };

/** The name within its zone, as Azure DNS has it: "@" for the zone's own. */
export function relativeName({ zone, name }: Pick<DnsArgs, "zone" | "name">): string {
  return name === zone ? "@" : name.slice(0, -zone.length - 1);
}

/** The name's record set of the type, exactly. Throws CallFailed. */
export async function readRecordSet(calls: AzureCalls, azure: AzureConfig, args: DnsArgs): Promise<Seen> {
  let found: Given;
  try {
    found = await calls.send("dns", (client) =>
      client.recordSets.get(azure.resource_group, args.zone, relativeName(args), args.type),
    );
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return { set: null };
    throw error;
  }
  return seenOf(found, args);
}

function seenOf(found: Given, { type }: DnsArgs): Seen {
  // Its values are another resource's: to put it back is more than values.
  if (found.targetResource?.id !== undefined) return { unusual: "record-alias" };
  const { ttl, etag, metadata } = found;
  if (ttl === undefined || etag === undefined || !/^[\x21-\x7e]{1,256}$/.test(etag))
    return { unusual: "record-unusual" };
  try {
    const values = valuesOf(type, found);
    if (values.length === 0) return { unusual: "record-unusual" };
    const labels = metadata === undefined || Object.keys(metadata).length === 0 ? null : metadata;
    return { set: { ttl, values, etag, metadata: labels } };
  } catch (error) {
    // A value that has no spelling in a policy cannot be judged.
    if (error instanceof RangeError) return { unusual: "record-unusual" };
    throw error;
  }
}

/** What a command wants to lie there. */
export type Wanted = { readonly ttl: number; readonly values: readonly string[] };

/** Null: nothing. A RangeError says what about it is no record set. */
export function wantedSet(args: DnsArgs): Wanted | null | RangeError {
  if (args.change === "delete") return null;
  const { type, ttl } = args;
  if (ttl < 1 || ttl > MAX_TTL_SECONDS) return new RangeError("Azure DNS takes a TTL of 1 to 2147483647 seconds");
  try {
    const values = [...new Set(args.values.map((value) => plain(type, value)))].sort();
    if (values.length === 0 || (type === "CNAME" && values.length > 1))
      return new RangeError("too few or too many values");
    return { ttl, values };
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}

/** Only if it is still as it was read: a new one must not be there, an old one must have its etag. Throws CallFailed and Halted. */
export async function writeRecordSet(
  calls: AzureCalls,
  azure: AzureConfig,
  args: DnsArgs,
  before: RecordSet | null,
  wanted: Wanted | null,
): Promise<void> {
  const [relative, type] = [relativeName(args), args.type as RecordType];
  await calls.send("dns", async (client) => {
    if (wanted === null) {
      // What is not there is not deleted: this is asked with what was read.
      if (before === null) throw new Error("nothing to be deleted");
      await client.recordSets.delete(azure.resource_group, args.zone, relative, type, { ifMatch: before.etag });
      return;
    }
    const labels = before?.metadata ?? null;
    const set = {
      ttl: wanted.ttl,
      ...recordsOf(args.type, wanted.values),
      ...(labels === null ? {} : { metadata: { ...labels } }),
    };
    const condition = before === null ? { ifNoneMatch: "*" } : { ifMatch: before.etag };
    await client.recordSets.createOrUpdate(azure.resource_group, args.zone, relative, type, set, condition);
  });
}
