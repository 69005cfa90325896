import { acmeAuthority, isAcme } from "../../acme.ts";
import type { Policy, Rule } from "../../policy.ts";
import type { Fault } from "../cloud.ts";

/** Names of AWS's resources as IAM writes them, from what a policy file names. */

export type AwsPlace = Extract<Policy["place"], { cloud: "aws" }> & { readonly partition: string };

/** The region's partition: AWS's own table of regions, as far as a policy file can name them; a test holds it to botocore's. */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  if (region.startsWith("eusc-")) return "aws-eusc";
  if (region.startsWith("us-isob-")) return "aws-iso-b";
  if (region.startsWith("us-isof-")) return "aws-iso-f";
  if (region.startsWith("eu-isoe-")) return "aws-iso-e";
  return region.startsWith("us-iso-") ? "aws-iso" : "aws";
}

/** The file's place on AWS; null when it is another cloud's. */
export function awsPlace(policy: Policy): AwsPlace | null {
  const { place } = policy;
  return place.cloud === "aws" ? { ...place, partition: partitionOf(place.region) } : null;
}

/** IAM, Terraform or both read these as the beginning of a variable. */
const VARIABLE = /[$&%]\{/;
/** docs.aws.amazon.com, CreateAutoScalingGroup: at most 255 characters, and no colon. */
const GROUP = /^[^:]{1,255}$/;
/** docs.aws.amazon.com, Route 53's ResourceId. */
const ZONE = /^[A-Z0-9]{1,32}$/;
const AUTHORITY = /^arn:([a-z-]+):acm-pca:([a-z0-9-]+):(\d{12}):certificate-authority\/[A-Za-z0-9-]{1,64}$/;

/** The group's ARN. Its id is AWS's own draw: a star stands in its place, and reaches no further, because no name holds a colon. */
export function groupArn({ partition, region, account }: AwsPlace, group: string): string {
  return `arn:${partition}:autoscaling:${region}:${account}:autoScalingGroup:*:autoScalingGroupName/${group}`;
}

export function zoneArn({ partition }: AwsPlace, zone: string): string {
  return `arn:${partition}:route53:::hostedzone/${zone}`;
}

/** Any change: its id is known only from the answer that begins it. */
export function changeArn({ partition }: AwsPlace): string {
  return `arn:${partition}:route53:::change/*`;
}

/** Any launch template of the account there: which one a group launches from is known only when the group is read. */
export function launchTemplateArn({ partition, region, account }: AwsPlace): string {
  return `arn:${partition}:ec2:${region}:${account}:launch-template/*`;
}

export function templateArn({ partition }: AwsPlace, template: string): string {
  return `arn:${partition}:acm-pca:::template/${template}/V1`;
}

/** The account that an authority belongs to. The ARN was looked at before. */
export function accountOf(authority: string): string {
  const account = AUTHORITY.exec(authority)?.[3];
  if (account === undefined) throw new Error("an authority's ARN was not looked at");
  return account;
}

function authorityFault(place: AwsPlace, { authority, id }: Extract<Rule, { allow: "issue-certificate" }>) {
  if (isAcme(authority)) return acmeFault(authority, id);
  const match = AUTHORITY.exec(authority);
  const shape = `arn:${place.partition}:acm-pca:${place.region}:${place.account}:certificate-authority/…`;
  if (match === null) {
    return { rule: id, because: `its authority ${authority} is not the ARN of a private CA`, hint: `Write ${shape}` };
  }
  if (match[1] === place.partition && match[2] === place.region) return null;
  const because = `its authority is of ${match[1]} ${match[2]}, the file's place is ${place.partition} ${place.region}`;
  return { rule: id, because, hint: "Name an authority of the place's region, or correct place." };
}

/** The zone of an ACME authority is one of Route 53's. */
function acmeFault(authority: string, id: string): Fault | null {
  const zone = acmeAuthority(authority)?.zone;
  if (zone !== undefined && ZONE.test(zone)) return null;
  const because = `its authority ${authority} names no hosted zone`;
  return {
    rule: id,
    because,
    hint: "Write acme:NAME/zone/Z0123456789ABCDEFGHIJ: the config's name of it, and the zone's id.",
  };
}

/** Why a rule's resource is none of AWS's; null when it can be one. */
export function resourceFault(place: AwsPlace, rule: Rule): Fault | null {
  switch (rule.allow) {
    case "scale":
    case "deploy": {
      if (GROUP.test(rule.group) && !VARIABLE.test(rule.group)) return null;
      const because = `its group ${rule.group} cannot be an Auto Scaling group's name`;
      return { rule: rule.id, because, hint: "A name has at most 255 characters, no colon, and none of ${ &{ %{." };
    }
    case "issue-certificate":
      return authorityFault(place, rule);
    case "update-dns": {
      if (ZONE.test(rule.zone)) return null;
      const because = `its zone ${rule.zone} is not the id of a hosted zone`;
      return { rule: rule.id, because, hint: "Write the id alone, such as Z0123456789ABCDEFGHIJ." };
    }
  }
}
