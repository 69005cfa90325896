import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { CallFailed, type Provider, type Setting } from "../provider.ts";
import { gcsBucket } from "./bucket.ts";
import type { GcpContext } from "./call.ts";
import { gcpCertificate } from "./certificate.ts";
import { tokenSource } from "./credentials.ts";
import { gcpDeploy } from "./deploy.ts";
import { gcpDns } from "./dns.ts";
import { metadataServer } from "./metadata.ts";
import { ownPlace } from "./own.ts";
import { platformProof } from "./platformProof.ts";
import { reached } from "./reach.ts";
import { gcpScale } from "./scale.ts";

/**
 * The provider for Google Cloud. Credentials come from the metadata server, and everything else from the config: no variable, shared file or
 * key file is read. Cloud Audit Logs see reeve's version beside the command's id.
 */
export async function gcpProvider(setting: Setting, gcp: GcpConfig): Promise<Provider> {
  const { clock } = setting.host;
  const metadata = metadataServer(gcp.endpoints.metadata, setting);
  const own = ownPlace(metadata, gcp.region);
  const context: GcpContext = { ...setting, gcp, tokens: tokenSource({ clock, metadata, gcp }) };
  const ownGroups = new Set<string>();
  const learn = async (): Promise<void> => {
    const group = await own.group();
    if (group !== null) ownGroups.add(group);
  };
  // So that the policy's own check can name it. What is not known here is seen by `scale` before anything is changed.
  await learn().catch(passing);
  return {
    name: "gcp",
    bucket: "bucket" in setting.owner ? gcsBucket(setting, setting.owner, context.tokens) : null,
    scale: gcpScale(context, own, (group) => ownGroups.add(group)),
    deploy: gcpDeploy(context, own, (group) => ownGroups.add(group)),
    "issue-certificate": gcpCertificate(context),
    "update-dns": gcpDns(context),
    prove: (binding) => platformProof(metadata, gcp, binding),
    get ownGroups() {
      return [...ownGroups];
    },
    probe: (rules, signal) => reached(context, own, rules, signal),
  };
}

/** The metadata server is away: not our mistake, and no reason not to start. */
function passing(error: unknown): void {
  if (!(error instanceof CallFailed)) throw error;
}
