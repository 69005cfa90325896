/** What to do about a status of a failed call, for `doctor`. docs/PROVIDERS.md says more. */
const HINTS: Readonly<Record<string, string>> = {
  "identity-account": "Compare aws.account in the config with the account that this machine runs in.",
  "identity-role": "Compare aws.role in the config with the role of this machine's instance profile.",
  "identity-partition": "Compare aws.partition and aws.region in the config with where this machine runs.",
  "identity-unclear": "Give the machine an instance profile with the role of the config's aws.role.",
  "no-role": "Give the machine an instance profile with the role of the config's aws.role.",
  "metadata-unreachable":
    "Turn the instance metadata service on (version 2); in a container its hop limit must be 2 or more.",
  "metadata-refused": "Turn the instance metadata service on (version 2); something between may refuse it.",
  "own-instance": "Turn the instance metadata service on: without it no group can be scaled.",
  tls: "The endpoint's certificate is not one of a public authority for that name: look at aws.endpoints.",
  "tls-broken": "What answers there does not speak TLS well: look at aws.endpoints, and at what stands between.",
  dns: "Look at the machine's name servers, and at aws.endpoints in the config.",
  "no-route": "Open the way to the endpoint: a route, a VPC endpoint, a security group's outgoing rule.",
  "connection-refused": "Look at aws.endpoints in the config, and at the VPC endpoint's security group.",
  timeout: "Open the way to the endpoint: a route, a VPC endpoint, a security group's outgoing rule.",
  "proxy-unreachable": "The proxy itself does not answer: compare egress.proxy, and see whether it runs.",
  "proxy-denied": "Have CONNECT to the endpoint permitted at the proxy, or name it as direct in egress.endpoints.",
  "proxy-credentials":
    "The proxy wants USER:PASSWORD, or another: egress.proxy.credentials_file, 0600, the agent's own.",
  "proxy-failed": "The proxy cannot reach the endpoint itself: see to its name service, its route, its log.",
  "proxy-malformed": "What answers at egress.proxy is no HTTP proxy that takes CONNECT: compare its address.",
  malformed: "What answers there is not AWS, or something on the way changes it: look at aws.endpoints.",
  denied: "Give the role what `reeve policy permissions` prints; look for a boundary or an SCP that denies it.",
  clock: "Set the machine's clock (chrony): AWS takes requests within five minutes of its own.",
  missing: "Compare the name in the policy with what there is in the account and region.",
  "authority-unusable": "Bring the authority into the state ACTIVE, or name another in the policy.",
  "own-template":
    "Give the group a launch template of its own: the agent's group launches from it too, and is never changed.",
  "template-shared":
    "Give the group a launch template of its own, or have the other name a version's number: a deploy makes a newer version.",
  "region-disabled": "Turn the region on in the account's settings, or name another in aws.region.",
};

/** For a call that IAM denied: the permissions that it needs, by the table that they are rendered from. */
export function denied(permissions: readonly string[]): string {
  return `Give the role ${permissions.join(", ")}, as \`reeve policy permissions\` prints it; look for a boundary or an SCP that denies it.`;
}

export function hintOf(status: string): string {
  return HINTS[status] ?? "docs/PROVIDERS.md says what the code means.";
}
