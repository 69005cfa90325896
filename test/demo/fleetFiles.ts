import { VENDOR } from "./files.ts";

/** What each customer of the fleet writes, and what the vendor says of its images. */

export const SIGNER = `${VENDOR}/release-2026`;
export const GROUP = "brokers";

export type Wiring = {
  readonly scratch: string;
  readonly cluster: string;
  readonly uid: number;
  readonly enrol: string;
  readonly trust: string;
  readonly root: string;
  /** The program of the first image. */
  readonly program: string;
};

/** YAML takes JSON for values, so nothing here needs quoting rules of its own. */
export function configText(at: Wiring): string {
  const folder = `${at.scratch}/${at.cluster}`;
  const local = { groups: { [GROUP]: { command: [at.program, "infinity"], stop_seconds: 2, deploy_as_agent: true } } };
  return `version: 1
cluster: ${at.cluster}
control_plane:
  enrol: ${at.enrol}
  trust_sha256: ${at.trust}
  root_sha256: ${at.root}
state: ${folder}/state
runtime: ${folder}/runtime
owner: { directory: ${folder}/owner, uid: ${at.uid} }
token: { file: ${folder}/token }
provider: local
artifacts: { control_plane: true, directory: ${at.scratch}/artifacts, uid: ${at.uid} }
local: ${JSON.stringify(local)}
`;
}

export function policyText(cluster: string, signer: string): string {
  return `# What ${VENDOR} may do here. Nothing else.
version: 1
revision: 1
cluster: ${cluster}
vendor: ${VENDOR}
place: { cloud: local }
people: {}
signers: { release-2026: ${signer} }
share: [policy, manifest]
dry_run: allowed
rules:
  - id: brokers-deploy
    why: New versions of the brokers, one machine at a time.
    allow: deploy
    group: ${GROUP}
    signers: { by: [release-2026], need: 1 }
    version: { min: 1.0.0, max: 1.999999.999999 }
    unavailable: 1
    rate: 10 per day
    when: always
    approval: none
  - id: brokers-scale
    why: Follow the load.
    allow: scale
    group: ${GROUP}
    count: { min: 0, max: 3 }
    change: { up: 3, down: 3 }
    rate: 10 per hour
    when: always
    approval: none
tests: []
`;
}

/** CycloneDX, as a scanner would write it of an image: a few libraries, one of which is the one that matters here. */
export function sbomText(libssl: string): string {
  const libraries: readonly (readonly [string, string])[] = [
    ["libc6", "2.36-9+deb12u9"],
    ["libssl3", `${libssl}-1~deb12u2`],
    ["zlib1g", "1:1.2.13.dfsg-1"],
  ];
  const components = libraries.map(([name, version]) => ({
    type: "library",
    name,
    version,
    purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?distro=debian-12`,
  }));
  return JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.6", version: 1, components });
}

export function parametersText(cluster: string, image: string): string {
  return `cluster: ${cluster}
place: { cloud: local, account: "", region: "" }
images: { broker: "${image}" }
groups: { ${GROUP}: { image: broker, count: 2 } }
zones: []
authorities: []
names: []
`;
}
