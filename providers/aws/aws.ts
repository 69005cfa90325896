import type { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { CallFailed, type Provider, type Setting } from "../provider.ts";
import { s3Bucket } from "./bucket.ts";
import type { AwsContext } from "./call.ts";
import { awsCertificate } from "./certificate.ts";
import { credentialSource } from "./credentials.ts";
import { awsDeploy } from "./deploy.ts";
import { awsDns } from "./dns.ts";
import { metadataService } from "./metadata.ts";
import { ownPlace } from "./own.ts";
import { platformProof } from "./platformProof.ts";
import { prove } from "./prove.ts";
import { awsScale } from "./scale.ts";

/**
 * The provider for AWS. Credentials come from the instance metadata service, and everything else from the config: no variable, shared
 * file or profile is read. CloudTrail sees reeve's version beside the command's id.
 */
export async function awsProvider(setting: Setting, aws: AwsConfig): Promise<Provider> {
  const { host } = setting;
  const metadata = metadataService(aws.endpoints.metadata, setting);
  const own = ownPlace(metadata);
  const context: AwsContext = {
    ...setting,
    aws,
    credentials: credentialSource({
      clock: host.clock,
      metadata,
      role: aws.role,
      prove: (credentials, command) => prove({ ...setting, aws }, credentials, command),
    }),
  };
  const ownGroups = new Set<string>();
  const learn = async (): Promise<void> => {
    const group = await own.group();
    if (group !== null) ownGroups.add(group);
  };
  // So that the policy's own check can name it. What is not known here is seen by `scale` before anything is changed.
  await learn().catch(passing);
  return {
    name: "aws",
    scale: awsScale(context, own, (group) => ownGroups.add(group)),
    deploy: awsDeploy(context, own, (group) => ownGroups.add(group)),
    "issue-certificate": awsCertificate(context),
    "update-dns": awsDns(context),
    bucket: "region" in setting.owner ? s3Bucket(setting, aws, setting.owner, context.credentials) : null,
    prove: (binding) => platformProof(context, binding),
    get ownGroups() {
      return [...ownGroups];
    },
    async probe(rules, signal) {
      // Loaded when it is asked for: what only `doctor` does takes no memory of the agent's.
      const { reached } = await import("./reach.ts");
      return reached(context, own, rules, signal);
    },
  };
}

/** The metadata service is away: not our mistake, and no reason not to start. */
function passing(error: unknown): void {
  if (!(error instanceof CallFailed)) throw error;
}
