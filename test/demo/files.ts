/** The two files that the customer writes for the demo. */

export const CLUSTER = "prod-eu-1";
export const VENDOR = "vendor.example";
export const GROUP = "prod-eu-1-brokers";
export const AUTHORITY = "clients";
export const ZONE = "example.com";
export const BELOW = "prod-eu-1.example.com";

export type Wiring = {
  readonly folder: string;
  readonly uid: number;
  readonly enrol: string;
  readonly trust: string;
  readonly root: string;
  /** Program and first arguments of the workload, and its first port. */
  readonly workload: readonly string[];
  readonly port: number;
  /** The zone's part of the config. */
  readonly zone: object;
};

/** YAML takes JSON for values, so nothing here needs quoting rules of its own. */
export function configText(at: Wiring): string {
  const local = {
    groups: {
      [GROUP]: {
        command: [...at.workload, at.folder, String(at.port), "{n}"],
        health: { probe: "http", url: `http://127.0.0.1:${at.port}/`, plus_n: true },
        stop_seconds: 5,
      },
    },
    authorities: { [AUTHORITY]: { directory: `${at.folder}/authority` } },
    zones: { [ZONE]: at.zone },
  };
  return `version: 1
cluster: ${CLUSTER}
control_plane:
  enrol: ${at.enrol}
  trust_sha256: ${at.trust}
  root_sha256: ${at.root}
state: ${at.folder}/state
runtime: ${at.folder}/runtime
owner: { directory: ${at.folder}/owner, uid: ${at.uid} }
token: { file: ${at.folder}/token }
provider: local
local: ${JSON.stringify(local)}
`;
}

export const POLICY = `# What ${VENDOR} may do here. Nothing else.
version: 1
revision: 1
cluster: ${CLUSTER}
vendor: ${VENDOR}
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: allowed
rules:
  - id: brokers-scale
    why: Follow the load.
    allow: scale
    group: ${GROUP}
    count: { min: 0, max: 3 }
    change: { up: 3, down: 3 }
    rate: 10 per hour
    when: always
    approval: none
  - id: broker-certificates
    why: TLS between brokers.
    allow: issue-certificate
    authority: ${AUTHORITY}
    names: { below: ${BELOW} }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 20 per day
    when: always
    approval: none
  - id: broker-dns
    why: Clients find brokers by name.
    allow: update-dns
    zone: ${ZONE}
    changes: [create, replace]
    names: { below: ${BELOW} }
    types: [A]
    values: { within: [10.20.0.0/16] }
    ttl: { min: 30s, max: 1h }
    rate: 60 per hour
    when: always
    approval: none
tests:
  - { given: { count: 2, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: ${GROUP}, count: 3 }, allow: brokers-scale }
  - { given: { count: 3, at: 2026-11-24T09:00:00Z }, ask: { action: scale, group: ${GROUP}, count: 12 }, refuse: count }
`;
