import { env } from "node:process";
import type { ArtifactsDirectory } from "../../agent/providerConfig/artifacts.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import type { Provider, Setting } from "../provider.ts";
import { localCertificate } from "./certificate.ts";
import { localDeploy } from "./deploy.ts";
import { localDns } from "./dns.ts";
import { reached } from "./reach.ts";
import { groupsOf, localScale } from "./scale.ts";

/**
 * The provider that needs no cloud: a group is processes of this machine, an authority a CA in a folder, a zone a name server over
 * RFC 2136 or a zone file. `state`: a folder for its own bookkeeping; `artifacts`: where programs lie that may be deployed. Reads nothing but the environment's word of its own group.
 */
export function localProvider(
  { host }: Pick<Setting, "host">,
  config: LocalConfig,
  state: string,
  artifacts: ArtifactsDirectory | null = null,
): Provider {
  const at = { host, config, state, artifacts };
  return {
    name: "local",
    scale: localScale(at),
    deploy: localDeploy(at),
    "issue-certificate": localCertificate(host, config),
    "update-dns": localDns(host, config),
    bucket: null,
    ownGroups: groupsOf(env),
    prove: null,
    probe: (_rules, signal) => reached(host, config, state, signal),
  };
}
