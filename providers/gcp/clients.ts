import { AutoscalersClient } from "@google-cloud/compute/build/src/v1/autoscalers_client.js";
import { InstanceGroupManagersClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
import { RegionAutoscalersClient } from "@google-cloud/compute/build/src/v1/region_autoscalers_client.js";
import { RegionInstanceGroupManagersClient } from "@google-cloud/compute/build/src/v1/region_instance_group_managers_client.js";
import { RegionOperationsClient } from "@google-cloud/compute/build/src/v1/region_operations_client.js";
import { ZoneOperationsClient } from "@google-cloud/compute/build/src/v1/zone_operations_client.js";
import { CertificateAuthorityServiceClient } from "@google-cloud/security-private-ca/build/src/v1/certificate_authority_service_client.js";
import * as fallback from "google-gax/fallback";
import type { Wire } from "./call.ts";

/** Google's own clients, by the HTTP/1.1 form of their APIs. Which of the zonal and regional ones: by where the group is. */
const MAKE = {
  zones: { groups: InstanceGroupManagersClient, autoscalers: AutoscalersClient, operations: ZoneOperationsClient },
  regions: {
    groups: RegionInstanceGroupManagersClient,
    autoscalers: RegionAutoscalersClient,
    operations: RegionOperationsClient,
  },
} as const;

export type Where = keyof typeof MAKE;
type Kind = keyof (typeof MAKE)[Where];

/** The descriptors of one package, read once: Google's own way hashes all of their text for each client. */
const roots = new WeakMap<object, object>();
function rootOf(json: object): object {
  const found = roots.get(json) ?? fallback.protobuf.Root.fromJSON(json);
  roots.set(json, found);
  return found;
}
class Client extends fallback.GrpcClient {
  override loadProtoJSON(json: object): object {
    return rootOf(json);
  }
}
const gax: Record<string, unknown> = { ...fallback, GrpcClient: Client, protobufFromJSON: rootOf };
gax["fallback"] = gax;

/** What a client is made with: everything that it would else look up in variables and shared files, and all that it has of a network. */
function optionsOf(endpoint: URL, wire: Wire): object {
  return {
    fallback: true,
    universeDomain: "googleapis.com",
    apiEndpoint: endpoint.hostname,
    protocol: endpoint.protocol.slice(0, -1),
    port: endpoint.port === "" ? (endpoint.protocol === "http:" ? 80 : 443) : Number(endpoint.port),
    auth: { getClient: async () => ({ universeDomain: "googleapis.com" }), fetch: fetchBy(wire) },
  };
}

type Asked = { readonly method: string; readonly body?: string | Uint8Array };

/** As google-gax calls it. Its own headers, which tell of the runtime, stay here. */
function fetchBy(wire: Wire) {
  return async (url: string, { method, body }: Asked) => {
    const bytes = await wire(new URL(url), method, bodyOf(body));
    return { ok: true, status: 200, arrayBuffer: async () => bytes };
  };
}

/** A method without a request message gets the JSON of an empty text, which stands for no body. */
function bodyOf(body: string | Uint8Array | undefined): Uint8Array | null {
  if (body === undefined || body === '""') return null;
  return typeof body === "string" ? new TextEncoder().encode(body) : body;
}

/** A client for one call. */
export function computeClient<W extends Where, K extends Kind>(
  where: W,
  kind: K,
  endpoint: URL,
  wire: Wire,
): InstanceType<(typeof MAKE)[W][K]> {
  const Made = MAKE[where][kind] as new (options: object, gax: object) => InstanceType<(typeof MAKE)[W][K]>;
  return new Made(optionsOf(endpoint, wire), gax);
}

export function authorityClient(endpoint: URL, wire: Wire): CertificateAuthorityServiceClient {
  return new CertificateAuthorityServiceClient(optionsOf(endpoint, wire), gax);
}
