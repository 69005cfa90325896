/** What a call is about, read out of the input that the SDK is about to send: the gate compares this, not what we meant. */
type Input = Readonly<Record<string, unknown>>;

/** What the command is about, for inputs that name only a part of it. */
export type About = {
  /** As the gate compares it: a group; an authority; `ZONE/NAME`. */
  readonly resource: string;
  /** Ids of changes that this command's own calls were answered with. */
  readonly changeIds: ReadonlySet<string>;
};

/** Never the command's resource unless the whole input is about it: what is not understood names itself and so does not pass. */
export function resourceOfInput(operation: string, input: Input, about: About): string {
  switch (operation) {
    case "autoscaling:DescribeAutoScalingGroups":
      return only(input["AutoScalingGroupNames"]);
    case "autoscaling:DescribeScalingActivities":
    case "autoscaling:SetDesiredCapacity":
      return text(input["AutoScalingGroupName"]);
    case "acm-pca:DescribeCertificateAuthority":
    case "acm-pca:GetCertificateAuthorityCertificate":
    case "acm-pca:IssueCertificate":
      return text(input["CertificateAuthorityArn"]);
    case "acm-pca:GetCertificate": {
      const authority = text(input["CertificateAuthorityArn"]);
      const certificate = text(input["CertificateArn"]);
      return certificate.startsWith(`${authority}/certificate/`) ? authority : `(of another authority) ${certificate}`;
    }
    case "route53:GetHostedZone":
      return ofZone(text(input["Id"]), about.resource);
    case "route53:ListResourceRecordSets":
      return `${text(input["HostedZoneId"])}/${text(input["StartRecordName"])}`;
    case "route53:ChangeResourceRecordSets":
      return recordOf(input);
    case "route53:GetChange": {
      const id = text(input["Id"]);
      return about.changeIds.has(id) ? about.resource : `(change) ${id}`;
    }
    case "iam:SimulatePrincipalPolicy":
      return only(input["ResourceArns"]);
    case "sts:GetCallerIdentity":
      return about.resource;
    default:
      return `(not known) ${operation}`;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "(none)";
}

function only(value: unknown): string {
  return Array.isArray(value) && value.length === 1 ? text(value[0]) : "(not one)";
}

function ofZone(zone: string, resource: string): string {
  return resource.startsWith(`${zone}/`) ? resource : zone;
}

/** One batch, all of one name: deletions and creations of its own record set. */
function recordOf(input: Input): string {
  const { Changes: changes } = (input["ChangeBatch"] ?? {}) as { Changes?: unknown };
  const list = Array.isArray(changes) ? (changes as { ResourceRecordSet?: { Name?: unknown } }[]) : [];
  const names = new Set(list.map(({ ResourceRecordSet: set }) => text(set?.Name)));
  return `${text(input["HostedZoneId"])}/${only([...names])}`;
}
