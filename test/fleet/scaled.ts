import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Customer, CustomerFiles, Wiring } from "./fleet.ts";

/** Customers whose group may be scaled, and whose processes write down that they were started. */
const POLICY = (cluster: string): string => `version: 1
revision: 1
cluster: ${cluster}
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: allowed
rules:
  - id: brokers
    why: More load, and less.
    allow: scale
    group: brokers
    count: { min: 0, max: 4 }
    change: { up: 4, down: 4 }
    rate: 1000 per hour
    when: always
    approval: none
tests: []
`;

export function scaledFiles({ folder, cluster, enrol, trust }: Wiring): CustomerFiles {
  const path = (name: string): string => join(folder, cluster, name);
  mkdirSync(path("."), { recursive: true, mode: 0o755 });
  writeFileSync(path("started"), "");
  writeFileSync(path("workload"), `#!/bin/sh\necho "$$" >>${path("started")}\nwhile :; do sleep 1; done\n`, {
    mode: 0o755,
  });
  const config = `version: 1
cluster: ${cluster}
control_plane: { enrol: "https://${enrol}", trust_sha256: ${trust} }
state: ${path("state")}
runtime: ${path("runtime")}
owner: { directory: ${path("owner")}, uid: ${process.getuid?.() ?? 0} }
csr: ${path("csr")}
token: { file: ${path("token")} }
provider: local
local:
  groups: { brokers: { command: [${path("workload")}, "{n}"], stop_seconds: 2 } }
`;
  return { config, policy: POLICY(cluster) };
}

/** How many processes of the group were ever started. */
export function startedOf(customer: Customer): number {
  return readFileSync(join(customer.folder, "started"), "utf8").split("\n").filter(Boolean).length;
}
