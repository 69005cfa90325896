import type { AzureConfig } from "../../agent/providerConfig/azure.ts";

/** One of Azure's clouds: Resource Manager, the names of key vaults, and what tokens for either are for. */
type Environment = {
  readonly arm: string;
  readonly armAudience: string;
  readonly vaultDomain: string;
  readonly vaultAudience: string;
  /** What storage accounts' hosts end in, after `ACCOUNT.blob.`. */
  readonly storageDomain: string;
  readonly storageAudience: string;
  /** What a token is for that opens nothing: only an application that trusts this very identity (a federated credential) takes it. */
  readonly exchangeAudience: string;
};

/** learn.microsoft.com: Azure Government and Azure China endpoints, Key Vault security worlds, trusting a managed identity. */
const ENVIRONMENTS: Readonly<Record<AzureConfig["environment"], Environment>> = {
  public: {
    arm: "https://management.azure.com",
    armAudience: "https://management.azure.com/",
    vaultDomain: "vault.azure.net",
    vaultAudience: "https://vault.azure.net",
    storageDomain: "core.windows.net",
    storageAudience: "https://storage.azure.com/",
    exchangeAudience: "api://AzureADTokenExchange",
  },
  "us-government": {
    arm: "https://management.usgovcloudapi.net",
    armAudience: "https://management.usgovcloudapi.net/",
    vaultDomain: "vault.usgovcloudapi.net",
    vaultAudience: "https://vault.usgovcloudapi.net",
    storageDomain: "core.usgovcloudapi.net",
    storageAudience: "https://storage.azure.com/",
    exchangeAudience: "api://AzureADTokenExchangeUSGov",
  },
  china: {
    arm: "https://management.chinacloudapi.cn",
    armAudience: "https://management.chinacloudapi.cn/",
    vaultDomain: "vault.azure.cn",
    vaultAudience: "https://vault.azure.cn",
    storageDomain: "core.chinacloudapi.cn",
    storageAudience: "https://storage.azure.com/",
    exchangeAudience: "api://AzureADTokenExchangeChina",
  },
};

export function environmentOf({ environment }: Pick<AzureConfig, "environment">): Environment {
  return ENVIRONMENTS[environment];
}
