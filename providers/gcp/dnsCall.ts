import type { z } from "zod";
import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { CallFailed } from "../provider.ts";
import type { GcpCalls } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { jsonOf } from "./failure.ts";

type Call = {
  readonly gcp: GcpConfig;
  readonly calls: GcpCalls;
  readonly method: "GET" | "POST";
  /** Below `managedZones/`. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: object | null;
};

/**
 * One call of Cloud DNS. Google's generated client for it comes only with those of every other API (200 MB); these are four calls of plain JSON,
 * and its discovery document is what the tests hold each of them to.
 */
export async function dnsCall<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.infer<Schema>> {
  const { gcp, calls, path, query, body, method } = call;
  const url = new URL(`/dns/v1/projects/${gcp.project}/managedZones/${path}`, endpointOf(gcp, "dns"));
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const bytes = body === null ? null : new TextEncoder().encode(JSON.stringify(body));
  const answer = await calls.send("dns", (wire) => wire(url, method, bytes));
  const read = schema.safeParse(jsonOf(answer));
  if (read.success) return read.data;
  throw new CallFailed("malformed", read.error.message, method === "GET" ? "none" : "unknown");
}
