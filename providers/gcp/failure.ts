import { z } from "zod";
import { CallFailed } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";

/** Statuses after which the same call may be well a moment later. */
export const PASSING: ReadonlySet<string> = new Set([
  "throttled",
  "unavailable",
  "timeout",
  "reset",
  "dns",
  "no-route",
]);

/** Both forms of Google's errors: the older APIs list reasons, the newer ones name a status. */
const GoogleError = z.object({
  error: z.object({
    message: z.string().default(""),
    status: z.string().default(""),
    errors: z.array(z.object({ reason: z.string().default("") })).default([]),
    details: z
      .array(z.object({ reason: z.string().default(""), metadata: z.record(z.string(), z.unknown()).optional() }))
      .default([]),
  }),
});

/** Google's own words for an error, each to a short stable status of ours. docs/PROVIDERS.md shows the statuses. */
const STATUS: Readonly<Record<string, string>> = {
  rateLimitExceeded: "throttled",
  userRateLimitExceeded: "throttled",
  concurrentLimitExceeded: "throttled",
  RATE_LIMIT_EXCEEDED: "throttled",
  quotaExceeded: "quota",
  limitExceeded: "quota",
  accessNotConfigured: "api-disabled",
  SERVICE_DISABLED: "api-disabled",
  BILLING_DISABLED: "api-disabled",
  resourceNotReady: "not-ready",
  FAILED_PRECONDITION: "precondition",
  conditionNotMet: "precondition",
  alreadyExists: "exists",
  ALREADY_EXISTS: "exists",
};
const BY_HTTP: Readonly<Record<number, string>> = {
  401: "credentials-invalid",
  403: "denied",
  404: "missing",
  409: "exists",
  412: "precondition",
  429: "throttled",
};
const OTHER = /^[A-Za-z][A-Za-z_]{0,47}$/;

/** An answer that is no success. `kind`: what a read did to the cloud is known: nothing. */
export function failureOf(answer: WireAnswer, kind: "read" | "change", request: string): CallFailed {
  const maybe = kind === "change" ? "unknown" : "none";
  const { status: http } = answer;
  if (http < 400) return new CallFailed("redirected", `HTTP ${http}`, maybe, request);
  const said = GoogleError.safeParse(jsonOf(answer.body));
  const {
    message,
    status: word,
    errors,
    details,
  } = said.success ? said.data.error : GoogleError.parse({ error: {} }).error;
  const reasons = [...details.map(({ reason }) => reason), ...errors.map(({ reason }) => reason), word].filter(
    (one) => one !== "",
  );
  const status = http >= 500 ? "unavailable" : statusOf(reasons, http);
  const words = [`HTTP ${http}`, ...reasons, message].join(": ");
  return new CallFailed(status, words, status === "unavailable" ? maybe : "none", request);
}

function statusOf(reasons: readonly string[], http: number): string {
  const known = reasons.find((reason) => Object.hasOwn(STATUS, reason));
  if (known !== undefined) return STATUS[known] ?? "refused";
  return BY_HTTP[http] ?? reasons.find((reason) => OTHER.test(reason)) ?? "refused";
}

/** Undefined for what is no JSON. */
export function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
