/** A certificate by ACME whose names are proven in a cloud's DNS: what the tests of each cloud ask for, by the tests' own authority. */
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { AcmeConfig } from "../../agent/providerConfig/acme.ts";
import type { Policy } from "../../policy/policy.ts";
import { withAcme } from "../../providers/acme/acme.ts";
import type { AuthorityState, JudgedCertificateArgs, Provider } from "../../providers/provider.ts";
import { policyOf } from "../permissions/world.ts";
import type { Case } from "../providers/conformance.ts";
import type { Authority } from "./authority.ts";
import { HASTY, requestFor } from "./stage.ts";

/** A policy with this one rule. `place`: the cloud's, in one line. */
export function acmePolicy(place: string, zone: string, names: readonly string[]): Policy {
  return policyOf(`version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: ${place}
people: {}
signers: {}
share: []
dry_run: allowed
tests: []
rules:
  - id: public
    why: TLS that browsers trust.
    allow: issue-certificate
    authority: acme:test/zone/${zone}
    names: { exactly: ${JSON.stringify(names)} }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 20 per day
    when: always
    approval: none
`);
}

type Certificates = Omit<Case<JudgedCertificateArgs, AuthorityState>, "end">;

/** `left`: whether a challenge's record of one of the names stands in the zone. */
export async function acmeCase(of: {
  readonly folder: string;
  readonly authority: Authority;
  readonly cloud: Provider;
  readonly zone: string;
  readonly names: readonly string[];
  readonly left: (name: string) => boolean;
}): Promise<Certificates> {
  const { authority, cloud, zone, names, left } = of;
  const folder = mkdtempSync(join(of.folder, "case-"));
  const root = join(folder, "root.pem");
  writeFileSync(root, authority.root);
  const acme = AcmeConfig.parse({ test: { directory: authority.directory, terms: "agreed", root } });
  const setting = { uid: process.geteuid?.() ?? -1, host: HASTY, version: "9.9.9", dial: dialer(DIRECT) };
  const { acme: action } = withAcme(setting, acme, cloud, join(folder, "state"));
  if (action === undefined) throw new Error("there is no ACME in it");
  const deliver = join(folder, "leaf.crt");
  const before = authority.issued;
  const args: JudgedCertificateArgs = {
    ...{ authority: `acme:test/zone/${zone}`, usages: ["server"], validity: 2 * 86_400 },
    ...{ csrDer: await requestFor(names), names, deliver },
  };
  return {
    command: { action, args, resource: args.authority },
    absent: { ...args, authority: `acme:other/zone/${zone}` },
    stale: { subject: "https://another.example/directory" },
    async look() {
      if (names.some((name) => left(`_acme-challenge.${name}`))) return "other";
      if (!existsSync(deliver)) return authority.issued === before ? "before" : "other";
      return authority.issued === before + 1 ? "after" : "other";
    },
  };
}
