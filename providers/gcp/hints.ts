/** What to do about a status of a failed call, for `doctor`. docs/PROVIDERS.md says more. */
const HINTS: Readonly<Record<string, string>> = {
  "identity-project": "Compare gcp.project in the config with the project that this machine runs in.",
  "identity-account": "Compare gcp.account in the config with the service account of this machine.",
  "no-account": "Give the machine the service account of the config's gcp.account.",
  "metadata-unreachable": "See that nothing stands between this machine and its metadata server.",
  "metadata-refused": "See that nothing stands between this machine and its metadata server.",
  "metadata-malformed": "See that nothing stands between this machine and its metadata server.",
  "own-instance": "Without the metadata server's word for this machine no group can be scaled.",
  tls: "The endpoint's certificate is not one of a public authority for that name: look at gcp.endpoints.",
  "tls-broken": "What answers there does not speak TLS well: look at gcp.endpoints, and at what stands between.",
  dns: "Look at the machine's name servers, and at gcp.endpoints in the config.",
  "no-route": "Open the way to the endpoint: Private Google Access, a route, a firewall's rule for outgoing traffic.",
  "connection-refused": "Look at gcp.endpoints in the config.",
  timeout: "Open the way to the endpoint: Private Google Access, a route, a firewall's rule for outgoing traffic.",
  denied: "Give the service account what `reeve policy permissions` prints; look for a deny policy.",
  "no-permission": "Give the service account what `reeve policy permissions` prints; look for a deny policy.",
  "api-disabled": "Turn the API on in the project: gcloud services enable.",
  "credentials-invalid": "See that the machine has the access scope cloud-platform.",
  missing: "Compare the name in the rule with what is in the project and region.",
  "own-group": "Name another group: the one that the agent runs in is never scaled.",
};

export function hintOf(status: string): string {
  return HINTS[status] ?? "docs/PROVIDERS.md says what the code means.";
}
