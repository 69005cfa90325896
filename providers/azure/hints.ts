/** What to do about a status of a failed call, for `doctor`. docs/PROVIDERS.md says more. */
const HINTS: Readonly<Record<string, string>> = {
  "identity-tenant": "Compare azure.tenant in the config with the tenant of this machine's subscription.",
  "identity-principal": "Compare azure.principal with the object id of the identity that azure.identity names.",
  "identity-client": "Compare azure.identity in the config with the client id of the user-assigned identity.",
  "identity-subscription": "Compare azure.subscription in the config with the subscription that this machine runs in.",
  "identity-audience": "Compare azure.environment in the config with the cloud that this machine runs in.",
  "identity-unclear": "Look at what answers at azure.endpoints.metadata: its token says nothing of itself.",
  "no-identity": "Give the machine the managed identity that azure.identity in the config names.",
  "metadata-unreachable": "Let the machine reach 169.254.169.254 (TCP 80); a container needs the host's route.",
  "metadata-refused": "Look at what answers at azure.endpoints.metadata; something between may refuse it.",
  "own-machine": "Look at what answers at azure.endpoints.metadata: without it no scale set is scaled.",
  tls: "The endpoint's certificate is not one of a public authority for that name: look at azure.endpoints.",
  "tls-broken": "What answers there does not speak TLS well: look at azure.endpoints, and at what stands between.",
  dns: "Look at the machine's name servers, at the private DNS zone of a private endpoint, and at azure.endpoints.",
  "no-route": "Open the way to the endpoint: a route, a private endpoint, an outgoing rule of the security group.",
  "connection-refused": "Look at azure.endpoints in the config, and at the private endpoint.",
  timeout: "Open the way to the endpoint: a route, a private endpoint, an outgoing rule of the security group.",
  denied: "Give the identity what `reeve policy permissions` prints; a new assignment takes up to ten minutes.",
  "azure-policy": "An Azure Policy of the subscription denies it: its words are in the log's details.",
  locked: "A lock of the resource or its group denies it: `az lock list` shows it.",
  missing: "Compare the rule's name with the resource group that azure.resource_group names.",
  "chain-unreadable": "Put the CA's certificates, PEM, its own first, where azure.authorities says.",
  "authority-key": "The chain's first certificate must be of the key and version that azure.authorities names.",
};

export function hintOf(status: string): string {
  return HINTS[status] ?? "docs/PROVIDERS.md says what the code means.";
}
