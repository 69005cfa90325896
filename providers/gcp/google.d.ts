/** What is used of Google's packages. Their own declarations hold all 13,000 messages of Compute Engine, which takes tsc a minute. */

declare module "google-gax/fallback" {
  export class GrpcClient {
    constructor(options: object);
    static protobufFromJSON(json: object): object;
    loadProtoJSON(json: object): object;
  }
  export const protobuf: { Root: { fromJSON(json: object): object } };
}

declare module "@google-cloud/compute/build/src/v1/region_instance_group_managers_client.js" {
  export { RegionInstanceGroupManagersClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
}
declare module "@google-cloud/compute/build/src/v1/autoscalers_client.js" {
  export { AutoscalersClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
}
declare module "@google-cloud/compute/build/src/v1/region_autoscalers_client.js" {
  export { RegionAutoscalersClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
}
declare module "@google-cloud/compute/build/src/v1/zone_operations_client.js" {
  export { ZoneOperationsClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
}
declare module "@google-cloud/compute/build/src/v1/region_operations_client.js" {
  export { RegionOperationsClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
}

/** One shape for the zonal and the regional ones: which of `zone` and `region` is given is all that differs. */
declare module "@google-cloud/compute/build/src/v1/instance_group_managers_client.js" {
  type Place = { readonly project: string; readonly zone?: string; readonly region?: string };
  type OfGroup = Place & { readonly instanceGroupManager: string };
  type ErrorList = {
    readonly errors?: readonly { readonly code?: string | null; readonly message?: string | null }[] | null;
  };
  export type Operation = {
    readonly name?: string | null;
    readonly status?: string | null;
    readonly clientOperationId?: string | null;
    readonly targetLink?: string | null;
    readonly error?: ErrorList | null;
    readonly httpErrorMessage?: string | null;
  };
  export type InstanceGroupManager = {
    readonly name?: string | null;
    readonly selfLink?: string | null;
    readonly targetSize?: number | null;
    readonly targetSizePolicy?: { readonly mode?: string | null } | null;
    readonly status?: { readonly isStable?: boolean | null; readonly autoscaler?: string | null } | null;
  };
  export type ManagedInstance = {
    readonly id?: string | null;
    readonly name?: string | null;
    readonly instance?: string | null;
    readonly currentAction?: string | null;
    readonly instanceStatus?: string | null;
    readonly targetStatus?: string | null;
    readonly lastAttempt?: { readonly errors?: ErrorList | null } | null;
  };
  export type Autoscaler = {
    readonly target?: string | null;
    readonly autoscalingPolicy?: {
      readonly mode?: string | null;
      readonly minNumReplicas?: number | null;
      readonly maxNumReplicas?: number | null;
    } | null;
  };
  /** `autoPaginate: false`: one request, and its answer whole as the third. */
  type Once = { readonly autoPaginate: false };
  class Groups {
    constructor(options: object, gax: object);
    get(request: OfGroup): Promise<[InstanceGroupManager]>;
    resize(
      request: OfGroup & { readonly size: number; readonly requestId: string },
    ): Promise<[{ readonly latestResponse: Operation }]>;
    listManagedInstances(
      request: OfGroup & { readonly maxResults: number; readonly pageToken?: string },
      options: Once,
    ): Promise<[readonly ManagedInstance[], unknown, { readonly nextPageToken?: string | null }]>;
  }
  class Autoscalers {
    constructor(options: object, gax: object);
    get(request: Place & { readonly autoscaler: string }): Promise<[Autoscaler]>;
  }
  class Operations {
    constructor(options: object, gax: object);
    get(request: Place & { readonly operation: string }): Promise<[Operation]>;
    list(request: Place & { readonly filter: string }, options: Once): Promise<[readonly Operation[]]>;
  }
  export class InstanceGroupManagersClient extends Groups {}
  export class RegionInstanceGroupManagersClient extends Groups {}
  export class AutoscalersClient extends Autoscalers {}
  export class RegionAutoscalersClient extends Autoscalers {}
  export class ZoneOperationsClient extends Operations {}
  export class RegionOperationsClient extends Operations {}
}

declare module "@google-cloud/security-private-ca/build/src/v1/certificate_authority_service_client.js" {
  export type Certificate = {
    readonly name?: string | null;
    readonly pemCertificate?: string | null;
    readonly pemCertificateChain?: readonly string[] | null;
    readonly issuerCertificateAuthority?: string | null;
  };
  export class CertificateAuthorityServiceClient {
    constructor(options: object, gax: object);
    fetchCaCerts(request: {
      readonly caPool: string;
    }): Promise<[{ readonly caCerts?: readonly { readonly certificates?: readonly string[] | null }[] | null }]>;
    getCertificate(request: { readonly name: string }): Promise<[Certificate]>;
    createCertificate(request: {
      readonly parent: string;
      readonly certificateId: string;
      readonly requestId: string;
      readonly certificate: object;
    }): Promise<[Certificate]>;
  }
}
