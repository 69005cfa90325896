import { expect, test } from "bun:test";
import { ACMPCAClient, ListPermissionsCommand } from "@aws-sdk/client-acm-pca";
import { AutoScalingClient, DescribeAccountLimitsCommand } from "@aws-sdk/client-auto-scaling";
import { DescribeAccountAttributesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { GetAccountSummaryCommand, IAMClient } from "@aws-sdk/client-iam";
import { ListHostedZonesCommand, Route53Client } from "@aws-sdk/client-route-53";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { endpointOf, hostText } from "../../providers/aws/endpoints.ts";
import type { Service } from "../../providers/aws/operations.ts";
import { CREDENTIALS, caught } from "./fixture.ts";

/** Where the SDK itself goes when it is told nothing but a region. */
async function theirs(service: Service, region: string): Promise<readonly [string, string]> {
  let place: readonly [string, string] = ["", ""];
  const handle = async (request: { hostname: string; headers: Record<string, string> }) => {
    place = [request.hostname, /^[^/]+\/\d{8}\/([^/]+)\//.exec(request.headers["authorization"] ?? "")?.[1] ?? ""];
    return { response: { statusCode: 500, headers: {}, body: new Uint8Array() } };
  };
  const settings = { region, credentials: CREDENTIALS, maxAttempts: 1, requestHandler: { handle } as never };
  const sent = {
    ec2: () => new EC2Client(settings).send(new DescribeAccountAttributesCommand({})),
    autoscaling: () => new AutoScalingClient(settings).send(new DescribeAccountLimitsCommand({})),
    "acm-pca": () => new ACMPCAClient(settings).send(new ListPermissionsCommand({ CertificateAuthorityArn: "arn:x" })),
    route53: () => new Route53Client(settings).send(new ListHostedZonesCommand({})),
    sts: () => new STSClient(settings).send(new GetCallerIdentityCommand({})),
    iam: () => new IAMClient(settings).send(new GetAccountSummaryCommand({})),
  };
  await caught(sent[service]());
  return place;
}
const REGIONS = [
  ["aws", "eu-west-1"],
  ["aws", "us-east-1"],
  ["aws", "us-west-2"],
  ["aws", "ap-southeast-4"],
  ["aws", "ca-west-1"],
  ["aws", "il-central-1"],
  ["aws-us-gov", "us-gov-west-1"],
  ["aws-us-gov", "us-gov-east-1"],
  ["aws-cn", "cn-north-1"],
  ["aws-cn", "cn-northwest-1"],
  ["aws-eusc", "eusc-de-east-1"],
] as const;

function configOf(partition: string, region: string, endpoints = {}): AwsConfig {
  return AwsConfig.parse({ account: "111122223333", role: "reeve", partition, region, endpoints });
}

test("our endpoints and signing regions are those of AWS's own rules, in every partition", async () => {
  let looked = 0;
  for (const [partition, region] of REGIONS) {
    for (const service of ["autoscaling", "acm-pca", "route53", "sts", "iam"] as const) {
      // The older generation of the SDK, which this one is of, has no such partition yet.
      if (service === "acm-pca" && partition === "aws-eusc") continue;
      const ours = endpointOf(configOf(partition, region), service);
      expect([service, region, ours.host, ours.region]).toEqual([service, region, ...(await theirs(service, region))]);
      looked++;
    }
  }
  expect(looked).toBe(54);
});

test("a private endpoint changes where a call goes, and nothing of what it is signed for", () => {
  const url = "https://vpce-1.route53.vpce.amazonaws.com";
  const { host, region } = endpointOf(configOf("aws", "eu-west-1", { route53: url }), "route53");
  expect([host, region]).toEqual(["vpce-1.route53.vpce.amazonaws.com", "us-east-1"]);
});

test("a place has one spelling: https's own port is left out, every other port and plain http are part of it", () => {
  expect(hostText("https:", "a.example", "443")).toBe("a.example");
  expect(hostText("https:", "a.example", "8443")).toBe("a.example:8443");
  expect(hostText("http:", "127.0.0.1", "443")).toBe("http://127.0.0.1:443");
  expect(hostText("http:", "a.example", "")).toBe("http://a.example");
});
