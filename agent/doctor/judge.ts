import type { Facts } from "./facts.ts";
import { enrolmentLines, epochLines, trustLines } from "./identity.ts";
import type { Line } from "./line.ts";
import { clockLines, diskLines, environmentLines } from "./machine.ts";
import { dnsLines, endpointLines, pinLines, proxyLines } from "./network.ts";
import { approvalsLines, configLines, ownerLines, policyLines, switchLines } from "./owner.ts";
import { contactLines, logLines, providerLines } from "./record.ts";
import { permissionLines } from "./state.ts";

/** What the facts mean, in doctor's order. Pure: the same facts give the same lines. */
export function judge({ ran, config, clock, installed }: Facts): Line[] {
  if (installed === null)
    return [...environmentLines(ran), ...configLines(config, null, ran.user), ...clockLines(clock, ran.at, null, [])];
  const { owner, network, identity, log } = installed;
  return [
    ...environmentLines(ran),
    ...configLines(config, installed.config, ran.user),
    ...policyLines(owner, installed.config, log),
    ...switchLines(owner),
    ...ownerLines(owner, ran.user),
    ...approvalsLines(owner, ran.user),
    ...clockLines(clock, ran.at, log, network.endpoints),
    ...diskLines(installed.disk),
    ...permissionLines(installed.paths, ran.user),
    ...dnsLines(network),
    ...pinLines(network),
    ...proxyLines(network, installed.config, ran.forbidden),
    ...endpointLines(network),
    ...enrolmentLines(identity, ran.at, config.path),
    ...epochLines(identity, log),
    ...trustLines(identity),
    ...logLines(log),
    ...contactLines(installed.status),
    ...providerLines(installed.provider),
  ];
}
