/** What a call is about, read out of the input that the SDK is about to send: the gate compares this, not what we meant. */
type Input = Readonly<Record<string, unknown>>;

/** What the command is about, for inputs that name only a part of it. */
export type About = {
  /** As the gate compares it: a group; an authority; `ZONE/NAME`. */
  readonly resource: string;
  /** Ids of changes that this command's own calls were answered with. */
  readonly changeIds: ReadonlySet<string>;
  /** What the group's own description, and this command's own calls, named: its launch template, that one's versions (`ID:NUMBER`), that nobody shares it (`ID alone`), its instances. */
  readonly known: ReadonlySet<string>;
  readonly command: string;
  /** The image that a deploy was judged for; null: the command is none. */
  readonly image: string | null;
  /** The count that a scale was judged for; null: the command is none. */
  readonly count: number | null;
};

/** How the gate calls the read of all groups of the region. No rule can name a group so: a star is in no name of a policy. */
export const EVERY_GROUP = "*";

/** In `known`: everybody who launches from this template was looked at, and the gate lets a version of it be made. */
export function aloneMark(template: string): string {
  return `${template} alone`;
}

/** Never the command's resource unless the whole input is about it: what is not understood names itself and so does not pass. */
export function resourceOfInput(operation: string, input: Input, about: About): string {
  switch (operation) {
    case "autoscaling:DescribeAutoScalingGroups":
      return groupsOf(input);
    case "autoscaling:SetDesiredCapacity":
      return sizeOf(input, about);
    case "autoscaling:DescribeScalingActivities":
    case "autoscaling:DescribeInstanceRefreshes":
    case "autoscaling:RollbackInstanceRefresh":
      return text(input["AutoScalingGroupName"]);
    case "autoscaling:StartInstanceRefresh":
      return refreshOf(input, about);
    case "ec2:DescribeLaunchTemplateVersions": {
      const id = text(input["LaunchTemplateId"]);
      return about.known.has(id) ? about.resource : `(another template) ${id}`;
    }
    case "ec2:CreateLaunchTemplateVersion":
      return versionOf(input, about);
    case "ec2:DescribeInstances":
      return allKnown(input["InstanceIds"], about) ? about.resource : "(other instances)";
    case "ec2:DescribeImages": {
      const image = only(input["ImageIds"]);
      return image === about.image ? about.resource : `(another image) ${image}`;
    }
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

/** One group by its name, or all there are, page by page. */
function groupsOf({ NextToken: _, ...input }: Input): string {
  return Object.keys(input).length === 0 ? EVERY_GROUP : only(input["AutoScalingGroupNames"]);
}

/** To the judged count, and nothing else of the group. */
function sizeOf({ AutoScalingGroupName, DesiredCapacity, HonorCooldown: _, ...more }: Input, about: About): string {
  const group = text(AutoScalingGroupName);
  const own = about.count !== null && DesiredCapacity === about.count && Object.keys(more).length === 0;
  return own ? group : `${group} (to another count)`;
}

/** Only to a version that is known, of the group's own template, and to nothing else. */
function refreshOf(input: Input, about: About): string {
  const { LaunchTemplate: template, ...others } = fieldsOf(input["DesiredConfiguration"]);
  const { LaunchTemplateId: id, Version: version, ...more } = fieldsOf(template);
  const plain = Object.keys(others).length === 0 && Object.keys(more).length === 0;
  const group = text(input["AutoScalingGroupName"]);
  return plain && about.known.has(`${text(id)}:${text(version)}`) ? group : `${group} (to another version)`;
}

/**
 * A new version of the group's template may differ from the one that it is made of in the judged image, and in nothing else; and the template is
 * one whose newest version nobody else launches.
 */
function versionOf(input: Input, about: About): string {
  const { LaunchTemplateId, SourceVersion, LaunchTemplateData, VersionDescription: _, ClientToken, ...more } = input;
  const { ImageId: image, ...others } = fieldsOf(LaunchTemplateData);
  const id = text(LaunchTemplateId);
  const plain = Object.keys(more).length === 0 && Object.keys(others).length === 0;
  const own = plain && image === about.image && ClientToken === about.command;
  const known = about.known.has(`${id}:${text(SourceVersion)}`) && about.known.has(aloneMark(id));
  return own && known ? about.resource : `${id} (more than its image)`;
}

function allKnown(value: unknown, { known }: About): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((one) => known.has(text(one)));
}

function fieldsOf(value: unknown): Input {
  return typeof value === "object" && value !== null ? (value as Input) : {};
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
