import { parseConfig } from "../../agent/config.ts";
import type { Road } from "../../agent/road.ts";
import type { Policy } from "../../policy/policy.ts";

const CONFIG = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://control.vendor.example:8443", trust_sha256: ${"A".repeat(43)} }
token: { credential: reeve-token }
provider: aws
aws: { account: "111122223333", role: reeve, region: eu-west-1, partition: aws }
`;

function config(): Road["config"] {
  const parsed = parseConfig(CONFIG);
  if (!("config" in parsed)) throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

/** Whose agent a road is, and where it works. */
export const HERE: Pick<Road, "trustDomain" | "cluster" | "config"> = {
  trustDomain: "vendor.example",
  cluster: "prod-eu-1",
  config: config(),
};

type Meant = Pick<Policy, "vendor" | "cluster" | "place">;
const place = { cloud: "aws", account: "111122223333", region: "eu-west-1" } as const;
/** What a policy for it says of that. */
export const MEANT: Meant = { vendor: "vendor.example", cluster: "prod-eu-1", place };
/** Fields of policies that are for somebody or somewhere else. */
export const ELSEWHERE: readonly (readonly [string, Partial<Meant>])[] = [
  ["vendor", { vendor: "another.example" }],
  ["cluster", { cluster: "prod-eu-2" }],
  ["account", { place: { ...place, account: "444455556666" } }],
  ["region", { place: { ...place, region: "eu-central-1" } }],
  ["cloud", { place: { cloud: "local" } }],
];
