/** What an account holds before the agent comes: a network, groups, authorities, zones, a role. Made by AWS's own calls, in moto. */
import { randomBytes } from "node:crypto";
import { type Admin, makeAdmin, REGION } from "./admin.ts";
import type { Authority } from "./authority.ts";
import type { Structure } from "./codec.ts";
import { type Issuer, type KeyAlgorithm, makeIssuer } from "./issuing.ts";
import type { Key } from "./keys.ts";
import { ACCOUNT, type Moto } from "./moto.ts";
import type { Element } from "./xml.ts";

const NOBODY = {
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  token: null,
};
const TAG = "install";

export function unique(): string {
  return randomBytes(5).toString("hex");
}

/** One who may do everything, also when IAM judges. */
export async function makeAdministrator(moto: Moto): Promise<Admin> {
  await moto.judge(false);
  const nobody = makeAdmin(moto, NOBODY);
  const UserName = `admin-${unique()}`;
  await nobody.call("iam", "CreateUser", { UserName });
  const PolicyDocument = JSON.stringify(policyOf([{ Effect: "Allow", Action: "*", Resource: "*" }]));
  await nobody.call("iam", "PutUserPolicy", { UserName, PolicyName: "everything", PolicyDocument });
  const key = (await nobody.call("iam", "CreateAccessKey", { UserName }))["AccessKey"] as Structure;
  return makeAdmin(moto, {
    accessKey: String(key["AccessKeyId"]),
    secretKey: String(key["SecretAccessKey"]),
    token: null,
  });
}

export function policyOf(statements: readonly unknown[]): unknown {
  return { Version: "2012-10-17", Statement: statements };
}

function find(element: Element, name: string): string {
  const walk = (one: Element): string | null =>
    one.name === name && one.children.length === 0
      ? one.text
      : (one.children.map(walk).find((text) => text !== null) ?? null);
  const text = walk(element);
  if (text === null) throw new Error(`moto's answer holds no ${name}`);
  return text;
}

export async function makeNetwork(admin: Admin): Promise<{ subnet: string; template: string }> {
  const vpc = find(await admin.ec2("CreateVpc", { CidrBlock: "10.20.0.0/16" }), "vpcId");
  const zone = { AvailabilityZone: `${REGION}a` };
  const subnet = find(await admin.ec2("CreateSubnet", { VpcId: vpc, CidrBlock: "10.20.0.0/20", ...zone }), "subnetId");
  return { subnet, template: await makeTemplate(admin) };
}

export async function makeTemplate(admin: Admin): Promise<string> {
  const name = `brokers-${unique()}`;
  const data = { "LaunchTemplateData.ImageId": "ami-12c6146b", "LaunchTemplateData.InstanceType": "t3.micro" };
  const made = await admin.ec2("CreateLaunchTemplate", { LaunchTemplateName: name, ...data });
  return find(made, "launchTemplateId");
}

export type Size = { readonly min: number; readonly max: number; readonly desired: number };

/** A group whose instances are all in service; returns its ARN. `launches`: a version of the network's template, or all that it launches from. */
export async function makeGroup(
  admin: Admin,
  network: { subnet: string; template: string },
  name: string,
  size: Size,
  launches: string | Structure = "$Latest",
): Promise<string> {
  const from =
    typeof launches === "string"
      ? { LaunchTemplate: { LaunchTemplateId: network.template, Version: launches } }
      : launches;
  await admin.call("autoscaling", "CreateAutoScalingGroup", {
    AutoScalingGroupName: name,
    ...from,
    MinSize: size.min,
    MaxSize: size.max,
    DesiredCapacity: size.desired,
    VPCZoneIdentifier: network.subnet,
    Tags: [{ Key: TAG, Value: "reeve", PropagateAtLaunch: true, ResourceId: name, ResourceType: "auto-scaling-group" }],
  });
  const found = await admin.call("autoscaling", "DescribeAutoScalingGroups", { AutoScalingGroupNames: [name] });
  const [group] = found["AutoScalingGroups"] as readonly Structure[];
  return String(group?.["AutoScalingGroupARN"]);
}

/**
 * A private CA that is ACTIVE under a self-signed root. Its key is ours, since moto's cannot be had and signs for a year whatever is asked;
 * moto takes the certificate without comparing it with its own request.
 */
export async function makeAuthority(
  admin: Admin,
  authority: Authority,
  name: string,
  algorithm: KeyAlgorithm,
  days?: number,
): Promise<{ arn: string; issuer: Issuer }> {
  const made = await admin.call("acm-pca", "CreateCertificateAuthority", {
    CertificateAuthorityType: "ROOT",
    CertificateAuthorityConfiguration: {
      KeyAlgorithm: algorithm,
      SigningAlgorithm: algorithm === "RSA_2048" ? "SHA256WITHRSA" : "SHA256WITHECDSA",
      Subject: { CommonName: name },
    },
  });
  const arn = String(made["CertificateAuthorityArn"]);
  const request = await admin.call("acm-pca", "GetCertificateAuthorityCsr", { CertificateAuthorityArn: arn });
  if (!String(request["Csr"]).includes("BEGIN CERTIFICATE REQUEST")) throw new Error("moto gave no request");
  const issuer = await makeIssuer(algorithm, `CN=${name}`, days);
  const Certificate = Buffer.from(issuer.certificate.toString("pem")).toString("base64");
  await admin.call("acm-pca", "ImportCertificateAuthorityCertificate", { CertificateAuthorityArn: arn, Certificate });
  authority.take(arn, issuer);
  return { arn, issuer };
}

/** A public hosted zone with its own NS and SOA; returns its id. */
export async function makeZone(admin: Admin, name: string): Promise<string> {
  const made = await admin.call("route53", "CreateHostedZone", { Name: name, CallerReference: unique() });
  return String((made["HostedZone"] as Structure)["Id"]).replace("/hostedzone/", "");
}

/** A role with one policy. EC2 may take it on, and the tests' administrator, who stands in for EC2. */
export async function makeRole(admin: Admin, role: string, policy: unknown): Promise<void> {
  const principal = { Service: "ec2.amazonaws.com", AWS: "*" };
  const trust = policyOf([{ Effect: "Allow", Principal: principal, Action: "sts:AssumeRole" }]);
  await admin.call("iam", "CreateRole", { RoleName: role, AssumeRolePolicyDocument: JSON.stringify(trust) });
  await setPolicy(admin, role, policy);
}
export async function setPolicy(admin: Admin, role: string, policy: unknown): Promise<void> {
  const PolicyDocument = JSON.stringify(policy);
  await admin.call("iam", "PutRolePolicy", { RoleName: role, PolicyName: "reeve", PolicyDocument });
}

/** Credentials of the role, as the metadata service of `instance` gives them. */
export async function assume(admin: Admin, role: string, instance: string, seconds: number): Promise<Key> {
  const RoleArn = `arn:aws:iam::${ACCOUNT}:role/${role}`;
  const answer = await admin.call("sts", "AssumeRole", { RoleArn, RoleSessionName: instance });
  const { AccessKeyId, SecretAccessKey, SessionToken } = answer["Credentials"] as Structure;
  const user = answer["AssumedRoleUser"] as Structure;
  const [roleId = ""] = String(user["AssumedRoleId"]).split(":");
  return {
    secret: { accessKey: String(AccessKeyId), secretKey: String(SecretAccessKey), token: String(SessionToken) },
    principal: { arn: String(user["Arn"]), role, roleId, session: instance, account: ACCOUNT },
    expires: Date.now() + seconds * 1000,
  };
}
