import type { Operation, Operations } from "../cloud.ts";

export type Service = "autoscaling" | "acm-pca" | "route53" | "sts" | "iam";

/**
 * What IAM judges a call by: a group, an authority, a zone; an authority and the template; a zone and the records; a change's id; the
 * region alone, where the API takes no resource; a launch template, whose id is not known before the group is read; a role; nothing, where no
 * permission is needed. AWS, Service Authorization Reference.
 */
export type Scope =
  | "group"
  | "authority"
  | "template"
  | "zone"
  | "records"
  | "change"
  | "region"
  | "launch-template"
  | "role"
  | "nothing";

export type AwsOperation = Operation & { readonly service: Service | "ec2"; readonly scope: Scope };

/** `besides`: what AWS asks of the caller besides the action of the call's own name. */
type Row = { readonly method?: "GET"; readonly again?: true; readonly besides?: readonly string[] };

/** `SERVICE:Call`, which is also the IAM action's name. */
function row(
  service: Service | "ec2",
  call: string,
  kind: Operation["kind"],
  scope: Scope,
  more: Row = {},
): AwsOperation {
  const operation = `${service}:${call}`;
  const permissions = scope === "nothing" ? [] : [operation, ...(more.besides ?? [])];
  const again = kind === "read" || more.again === true;
  return { operation, kind, method: more.method ?? "POST", permissions, scope, again, service };
}

/**
 * Of deploy. Whoever has a group launched from another version of a template is asked for the right to launch what it says: its machines, its
 * tags, and to pass it its role ("Control Amazon EC2 launch template usage in Auto Scaling groups").
 */
const DEPLOY: readonly AwsOperation[] = [
  row("autoscaling", "DescribeAutoScalingGroups", "read", "region"),
  row("autoscaling", "DescribeInstanceRefreshes", "read", "region"),
  row("ec2", "DescribeLaunchTemplateVersions", "read", "region"),
  row("ec2", "DescribeInstances", "read", "region"),
  row("ec2", "DescribeImages", "read", "region"),
  // ClientToken: one version, however often it is sent.
  row("ec2", "CreateLaunchTemplateVersion", "change", "launch-template", { again: true }),
  row("autoscaling", "StartInstanceRefresh", "change", "group", {
    besides: ["ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"],
  }),
  row("autoscaling", "RollbackInstanceRefresh", "change", "group"),
];

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
  deploy: DEPLOY,
  // Asked of no command's resource: whose credentials these are.
  identity: [row("sts", "GetCallerIdentity", "read", "nothing")],
};

/**
 * Asked by `doctor` alone, where the config names IAM's endpoint: what IAM would say to a change. Never among the rendered permissions: who
 * wants it asked grants it besides.
 */
export const SIMULATE = row("iam", "SimulatePrincipalPolicy", "read", "role");
