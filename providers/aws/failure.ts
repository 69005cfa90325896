import { CallFailed } from "../provider.ts";
import { NoAnswer } from "../transport.ts";

/** AWS's own error codes, each to a short stable status of ours. docs/PROVIDERS.md shows the statuses. */
const STATUS: Readonly<Record<string, readonly string[]>> = {
  throttled: [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "BandwidthLimitExceeded",
  ],
  denied: ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError"],
  "credentials-expired": ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"],
  "credentials-invalid": [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "UnrecognizedClient",
    "AuthFailure",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
  ],
  "region-disabled": ["OptInRequired", "SubscriptionRequiredException"],
  clock: ["RequestTimeTooSkewed", "RequestInTheFuture"],
  unavailable: ["ServiceUnavailable", "ServiceUnavailableException", "InternalFailure", "InternalError"],
  missing: [
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.VersionNotFound",
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidInstanceID.NotFound",
    "ResourceNotFoundException",
    "NoSuchHostedZone",
    "NoSuchChange",
    "NoSuchEntity",
    "NoSuchEntityException",
  ],
  limit: ["LimitExceeded", "LimitExceededException", "LimitExceededFault"],
  "activity-in-progress": ["ScalingActivityInProgress", "ScalingActivityInProgressFault"],
  contention: ["ResourceContention", "ResourceContentionFault"],
  busy: ["InstanceRefreshInProgress", "InstanceRefreshInProgressFault"],
  "no-refresh": ["ActiveInstanceRefreshNotFound", "ActiveInstanceRefreshNotFoundFault"],
  irreversible: ["IrreversibleInstanceRefresh", "IrreversibleInstanceRefreshFault"],
  "in-progress": ["RequestInProgressException"],
  "prior-request": ["PriorRequestNotComplete"],
};
const STATUS_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(STATUS).flatMap(([status, codes]) => codes.map((code) => [code, status] as const)),
);
/** A signature's own errors: of another region's scope, of a clock that is off, or of credentials that are not good. */
const SIGNATURE = new Set(["SignatureDoesNotMatch", "InvalidSignatureException"]);
const OTHER_CODE = /^[A-Za-z][A-Za-z0-9.]{0,47}$/;

/** Statuses after which the same call may be well a moment later. */
export const PASSING: ReadonlySet<string> = new Set([
  "throttled",
  "unavailable",
  "timeout",
  "reset",
  "dns",
  "no-route",
  "proxy-unreachable",
  "proxy-failed",
]);
/** Statuses after which the credentials are read anew. */
export const OF_CREDENTIALS: ReadonlySet<string> = new Set(["credentials-expired", "credentials-invalid"]);

/** What came back of a call, as far as it came. `http`: 0 when nothing did. */
export type Answered = { readonly request: string | null; readonly http: number };

/** What went wrong with a call that left, or should have left, this machine. `kind`: what a read did to the cloud is known: nothing. */
export function awsFailure(error: Error, kind: "read" | "change", answered: Answered): CallFailed {
  const { request, http } = answered;
  const maybe = kind === "change" ? "unknown" : "none";
  if (error instanceof NoAnswer)
    return new CallFailed(error.status, error.message, error.bytesLeft ? maybe : "none", request);
  const { name, message } = error;
  const words = `${name}: ${message}`;
  // Neither an error of AWS nor none: what came cannot be read.
  if (http < 400) return new CallFailed(http >= 300 ? "redirected" : "malformed", words, maybe, request);
  const status = statusOf(name, message, http);
  return new CallFailed(status, words, status === "unavailable" ? maybe : "none", request);
}

function statusOf(code: string, message: string, http: number): string {
  if (SIGNATURE.has(code)) {
    if (/valid region|correct service/i.test(message)) return "wrong-region";
    return /expired|not yet current/i.test(message) ? "clock" : "credentials-invalid";
  }
  const known = STATUS_OF.get(code);
  if (known !== undefined) return known;
  if (http === 429) return "throttled";
  if (http >= 500) return "unavailable";
  // ValidationError is Auto Scaling's word for many things; of a group that is not there it says just this.
  if (code === "ValidationError" && /not found/i.test(message)) return "missing";
  return OTHER_CODE.test(code) ? code : "refused";
}

const REQUEST_ID = /^[A-Za-z0-9=+/_-]{1,128}$/;
/** AWS's request id out of an answer's headers; null when there is none, or none that is one. */
export function requestIdOf(headers: Readonly<Record<string, string>>): string | null {
  const id = headers["x-amzn-requestid"] ?? headers["x-amzn-request-id"] ?? headers["x-amz-request-id"];
  return id !== undefined && REQUEST_ID.test(id) ? id : null;
}
