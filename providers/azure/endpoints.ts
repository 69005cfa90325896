import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import type { CallPlace } from "../provider.ts";
import { environmentOf } from "./environments.ts";

/** "arm": Resource Manager, whatever the service behind it; a key vault by its name. */
export type Service = "arm" | { readonly vault: string };

/** Where a service is called. `audience`: what a token for it is for. */
export type Endpoint = {
  readonly url: URL;
  /** As the gate compares it: plain http, and a port that is not https's own, are part of it. */
  readonly host: string;
  readonly audience: string;
};

/** The config's private endpoint, else Azure's public one. Nothing else decides it: no variable, no answer. */
export function endpointOf(azure: AzureConfig, service: Service): Endpoint {
  const { arm, armAudience, vaultDomain, vaultAudience } = environmentOf(azure);
  const [given, own, audience] =
    service === "arm"
      ? [azure.endpoints.arm, arm, armAudience]
      : [azure.endpoints.vault, `https://${service.vault}.${vaultDomain}`, vaultAudience];
  const url = new URL(given ?? own);
  return { url, host: url.protocol === "https:" ? url.host : url.origin, audience };
}

/** The same place in the spelling that the SDK takes: it hands no token to what is not https. */
export function sdkUrl({ url }: Endpoint): string {
  return `https://${url.host}`;
}

/** What a command may call, one place for each method. A call's region is the tenant whose token it carries. */
export function placesOf(azure: AzureConfig, service: Service, methods: readonly string[]): readonly CallPlace[] {
  const { host } = endpointOf(azure, service);
  return methods.map((method) => ({ host, region: azure.tenant, method }));
}
