import type { z } from "zod";
import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import type { GcpCalls } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { jsonCall } from "./jsonCall.ts";

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
export function dnsCall<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.infer<Schema>> {
  const { gcp, calls, path, query, body, method } = call;
  const url = new URL(`/dns/v1/projects/${gcp.project}/managedZones/${path}`, endpointOf(gcp, "dns"));
  return jsonCall({ calls, service: "dns", url, method, query, ...(body === null ? {} : { body }) }, schema);
}
