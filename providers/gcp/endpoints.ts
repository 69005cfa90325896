import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import type { CallPlace } from "../provider.ts";
import type { Service } from "./operations.ts";

/** Services that are called: those of the actions, and the one that says which permissions the caller has. */
export type Called = Service | "cloudresourcemanager";

/** The config's private endpoint, else Google's public one. Nothing else decides it: no variable, no shared file, no answer. */
export function endpointOf({ endpoints }: GcpConfig, service: Called): URL {
  return new URL(endpoints[service] ?? `https://${service}.googleapis.com`);
}

/** A host as the gate compares it: a port that is not https's own, and plain http, are part of it. */
export function hostText({ protocol, hostname, port }: Pick<URL, "protocol" | "hostname" | "port">): string {
  const at = port === "" || (protocol === "https:" && port === "443") ? hostname : `${hostname}:${port}`;
  return protocol === "https:" ? at : `${protocol}//${at}`;
}

/** What a command may call of a service, one place for each method. `region`: a region, a zone, or `global`. */
export function placesOf(gcp: GcpConfig, service: Service, region: string, methods: readonly string[]): CallPlace[] {
  const host = hostText(endpointOf(gcp, service));
  return methods.map((method) => ({ host, region, method }));
}
