/** What the stages of several clouds share: a policy of all three actions. */
/** What rules name, as the cloud calls it. `below`: the DNS name that records are below. */
export type CloudNames = {
  readonly group: string;
  readonly authority: string;
  readonly zone: string;
  readonly below: string;
};

export function cloudRules({ group, authority, zone, below }: CloudNames): string {
  return `  - id: brokers
    why: More or less load.
    allow: scale
    group: ${group}
    count: { min: 1, max: 9 }
    change: { up: 5, down: 5 }
    rate: 1000 per hour
    when: always
    approval: none
  - id: certificates
    why: TLS for brokers.
    allow: issue-certificate
    authority: ${authority}
    names: { below: prod-eu-1.example.com }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 1000 per day
    when: always
    approval: none
  - id: records
    why: Clients find brokers by name.
    allow: update-dns
    zone: ${zone}
    changes: [create, replace, delete]
    names: { below: ${below} }
    types: [A]
    values: { within: [10.20.0.0/16] }
    ttl: { min: 30s, max: 1h }
    rate: 1000 per hour
    when: always
    approval: none`;
}
