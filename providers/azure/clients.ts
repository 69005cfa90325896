import { ComputeManagementClient } from "@azure/arm-compute";
import { DnsManagementClient } from "@azure/arm-dns";
import { createPipelineRequest, type HttpClient, type PipelineResponse } from "@azure/core-rest-pipeline";
import { CryptographyClient, KeyClient, type KeyVaultKey } from "@azure/keyvault-keys";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import type { Token } from "./credentials.ts";
import { type Endpoint, sdkUrl } from "./endpoints.ts";

/** A vault's keys, and what one of them signs. */
export type VaultClient = {
  readonly keys: KeyClient;
  /** The key as it was read: the client does not read it once more. */
  crypto(key: KeyVaultKey): CryptographyClient;
};
/** Reads what stands at a URL of Resource Manager's, with its token. */
export type StatusClient = { get(url: string): Promise<PipelineResponse> };
export type ClientOf = {
  readonly compute: ComputeManagementClient;
  readonly status: StatusClient;
  readonly dns: DnsManagementClient;
  readonly vault: VaultClient;
};
export type Kind = keyof ClientOf;

type Made = {
  readonly azure: AzureConfig;
  readonly endpoint: Endpoint;
  readonly token: Token;
  readonly httpClient: HttpClient;
};

/** Everything that the SDK would else decide for itself, said here: it follows and repeats nothing, and has no network but `httpClient`. */
function settingsOf({ endpoint, token, httpClient }: Made) {
  const credential = { getToken: async () => ({ token: token.token, expiresOnTimestamp: token.until }) };
  const url = sdkUrl(endpoint);
  const common = { httpClient, retryOptions: { maxRetries: 0 }, redirectOptions: { maxRetries: 0 } };
  return { credential, url, common, scope: `${endpoint.audience.replace(/\/$/, "")}/.default` };
}

function compute(made: Made): ComputeManagementClient {
  const { credential, url, common, scope } = settingsOf(made);
  const options = { ...common, endpoint: url, credentials: { scopes: [scope] } };
  return new ComputeManagementClient(credential, made.azure.subscription, options);
}

const MAKE: { readonly [K in Kind]: (made: Made) => ClientOf[K] } = {
  compute,
  status(made) {
    const { pipeline } = compute(made);
    return { get: (url) => pipeline.sendRequest(made.httpClient, createPipelineRequest({ url, method: "GET" })) };
  },
  dns(made) {
    const { credential, url, common, scope } = settingsOf(made);
    const options = { ...common, endpoint: url, $host: url, credentialScopes: scope };
    return new DnsManagementClient(credential, made.azure.subscription, options);
  },
  vault(made) {
    const { credential, url, common } = settingsOf(made);
    // The challenge is ours, out of the config (call.ts): there is none of the network's to be verified.
    const options = { ...common, disableChallengeResourceVerification: true };
    return {
      keys: new KeyClient(url, credential, options),
      crypto: (key) => new CryptographyClient(key, credential, options),
    };
  },
};

/** A client for one call. */
export function clientOf<K extends Kind>(kind: K, made: Made): ClientOf[K] {
  return MAKE[kind](made);
}
