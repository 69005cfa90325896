import {
  DescribeCertificateAuthorityCommand,
  GetCertificateAuthorityCertificateCommand,
  GetCertificateCommand,
} from "@aws-sdk/client-acm-pca";
import { DescribeAutoScalingGroupsCommand, DescribeScalingActivitiesCommand } from "@aws-sdk/client-auto-scaling";
import { GetChangeCommand, GetHostedZoneCommand, ListResourceRecordSetsCommand } from "@aws-sdk/client-route-53";
import type { Rule } from "../../policy/policy.ts";
import { CallFailed, type OperationsTable } from "../provider.ts";
import type { AwsCalls } from "./call.ts";
import {
  CERTIFICATE_OPERATIONS,
  DNS_OPERATIONS,
  EVERY_GROUP_OPERATIONS,
  SCALE_OPERATIONS,
  type Service,
} from "./operations.ts";
import type { Own } from "./own.ts";
import { EVERY_GROUP } from "./resource.ts";
import { aloneNow } from "./sharing.ts";

/** Asked about a certificate and a change that are not there: AWS judges first whether the role may ask, and then finds nothing. */
const NO_CERTIFICATE = "00000000000000000000000000000000";
const NO_CHANGE = "C00000000000000000000";
const NOT_THERE = "it is permitted; what it was asked about is not there, as it should be";

export type Read = {
  readonly operation: string;
  /** What it found, in words. Throws CallFailed. */
  ask(calls: AwsCalls): Promise<string>;
};
/** The reads that a rule's action makes, on what the rule names. */
export type Reads = {
  readonly service: Service;
  /** As the gate compares it. */
  readonly resource: string;
  /** As a person reads it. */
  readonly on: string;
  readonly table: OperationsTable;
  readonly reads: readonly Read[];
};

/** Each thing that the rules name once, in their order. */
export function readsOf(rules: readonly Rule[], own: Own): readonly Reads[] {
  const found = new Map(
    rules
      .flatMap((rule) => [readsOfRule(rule), ...templateReads(rule, own)])
      .map((reads) => [`${reads.service} ${reads.on}`, reads]),
  );
  return [...found.values()];
}

function readsOfRule(rule: Rule): Reads {
  switch (rule.allow) {
    case "scale":
    case "deploy":
      return {
        service: "autoscaling",
        resource: rule.group,
        on: rule.group,
        table: SCALE_OPERATIONS,
        reads: groupReads(rule.group),
      };
    case "issue-certificate":
      return {
        service: "acm-pca",
        resource: rule.authority,
        on: rule.authority,
        table: CERTIFICATE_OPERATIONS,
        reads: authorityReads(rule.authority),
      };
    case "update-dns": {
      const name = "below" in rule.names ? rule.names.below : (rule.names.exactly[0] ?? "");
      return {
        service: "route53",
        resource: `${rule.zone}/${name}`,
        on: rule.zone,
        table: DNS_OPERATIONS,
        reads: zoneReads(rule.zone, name),
      };
    }
  }
}

/** Of a deploy: whether a new version of the group's launch template would reach anybody else. */
function templateReads(rule: Rule, own: Own): readonly Reads[] {
  if (rule.allow !== "deploy") return [];
  const ask = (calls: AwsCalls) => aloneNow(calls, own, rule.group);
  return [
    {
      service: "autoscaling",
      resource: EVERY_GROUP,
      on: `every group, beside ${rule.group}`,
      table: EVERY_GROUP_OPERATIONS,
      reads: [{ operation: "autoscaling:DescribeAutoScalingGroups", ask }],
    },
  ];
}

function missing(what: string): CallFailed {
  return new CallFailed("missing", `there is no such ${what}`, "none");
}

/** `missing` is the answer that was to come. */
function notThere(error: unknown): string {
  if (error instanceof CallFailed && error.status === "missing") return NOT_THERE;
  throw error;
}

function groupReads(name: string): readonly Read[] {
  return [
    {
      operation: "autoscaling:DescribeAutoScalingGroups",
      async ask(calls) {
        const command = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] });
        const { AutoScalingGroups: groups = [] } = await calls.send("autoscaling", (client) => client.send(command));
        const [group] = groups;
        if (group === undefined) throw missing("group");
        return `it has ${group.DesiredCapacity} of ${group.MinSize} to ${group.MaxSize} machines`;
      },
    },
    {
      operation: "autoscaling:DescribeScalingActivities",
      async ask(calls) {
        const command = new DescribeScalingActivitiesCommand({ AutoScalingGroupName: name });
        await calls.send("autoscaling", (client) => client.send(command));
        return "it can be read";
      },
    },
  ];
}

function authorityReads(arn: string): readonly Read[] {
  const input = { CertificateAuthorityArn: arn };
  return [
    {
      operation: "acm-pca:DescribeCertificateAuthority",
      async ask(calls) {
        const command = new DescribeCertificateAuthorityCommand(input);
        const { CertificateAuthority: found } = await calls.send("acm-pca", (client) => client.send(command));
        if (found?.Status === "ACTIVE") return "it is ACTIVE";
        throw new CallFailed("authority-unusable", `its state is ${found?.Status ?? "not said"}`, "none");
      },
    },
    {
      operation: "acm-pca:GetCertificateAuthorityCertificate",
      async ask(calls) {
        await calls.send("acm-pca", (client) => client.send(new GetCertificateAuthorityCertificateCommand(input)));
        return "it can be read";
      },
    },
    {
      operation: "acm-pca:GetCertificate",
      async ask(calls) {
        const command = new GetCertificateCommand({ ...input, CertificateArn: `${arn}/certificate/${NO_CERTIFICATE}` });
        return await calls.send("acm-pca", (client) => client.send(command)).then(() => "it can be read", notThere);
      },
    },
  ];
}

function zoneReads(zone: string, name: string): readonly Read[] {
  return [
    {
      operation: "route53:GetHostedZone",
      async ask(calls) {
        const found = await calls.send("route53", (client) => client.send(new GetHostedZoneCommand({ Id: zone })));
        return `it is ${found.HostedZone?.Name ?? "a zone without a name"}`;
      },
    },
    {
      operation: "route53:ListResourceRecordSets",
      async ask(calls) {
        const command = new ListResourceRecordSetsCommand({ HostedZoneId: zone, StartRecordName: name, MaxItems: 1 });
        await calls.send("route53", (client) => client.send(command));
        return "it can be read";
      },
    },
    {
      operation: "route53:GetChange",
      async ask(calls) {
        calls.changeIds.add(NO_CHANGE);
        const command = new GetChangeCommand({ Id: NO_CHANGE });
        return await calls.send("route53", (client) => client.send(command)).then(() => "it can be read", notThere);
      },
    },
  ];
}
