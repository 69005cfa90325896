import type { z } from "zod";
import { CallFailed } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";
import { objectOf, Problem } from "./objects.ts";

type Words = z.output<typeof Problem>;

const URN = "urn:ietf:params:acme:error:";
/** RFC 8555 section 6.7, and RFC 9773: each a code of ours. Any other word of an authority's is no code. */
const CODES: Readonly<Record<string, string>> = {
  accountDoesNotExist: "account-missing",
  alreadyReplaced: "already-replaced",
  badCSR: "bad-csr",
  badNonce: "bad-nonce",
  badPublicKey: "bad-public-key",
  badSignatureAlgorithm: "bad-signature-algorithm",
  caa: "caa",
  compound: "compound",
  connection: "challenge-connection",
  dns: "challenge-dns",
  externalAccountRequired: "external-account",
  incorrectResponse: "challenge-incorrect",
  invalidContact: "contact",
  malformed: "acme-malformed",
  orderNotReady: "order-not-ready",
  rateLimited: "rate-limited",
  rejectedIdentifier: "rejected-name",
  serverInternal: "acme-internal",
  tls: "challenge-tls",
  unauthorized: "unauthorized",
  unsupportedContact: "contact",
  unsupportedIdentifier: "unsupported-name",
  userActionRequired: "terms",
};

/** The code of a problem document's type (RFC 7807), never its words. */
export function codeOf({ type }: Words): string {
  const word = type.startsWith(URN) ? type.slice(URN.length) : "";
  return Object.hasOwn(CODES, word) ? (CODES[word] ?? "refused") : "refused";
}

export function wordsOf({ type, detail }: Words): string {
  return `${type}: ${detail}`;
}

/**
 * An answer that is none of success, as a failed call. `change`: whether the call could have changed something. The authority's own 4xx surely
 * changed nothing; of a 5xx or a redirect nobody knows.
 */
export function refusalOf(answer: WireAnswer, change: boolean): CallFailed {
  const { status, headers } = answer;
  const doubt = change ? "unknown" : "none";
  if (status >= 300 && status < 400)
    return new CallFailed("redirected", `HTTP ${status}; no redirect is followed`, doubt);
  const problem = problemIn(answer);
  const later = headers["retry-after"];
  const words = [
    problem === null ? `HTTP ${status}` : wordsOf(problem),
    ...(later === undefined ? [] : [`Retry-After: ${later}`]),
  ];
  if (status >= 500 || status < 400) return new CallFailed("unavailable", words.join("\n"), doubt);
  const code =
    problem === null ? (status === 429 ? "rate-limited" : status === 404 ? "missing" : "refused") : codeOf(problem);
  return new CallFailed(code, words.join("\n"), "none");
}

function problemIn(answer: WireAnswer): Words | null {
  if (!/^application\/problem\+json\b/i.test(answer.headers["content-type"] ?? "")) return null;
  try {
    return objectOf(Problem, answer);
  } catch (error) {
    if (error instanceof CallFailed) return null;
    throw error;
  }
}
