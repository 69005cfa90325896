/**
 * What IAM judges a call by: a group, an authority, a zone; an authority and the template; a zone and the records; a change's id; the
 * region alone, where the API takes no resource; nothing, where no permission is needed. AWS, Service Authorization Reference.
 */
export type Scope = "group" | "authority" | "template" | "zone" | "records" | "change" | "region" | "nothing";

const SCOPES: Readonly<Record<string, Scope>> = {
  "autoscaling:SetDesiredCapacity": "group",
  "autoscaling:DescribeAutoScalingGroups": "region",
  "autoscaling:DescribeAutoScalingInstances": "region",
  "autoscaling:DescribeScalingActivities": "region",
  "acm-pca:IssueCertificate": "template",
  "acm-pca:GetCertificate": "authority",
  "acm-pca:GetCertificateAuthorityCertificate": "authority",
  "acm-pca:DescribeCertificateAuthority": "authority",
  "route53:ChangeResourceRecordSets": "records",
  "route53:ListResourceRecordSets": "zone",
  "route53:GetHostedZone": "zone",
  "route53:GetChange": "change",
  "sts:GetCallerIdentity": "nothing",
};

/** Throws on a call whose scope was not looked up: our own mistake. */
export function scopeOf(operation: string): Scope {
  const scope = SCOPES[operation];
  if (scope === undefined) throw new Error(`it is not known what IAM judges ${operation} by`);
  return scope;
}
