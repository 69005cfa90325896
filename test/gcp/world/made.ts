import type { Structure } from "./discovery.ts";

export type Service = "compute" | "privateca" | "dns" | "cloudresourcemanager";

/** One call as it reached the world, and what became of it. */
export type Made = {
  /** Of the audit log entry. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly service: Service;
  /** As Google names the method in its discovery document: "compute.instanceGroupManagers.resize". */
  readonly operation: string;
  readonly httpMethod: string;
  readonly path: string;
  readonly parts: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Structure;
  readonly userAgent: string;
  /** The service account whose token it carried; null: none that is known. */
  readonly principal: string | null;
  /** What IAM was asked: permission and resource. */
  permissions: readonly (readonly [permission: string, resource: string])[];
  /** Google took the call in hand: the audit log has it. */
  reached: boolean;
  /** Something in the cloud is different because of it. */
  changed: boolean;
  /** Google's word for the error; null: none, or no answer of the service's own. */
  error: string | null;
  message: string | null;
  http: number;
  result: Structure | null;
  /** The service's answer left whole and unchanged. */
  heard: boolean;
  /** The resource as the audit log names it, and the long-running operation that it began. */
  about: string;
  longRunning: string | null;
};

/** What a service refuses: the HTTP status, the reason of the older APIs' errors and the status of the newer ones'. */
export class ServiceError extends Error {
  constructor(
    readonly http: number,
    readonly reason: string,
    message: string,
    readonly details: readonly Structure[] = [],
  ) {
    super(message);
    this.name = "ServiceError";
  }
}

const STATUS: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ALREADY_EXISTS",
  412: "FAILED_PRECONDITION",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

/** google.rpc.Code, as the audit log writes a failure. */
export function rpcCode(http: number): number {
  return { 400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 412: 9, 429: 8, 500: 13, 503: 14 }[http] ?? 2;
}

export function statusOf(http: number): string {
  return STATUS[http] ?? "UNKNOWN";
}

/** The body of an error: the older APIs list reasons, the newer ones name a status; both hold code and message. */
export function errorBody(service: Service, { http, reason, message, details }: ServiceError): Structure {
  const older = service === "compute" || service === "dns";
  const shown = older
    ? { errors: [{ domain: "global", reason, message }], ...(details.length === 0 ? {} : { details }) }
    : {
        status: reason === reason.toUpperCase() ? reason : statusOf(http),
        ...(details.length === 0 ? {} : { details }),
      };
  return { error: { code: http, message, ...shown } };
}
