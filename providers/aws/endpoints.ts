import type { AwsConfig } from "../../agent/providerConfig/aws.ts";
import type { CallPlace } from "../provider.ts";
import type { Service } from "./operations.ts";

/** Where a service is called, and the region that its requests are signed for. */
export type Endpoint = { readonly url: string; readonly host: string; readonly region: string };

/** What the hosts of a partition end in. */
export const DOMAIN = {
  aws: "amazonaws.com",
  "aws-us-gov": "amazonaws.com",
  "aws-cn": "amazonaws.com.cn",
  "aws-eusc": "amazonaws.eu",
} as const;
/** Route 53 has one endpoint a partition, signed for one region of it. */
const ROUTE53 = {
  aws: { host: "route53.amazonaws.com", region: "us-east-1" },
  "aws-us-gov": { host: "route53.us-gov.amazonaws.com", region: "us-gov-west-1" },
  "aws-cn": { host: "route53.amazonaws.com.cn", region: "cn-northwest-1" },
  "aws-eusc": { host: "route53.amazonaws.eu", region: "eusc-de-east-1" },
} as const;

/** IAM too. It is asked by `doctor` alone, and only where the config names its endpoint. */
const IAM = {
  aws: { host: "iam.amazonaws.com", region: "us-east-1" },
  "aws-us-gov": { host: "iam.us-gov.amazonaws.com", region: "us-gov-west-1" },
  "aws-cn": { host: "iam.cn-north-1.amazonaws.com.cn", region: "cn-north-1" },
  "aws-eusc": { host: "iam.eusc-de-east-1.amazonaws.eu", region: "eusc-de-east-1" },
} as const;

/** The config's private endpoint, else AWS's public one. Nothing else decides it: no variable, no shared file, no answer. */
export function endpointOf(aws: AwsConfig, service: Service): Endpoint {
  const { host, region } = placeOf(aws, service);
  const url = aws.endpoints[service] ?? `https://${host}`;
  const { protocol, hostname, port } = new URL(url);
  return { url, host: hostText(protocol, hostname, port), region };
}

function placeOf(aws: AwsConfig, service: Service): { readonly host: string; readonly region: string } {
  if (service === "route53") return ROUTE53[aws.partition];
  if (service === "iam") return IAM[aws.partition];
  return { host: `${service}.${aws.region}.${DOMAIN[aws.partition]}`, region: aws.region };
}

/** A host as the gate compares it: a port that is not https's own, and plain http, are part of it. */
export function hostText(protocol: string, hostname: string, port: string): string {
  const at = port === "" || (protocol === "https:" && port === "443") ? hostname : `${hostname}:${port}`;
  return protocol === "https:" ? at : `${protocol}//${at}`;
}

/** What a command may call of a service, one place for each method. */
export function placesOf(aws: AwsConfig, service: Service, methods: readonly string[]): readonly CallPlace[] {
  const { host, region } = endpointOf(aws, service);
  return methods.map((method) => ({ host, region, method }));
}
