import type { Operation, Operations } from "../cloud.ts";

export type Service = "autoscaling" | "acm-pca" | "route53" | "sts" | "iam";

/**
 * What IAM judges a call by: a group, an authority, a zone; an authority and the template; a zone and the records; a change's id; the
 * region alone, where the API takes no resource; a role; nothing, where no permission is needed. AWS, Service Authorization Reference.
 */
export type Scope = "group" | "authority" | "template" | "zone" | "records" | "change" | "region" | "role" | "nothing";

export type AwsOperation = Operation & { readonly service: Service; readonly scope: Scope };

type Row = { readonly method?: "GET"; readonly again?: true };

/** `SERVICE:Call`, which is also the IAM action's name. */
function row(service: Service, call: string, kind: Operation["kind"], scope: Scope, more: Row = {}): AwsOperation {
  const operation = `${service}:${call}`;
  const permissions = scope === "nothing" ? [] : [operation];
  const again = kind === "read" || more.again === true;
  return { operation, kind, method: more.method ?? "POST", permissions, scope, again, service };
}

export const AWS_OPERATIONS: Operations<AwsOperation> = {
  scale: [
    row("autoscaling", "DescribeAutoScalingGroups", "read", "region"),
    row("autoscaling", "DescribeScalingActivities", "read", "region"),
    row("autoscaling", "SetDesiredCapacity", "change", "group"),
  ],
  "issue-certificate": [
    row("acm-pca", "DescribeCertificateAuthority", "read", "authority"),
    row("acm-pca", "GetCertificateAuthorityCertificate", "read", "authority"),
    row("acm-pca", "GetCertificate", "read", "authority"),
    // IdempotencyToken: within five minutes the same token is the same certificate.
    row("acm-pca", "IssueCertificate", "change", "template", { again: true }),
  ],
  "update-dns": [
    row("route53", "GetHostedZone", "read", "zone", { method: "GET" }),
    row("route53", "ListResourceRecordSets", "read", "zone", { method: "GET" }),
    row("route53", "GetChange", "read", "change", { method: "GET" }),
    row("route53", "ChangeResourceRecordSets", "change", "records"),
  ],
  deploy: [],
  // Asked of no command's resource: whose credentials these are.
  identity: [row("sts", "GetCallerIdentity", "read", "nothing")],
};

/**
 * Asked by `doctor` alone, where the config names IAM's endpoint: what IAM would say to a change. Never among the rendered permissions: who
 * wants it asked grants it besides.
 */
export const SIMULATE = row("iam", "SimulatePrincipalPolicy", "read", "role");
