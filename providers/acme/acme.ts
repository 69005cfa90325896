import type { AcmeConfig } from "../../agent/providerConfig/acme.ts";
import { inDns } from "../../policy/acme.ts";
import type { Provider } from "../provider.ts";
import type { AcmeContext, AcmeSetting } from "./call.ts";
import { acmeCertificate } from "./certificate.ts";
import { reached } from "./reach.ts";
import { tlsRootsOf } from "./roots.ts";

/**
 * Gives a provider the ACME authorities of the config, for rules whose authority begins with `acme:`. Names are proven by its own DNS.
 * `state`: a folder for accounts' keys and for what was ordered.
 */
export function withAcme(setting: AcmeSetting, config: AcmeConfig, provider: Provider, state: string): Provider {
  if (Object.keys(config).length === 0) return provider;
  const contextOf = (name: string): AcmeContext | null => {
    const acme = Object.hasOwn(config, name) ? config[name] : undefined;
    if (acme === undefined) return null;
    return { setting, acme, state: `${state}/${name}`, roots: () => tlsRootsOf({ setting, acme }) };
  };
  const dns = provider["update-dns"];
  return {
    name: provider.name,
    scale: provider.scale,
    "issue-certificate": provider["issue-certificate"],
    "update-dns": dns,
    acme: acmeCertificate(contextOf, dns),
    bucket: provider.bucket,
    prove: provider.prove,
    // It may still be learnt.
    get ownGroups() {
      return provider.ownGroups;
    },
    async probe(rules, signal) {
      const [cloud, ...authorities] = await Promise.all([
        provider.probe(rules.map(inDns), signal),
        ...Object.keys(config).map((name) => reached(name, contextOf(name), dns, rules, signal)),
      ]);
      return [...cloud, ...authorities.flat()];
    },
  };
}
