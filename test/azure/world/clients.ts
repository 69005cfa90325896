/** The official clients, on the world as on Azure: with TLS, a token, and nothing of ours. */
import { ComputeManagementClient } from "@azure/arm-compute";
import { DnsManagementClient } from "@azure/arm-dns";
import { CryptographyClient, KeyClient, type KeyVaultKey } from "@azure/keyvault-keys";
import { SUBSCRIPTION, type World } from "./world.ts";

export function clientsOf(world: World) {
  const credential = {
    async getToken(scopes: string | string[]) {
      const audience = [scopes].flat()[0]?.replace(/\/\.default$/, "") ?? "";
      const { token, until } = world.machine.issue(audience, world.identity);
      return { token, expiresOnTimestamp: until * 1000 };
    },
  };
  const common = { tlsOptions: { ca: world.tlsRoot }, retryOptions: { retryDelayInMs: 5, maxRetryDelayInMs: 20 } };
  const arm = { ...common, endpoint: world.tlsUrl };
  const vault = { ...common, disableChallengeResourceVerification: true };
  return {
    credential,
    compute: new ComputeManagementClient(credential, SUBSCRIPTION, arm),
    dns: new DnsManagementClient(credential, SUBSCRIPTION, {
      ...arm,
      $host: world.tlsUrl,
      credentialScopes: "https://management.azure.com/.default",
    }),
    keys: new KeyClient(world.tlsUrl, credential, vault),
    crypto: (key: KeyVaultKey) => new CryptographyClient(key, credential, vault),
  };
}
