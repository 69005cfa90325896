/** A policy to begin with: valid as it is, it permits nothing. Its examples are valid too, once their `#` is taken away. */
export const PROVIDERS = ["local", "aws", "gcp", "azure"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** How each cloud names what rules are about. */
type Names = {
  readonly where: string;
  readonly place: string;
  readonly group: string;
  readonly groupIs: string;
  readonly authority: string;
  readonly authorityIs: string;
  readonly zone: string;
  readonly zoneIs: string;
};

const NAMES: Readonly<Record<Provider, Names>> = {
  local: {
    where: "on this machine",
    place: "{ cloud: local }",
    group: "my-brokers",
    groupIs: "a group's name in reeve.yaml, under local.groups",
    authority: "my-ca",
    authorityIs: "an authority's name in reeve.yaml, under local.authorities",
    zone: "my-cluster.example.com",
    zoneIs: "a zone's name in reeve.yaml, under local.zones",
  },
  aws: {
    where: "in this AWS account and region",
    place: '{ cloud: aws, account: "000000000000", region: eu-west-1 }',
    group: "my-brokers",
    groupIs: "an Auto Scaling group's name",
    authority: "arn:aws:acm-pca:eu-west-1:000000000000:certificate-authority/00000000-0000-0000-0000-000000000000",
    authorityIs: "the ARN of an authority of AWS Private CA",
    zone: "Z00000000000000000000",
    zoneIs: "a hosted zone's id in Route 53",
  },
  gcp: {
    where: "in this Google Cloud project and region",
    place: "{ cloud: gcp, project: my-project, region: europe-west1 }",
    group: "my-brokers",
    groupIs: "a managed instance group's name",
    authority: "projects/my-project/locations/europe-west1/caPools/my-pool",
    authorityIs: "a CA pool of Certificate Authority Service",
    zone: "my-zone",
    zoneIs: "a managed zone's name in Cloud DNS",
  },
  azure: {
    where: "in this Azure subscription and resource group",
    place: "{ cloud: azure, subscription: 00000000-0000-0000-0000-000000000000, resource_group: my-group }",
    group: "my-brokers",
    groupIs: "a scale set's name",
    authority: "my-vault/my-ca",
    authorityIs: "the key vault and the CA's key in it",
    zone: "my-cluster.example.com",
    zoneIs: "a DNS zone's name",
  },
};

/** The file's text. `cluster` and `vendor` are names that the policy's schema takes. */
export function starter(provider: Provider, cluster: string, vendor: string): string {
  const names = NAMES[provider];
  return `# What ${vendor} may do ${names.where}. What is not said here is refused.
#
# 1. Fill in place, people if somebody is to approve anything, and signers if releases are to be deployed.
# 2. Write rules: take away the # in front of an example's lines, and the line \`rules: []\`. Then put in your own names.
# 3. Write a test for each rule, and one for what must never be permitted. A file whose tests fail does not load.
# 4. reeve policy check FILE, and when every sentence is what you mean: reeve policy check FILE --install
version: 1
revision: 1                # raise it with each change
cluster: ${cluster}
vendor: ${vendor}
place: ${names.place}
people: {}                 # who can approve: { alice: ssh-ed25519 AAAA… }
signers: {}                # who signs manifests: { release: vendor.example/release+… }
share: []                  # what the vendor may see besides log entries: policy, manifest
dry_run: refused           # or: allowed
rules: []
tests: []

# Adding machines, a few at a time. Its group is ${names.groupIs}.
#rules:
#  - id: brokers-grow
#    why: More load. Adds machines.
#    allow: scale
#    group: ${names.group}
#    count: { min: 3, max: 9 }
#    change: { up: 2, down: 0 }          # machines, per command
#    rate: 4 per hour
#    when: always
#    approval: none                      # or: { by: [alice], need: 1, within: 2h }

# Certificates for names below a domain, for keys that never leave the cluster. Its authority is ${names.authorityIs}.
#  - id: broker-certificates
#    why: TLS between brokers, and from our clients.
#    allow: issue-certificate
#    authority: ${names.authority}
#    names: { below: ${cluster}.example.com }
#    key: { made: in-cluster, type: [P-256] }
#    usages: [server]
#    validity: { min: 1h, max: 30d }
#    rate: 20 per day
#    when: always
#    approval: none

# Addresses of names below a domain, within your own network. Its zone is ${names.zoneIs}.
#  - id: broker-dns
#    why: Clients find brokers by name.
#    allow: update-dns
#    zone: ${names.zone}
#    changes: [create, replace]          # and: delete
#    names: { below: brokers.${cluster}.example.com }
#    types: [A]
#    values: { within: [10.20.0.0/16] }
#    ttl: { min: 30s, max: 1h }
#    rate: 60 per hour
#    when: Mon-Fri 08:00-17:00 Europe/Berlin
#    approval: none

# Releases: the group's machines are replaced, one at a time, by ones of a manifest that the vendor's release key signed. Whoever holds that
# key decides what runs here, so a person is asked. First write the key under signers, as \`release\`, and alice under people.
#  - id: brokers-release
#    why: New versions of the brokers.
#    allow: deploy
#    group: ${names.group}
#    signers: { by: [release], need: 1 }
#    version: { min: 4.1.0, max: 4.999999.999999 }
#    unavailable: 1                      # machines out of service at once
#    rate: 2 per day
#    when: Mon-Fri 08:00-17:00 Europe/Berlin
#    approval: { by: [alice], need: 1, within: 2h }

# One test for each rule, and one for a limit.
#tests:
#  - given: { count: 5, at: 2026-11-24T09:00:00Z }
#    ask: { action: scale, group: ${names.group}, count: 7 }
#    allow: brokers-grow
#  - given: { count: 9, at: 2026-11-24T09:00:00Z }
#    ask: { action: scale, group: ${names.group}, count: 10 }
#    refuse: count
#  - given: { csr: { names: [b1.${cluster}.example.com], key: P-256, made: in-cluster }, at: 2026-11-24T09:00:00Z }
#    ask: { action: issue-certificate, authority: "${names.authority}", usages: [server], validity: 30d }
#    allow: broker-certificates
#  - given: { record: none, at: 2026-11-24T09:00:00Z }
#    ask:
#      action: update-dns
#      zone: ${names.zone}
#      name: b1.brokers.${cluster}.example.com
#      type: A
#      change: create
#      values: [10.20.3.4]
#      ttl: 60s
#    allow: broker-dns
#  - given: { manifest: { signed_by: [release], version: 4.2.0 }, at: 2026-11-24T09:00:00Z }
#    ask: { action: deploy, group: ${names.group} }
#    wait: brokers-release
`;
}
