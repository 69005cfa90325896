import { CallFailed } from "../provider.ts";
import type { NoAnswer, WireAnswer } from "../transport.ts";

/** Azure's own error codes, each to a short stable status of ours. docs/PROVIDERS.md shows the statuses. */
const STATUS: Readonly<Record<string, readonly string[]>> = {
  throttled: ["TooManyRequests", "SubscriptionRequestsThrottled", "OperationNotAllowedThrottled"],
  denied: ["AuthorizationFailed", "LinkedAuthorizationFailed", "Forbidden", "ForbiddenByRbac", "AccessDenied"],
  "azure-policy": ["RequestDisallowedByPolicy"],
  "deny-assignment": ["DenyAssignmentAuthorizationFailed"],
  locked: ["ScopeLocked"],
  "subscription-disabled": ["ReadOnlyDisabledSubscription", "SubscriptionNotFound", "DisallowedOperation"],
  "credentials-expired": ["ExpiredAuthenticationToken"],
  "credentials-invalid": [
    "InvalidAuthenticationToken",
    "AuthenticationFailed",
    "InvalidAuthenticationTokenTenant",
    "Unauthorized",
  ],
  missing: [
    "ResourceNotFound",
    "ResourceGroupNotFound",
    "NotFound",
    "KeyNotFound",
    "OperationNotFound",
    "ParentResourceNotFound",
  ],
  quota: ["QuotaExceeded"],
  capacity: [
    "AllocationFailed",
    "ZonalAllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "SkuNotAvailable",
  ],
  "in-progress": ["Conflict", "AnotherOperationInProgress", "RetryableError", "OperationPreempted"],
  concurrent: ["PreconditionFailed"],
  unavailable: ["InternalServerError", "ServerTimeout", "ServiceUnavailable", "GatewayTimeout"],
};
const STATUS_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(STATUS).flatMap(([status, codes]) => codes.map((code) => [code, status] as const)),
);
const BY_HTTP: Readonly<Record<number, string>> = {
  401: "credentials-invalid",
  403: "denied",
  404: "missing",
  409: "in-progress",
  412: "concurrent",
  429: "throttled",
};
const OTHER_CODE = /^[A-Za-z][A-Za-z0-9.]{0,47}$/;

/** Statuses after which the same call may be well a moment later. */
export const PASSING: ReadonlySet<string> = new Set([
  "throttled",
  "unavailable",
  "timeout",
  "reset",
  "dns",
  "no-route",
]);
/** Statuses after which the token is read anew. */
export const OF_CREDENTIALS: ReadonlySet<string> = new Set(["credentials-expired", "credentials-invalid"]);

/** What a read did to the cloud is known: nothing. */
function maybe(kind: "read" | "change"): "none" | "unknown" {
  return kind === "change" ? "unknown" : "none";
}

export function unanswered(error: NoAnswer, kind: "read" | "change"): CallFailed {
  return new CallFailed(error.status, error.message, error.bytesLeft ? maybe(kind) : "none");
}

export function unreadable(words: string, kind: "read" | "change", request: string | null): CallFailed {
  return new CallFailed("malformed", words, maybe(kind), request);
}

/** An answer that is none of success. */
export function refusedBy({ status, body }: WireAnswer, kind: "read" | "change", request: string | null): CallFailed {
  const text = new TextDecoder().decode(body);
  if (status < 400) return new CallFailed("redirected", `${status}`, maybe(kind), request);
  const { code, message } = errorIn(text);
  const named = statusOf(code, message, status);
  return new CallFailed(named, `${code}: ${message}`, named === "unavailable" ? maybe(kind) : "none", request);
}

/** Also for what an operation's status says of why it failed. */
export function statusOf(code: string, message: string, http: number): string {
  // One code for many things.
  if (code === "OperationNotAllowed") return /quota/i.test(message) ? "quota" : "in-progress";
  const known = STATUS_OF.get(code);
  if (known !== undefined) return known;
  if (http >= 500) return "unavailable";
  const byHttp = BY_HTTP[http];
  if (byHttp !== undefined) return byHttp;
  return OTHER_CODE.test(code) ? code : "refused";
}

/** Resource Manager's and Key Vault's `{ error: { code, message } }`; Azure DNS also leaves the envelope out. */
function errorIn(text: string): { readonly code: string; readonly message: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { code: "", message: text.slice(0, 1024) };
  }
  const outer = (json ?? {}) as { error?: unknown };
  const { code, message } = (outer.error ?? outer) as { code?: unknown; message?: unknown };
  return {
    code: typeof code === "string" ? code : "",
    message: typeof message === "string" ? message : text.slice(0, 1024),
  };
}

const REQUEST_ID = /^[A-Za-z0-9-]{1,128}$/;
/** What Azure's own log calls the call by: a correlation id; null when there is none, or none that is one. */
export function requestIdOf(headers: Readonly<Record<string, string>>): string | null {
  const id = headers["x-ms-correlation-request-id"] ?? headers["x-ms-request-id"];
  return id !== undefined && REQUEST_ID.test(id) ? id : null;
}

/** Seconds, as Azure says it (RFC 9110 section 10.2.3); a date is not heeded. Milliseconds; null for none. */
export function retryAfterOf(headers: Readonly<Record<string, string>>): number | null {
  const text = headers["retry-after"] ?? "";
  return /^\d{1,5}$/.test(text) ? Number(text) * 1000 : null;
}
