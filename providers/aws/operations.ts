import type { OperationRow } from "../provider.ts";

/**
 * The AWS operations of each action: the call gate, the rendered permissions and docs/PROVIDERS.md are this one table. Plain data, so that
 * what renders permissions brings no SDK along. An operation's name is also the IAM action's.
 */
export type Service = "autoscaling" | "acm-pca" | "route53" | "sts";

export type AwsOperation = OperationRow & {
  readonly service: Service;
  /** May be tried again when its answer was lost: a read, or a change that a token makes one change. */
  readonly again: boolean;
};

function read(service: Service, name: string, method: "GET" | "POST"): AwsOperation {
  return { operation: `${service}:${name}`, kind: "read", method, service, again: true };
}

export const SCALE_OPERATIONS = [
  read("autoscaling", "DescribeAutoScalingGroups", "POST"),
  read("autoscaling", "DescribeScalingActivities", "POST"),
  {
    operation: "autoscaling:SetDesiredCapacity",
    kind: "change",
    method: "POST",
    service: "autoscaling",
    again: false,
  },
] as const satisfies readonly AwsOperation[];

export const CERTIFICATE_OPERATIONS = [
  read("acm-pca", "DescribeCertificateAuthority", "POST"),
  read("acm-pca", "GetCertificateAuthorityCertificate", "POST"),
  read("acm-pca", "GetCertificate", "POST"),
  // IdempotencyToken: within five minutes the same token is the same certificate.
  { operation: "acm-pca:IssueCertificate", kind: "change", method: "POST", service: "acm-pca", again: true },
] as const satisfies readonly AwsOperation[];

export const DNS_OPERATIONS = [
  read("route53", "GetHostedZone", "GET"),
  read("route53", "ListResourceRecordSets", "GET"),
  read("route53", "GetChange", "GET"),
  {
    operation: "route53:ChangeResourceRecordSets",
    kind: "change",
    method: "POST",
    service: "route53",
    again: false,
  },
] as const satisfies readonly AwsOperation[];

/** Asked of no command's resource: whose credentials these are. It needs no permission. */
export const IDENTITY_OPERATIONS = [
  read("sts", "GetCallerIdentity", "POST"),
] as const satisfies readonly AwsOperation[];

const ALL: ReadonlyMap<string, AwsOperation> = new Map(
  [...SCALE_OPERATIONS, ...CERTIFICATE_OPERATIONS, ...DNS_OPERATIONS, ...IDENTITY_OPERATIONS].map((row) => [
    row.operation,
    row,
  ]),
);

export function awsOperation(name: string): AwsOperation | undefined {
  return ALL.get(name);
}
