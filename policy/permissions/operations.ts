import type { Action } from "../asked.ts";

/** One call of a cloud's API. Gate, rendered permissions and docs are one table of these. */
export type Operation = {
  /** As AWS's IAM names it: service and call. */
  readonly operation: string;
  readonly kind: "read" | "change";
  /** The HTTP method that travels. */
  readonly method: string;
};
/** What each action calls, and what the agent calls whatever the rules to know whose credentials it has. */
export type Operations = Readonly<Record<Action | "identity", readonly Operation[]>>;

function read(operation: string, method: "GET" | "POST"): Operation {
  return { operation, kind: "read", method };
}
function change(operation: string): Operation {
  return { operation, kind: "change", method: "POST" };
}

export const AWS_OPERATIONS: Operations = {
  scale: [
    read("autoscaling:DescribeAutoScalingGroups", "POST"),
    read("autoscaling:DescribeScalingActivities", "POST"),
    change("autoscaling:SetDesiredCapacity"),
  ],
  "issue-certificate": [
    read("acm-pca:DescribeCertificateAuthority", "POST"),
    read("acm-pca:GetCertificateAuthorityCertificate", "POST"),
    read("acm-pca:GetCertificate", "POST"),
    change("acm-pca:IssueCertificate"),
  ],
  "update-dns": [
    read("route53:GetHostedZone", "GET"),
    read("route53:ListResourceRecordSets", "GET"),
    read("route53:GetChange", "GET"),
    change("route53:ChangeResourceRecordSets"),
  ],
  identity: [read("sts:GetCallerIdentity", "POST")],
};
