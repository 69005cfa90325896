import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { CallFailed, type Provider, type Setting } from "../provider.ts";
import { azureBucket, type StorageTokens } from "./bucket.ts";
import type { AzureContext } from "./call.ts";
import { azureCertificate } from "./certificate.ts";
import { type Token, type TokenSource, tokenSource } from "./credentials.ts";
import { azureDeploy } from "./deploy.ts";
import { azureDns } from "./dns.ts";
import { environmentOf } from "./environments.ts";
import { metadataService } from "./metadata.ts";
import { notesIn } from "./notes.ts";
import { ownMachine } from "./own.ts";
import { platformProof } from "./platformProof.ts";
import { reached } from "./reach.ts";
import { azureScale } from "./scale.ts";

/**
 * The provider for Azure. Tokens come from the instance metadata service, and everything else from the config: no variable, shared file or
 * command line tool is read. `folder`: of the agent's state, for what a command must be able to say after a crash.
 */
export async function azureProvider(setting: Setting, azure: AzureConfig, folder: string): Promise<Provider> {
  const { host } = setting;
  const metadata = metadataService(azure.endpoints.metadata, setting);
  const context: AzureContext = { ...setting, azure, tokens: tokenSource({ clock: host.clock, metadata, azure }) };
  const notes = notesIn(host.disk, folder);
  const { storageDomain, storageAudience } = environmentOf(azure);
  const owner = "bucket" in setting.owner ? setting.owner : null;
  const ownGroups = new Set<string>();
  const own = () => ownMachine(metadata);
  // So that the policy's own check can name it. What is not known here is seen by `scale` before anything is changed.
  const learn = async (): Promise<void> => {
    const { scaleSet, resourceGroup } = await own();
    if (scaleSet !== null && resourceGroup.toLowerCase() === azure.resource_group.toLowerCase())
      ownGroups.add(scaleSet);
  };
  await learn().catch(passing);
  return {
    name: "azure",
    scale: azureScale({ context, notes, own, learnt: (group) => ownGroups.add(group) }),
    deploy: azureDeploy({ context, notes, own, learnt: (group) => ownGroups.add(group) }),
    "issue-certificate": azureCertificate(context, notes),
    "update-dns": azureDns(context),
    bucket:
      owner === null ? null : azureBucket(setting, storageDomain, owner, tokensFor(context.tokens, storageAudience)),
    prove: (binding) => platformProof(metadata, azure, binding),
    get ownGroups() {
      return [...ownGroups];
    },
    probe: (rules, signal) => reached({ context, own }, rules, signal),
  };
}

/** Tokens for one audience alone, by their text. */
function tokensFor(tokens: TokenSource, audience: string): StorageTokens {
  let held: Token | null = null;
  return {
    async current() {
      held = await tokens.current(audience);
      return held.token;
    },
    forget(token) {
      if (held?.token === token) tokens.forget(audience, held);
    },
  };
}

/** The metadata service is away: not our mistake, and no reason not to start. */
function passing(error: unknown): void {
  if (!(error instanceof CallFailed)) throw error;
}
