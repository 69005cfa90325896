import type { OperationRow } from "../provider.ts";

/**
 * The calls of an issue-certificate command with an ACME authority: RFC 8555 by its own words. The record that proves a name is the cloud's
 * DNS, with that action's own table. POST-as-GET (section 6.3) reads.
 */
export const ACME_OPERATIONS = [
  { operation: "acme:directory", kind: "read", method: "GET" },
  { operation: "acme:newNonce", kind: "read", method: "HEAD" },
  { operation: "acme:account", kind: "read", method: "POST" },
  { operation: "acme:order", kind: "read", method: "POST" },
  { operation: "acme:authorization", kind: "read", method: "POST" },
  { operation: "acme:certificate", kind: "read", method: "POST" },
  { operation: "acme:newAccount", kind: "change", method: "POST" },
  { operation: "acme:newOrder", kind: "change", method: "POST" },
  { operation: "acme:challenge", kind: "change", method: "POST" },
  { operation: "acme:finalize", kind: "change", method: "POST" },
] as const satisfies readonly OperationRow[];

export type AcmeOperation = (typeof ACME_OPERATIONS)[number]["operation"];
