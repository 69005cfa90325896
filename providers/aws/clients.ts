import { ACMPCAClient } from "@aws-sdk/client-acm-pca";
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import type { IAMClient } from "@aws-sdk/client-iam";
import { Route53Client } from "@aws-sdk/client-route-53";
import { STSClient } from "@aws-sdk/client-sts";
import type { Endpoint } from "./endpoints.ts";
import type { Service } from "./operations.ts";
import type { SdkRequest, SdkResponse } from "./sdkRequest.ts";

export type ClientOf = {
  readonly autoscaling: AutoScalingClient;
  readonly ec2: EC2Client;
  readonly "acm-pca": ACMPCAClient;
  readonly route53: Route53Client;
  readonly sts: STSClient;
  readonly iam: IAMClient;
};

export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
};

/** How clients are made. IAM's is not among them: no command calls it, and what `doctor` alone needs is loaded when `doctor` asks. */
export type Makers = { readonly [S in Service]?: (settings: Settings) => ClientOf[S] };
const COMMANDS: Makers = {
  autoscaling: (settings) => new AutoScalingClient(settings),
  ec2: (settings) => new EC2Client(settings),
  "acm-pca": (settings) => new ACMPCAClient(settings),
  route53: (settings) => new Route53Client(settings),
  sts: (settings) => new STSClient(settings),
};

type Settings = ReturnType<typeof settingsOf>;

/** Everything that the SDK would else look up in variables and shared files, said here. */
function settingsOf(endpoint: Endpoint, credentials: Credentials, userAgent: readonly (readonly [string, string])[]) {
  return {
    endpoint: endpoint.url,
    region: endpoint.region,
    credentials,
    defaultsMode: "standard" as const,
    retryMode: "standard",
    // Each try is a call of its own through the gate, with its own row in the outcome: call.ts tries again, the SDK never.
    maxAttempts: 1,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    authSchemePreference: ["sigv4"],
    sigv4aSigningRegionSet: [endpoint.region],
    userAgentAppId: async () => undefined,
    // In place of the SDK's own, which tells of the machine: CloudTrail names the version and the command.
    defaultUserAgentProvider: async () => userAgent.map(([name, value]) => [name, value] as [string, string]),
    // Time is this machine's clock: nothing received sets it.
    disableClockSkewCorrection: true,
  };
}

/** A client of one service for one call. `handle` is all that it has of a network. */
export function clientOf<S extends Service>(
  service: S,
  endpoint: Endpoint,
  credentials: Credentials,
  userAgent: readonly (readonly [string, string])[],
  handle: (request: SdkRequest) => Promise<SdkResponse>,
  makers: Makers = COMMANDS,
): ClientOf[S] {
  const settings = { ...settingsOf(endpoint, credentials, userAgent), requestHandler: { handle } };
  const make = makers[service];
  if (make === undefined) throw new Error(`no client of ${service} is made here`);
  return make(settings as unknown as Settings);
}
