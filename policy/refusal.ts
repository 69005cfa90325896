/**
 * Every way to say no: one closed list of stable codes, `<stage>.<what>[.<how>]`.
 * A code is never reused; docs/REFUSALS.md shows the list, with cause and remedy. It stands in policy/ because policy/ imports nothing but itself.
 */
export const REFUSAL_CODES = [
  "open.too-long",
  "open.form",
  "open.header",
  "open.key",
  "open.signature",
  "parse.not-canonical",
  "parse.too-deep",
  "parse.claims",
  "parse.action",
  "parse.number",
  "parse.name",
  "verify.no-trust",
  "verify.issuer",
  "verify.audience",
  "verify.expired",
  "verify.not-yet-valid",
  "verify.lifetime",
  "verify.epoch",
  "verify.before-enrolment",
  "verify.replayed",
  "verify.id-reused",
  "verify.id-time",
  "verify.suspended",
  "verify.clock",
  "verify.intake",
  "verify.cancelled",
  "match.no-rule",
  "match.vendor",
  "match.cluster",
  "match.place",
  "match.own-group",
  "match.dry-run",
  "policy.unreadable",
  "policy.permission",
  "policy.invalid",
  "policy.tests-fail",
  "policy.revision",
  "policy.not-available",
  "policy.count.above-max",
  "policy.count.below-min",
  "policy.change.up",
  "policy.change.down",
  "policy.rate",
  "policy.when",
  "policy.approval.needs-approval",
  "policy.approval.too-many",
  "policy.usages",
  "policy.validity.above-max",
  "policy.validity.below-min",
  "policy.key.made",
  "policy.key.type",
  "policy.csr.unreadable",
  "policy.csr.signature",
  "policy.csr.subject",
  "policy.csr.san",
  "policy.csr.extension",
  "policy.names",
  "policy.changes",
  "policy.types",
  "policy.values",
  "policy.ttl.above-max",
  "policy.ttl.below-min",
  "policy.manifest.signers",
  "policy.manifest.version",
  "policy.manifest.cluster",
  "policy.manifest.place",
  "policy.manifest.policy",
  "policy.manifest.group",
  "artifact.missing",
  "artifact.digest",
  "artifact.malformed",
  "resource.busy",
  "resource.missing",
  "resource.unreadable",
  "log.unavailable",
  "log.no-space",
  "gate.operation",
  "gate.resource",
  "gate.place",
  "trust.signature",
  "trust.version",
  "trust.needs-approval",
  "trust.too-many",
  "approval.unreadable",
  "approval.form",
  "approval.namespace",
  "approval.signature",
  "approval.person",
  "approval.not-asked",
  "approval.late",
] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** What is known of a refusal. `cannot` and `because` make the sentence `Cannot <cannot>: <because>.` */
export type Refusal = {
  readonly refused: true;
  readonly code: RefusalCode;
  readonly cannot: string;
  readonly because: string;
  readonly hint: string;
  /** Only what this agent read or the command said; small, printable by `JSON.stringify`. */
  readonly found?: string;
  readonly asked?: string;
  readonly limit?: string;
  /** The rule that came closest, and its field that failed. */
  readonly rule?: string;
  readonly field?: string;
};

export function refuse(
  code: RefusalCode,
  cannot: string,
  because: string,
  hint: string,
  more: Pick<Refusal, "found" | "asked" | "limit" | "rule" | "field"> = {},
): Refusal {
  return { refused: true, code, cannot, because, hint, ...more };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && (value as { refused?: unknown }).refused === true;
}
