import { argv } from "node:process";
import { GetCertificateCommand } from "@aws-sdk/client-acm-pca";
import { ListResourceRecordSetsCommand } from "@aws-sdk/client-route-53";
import { awsProvider } from "../../providers/aws/aws.ts";
import { placesOf } from "../../providers/aws/endpoints.ts";
import { CERTIFICATE_OPERATIONS, DNS_OPERATIONS } from "../../providers/aws/operations.ts";
import { makeGate } from "../../providers/gate.ts";
import { COMMAND, configFor, failureOf, SETTING, worldOf } from "./fixture.ts";

/** A process whose surroundings a test fills with lies: it asks each service once, at the address in its argument. */
const aws = configFor(argv[2] ?? "");
const provider = await awsProvider(SETTING, aws);
const gate = makeGate({
  table: provider.scale.operations,
  places: placesOf(aws, "autoscaling", ["POST"]),
  resource: "brokers",
  phase: "read",
  beforeChange: () => undefined,
  now: () => performance.now(),
  record: () => undefined,
});
const errand = { id: COMMAND, signal: new AbortController().signal };
console.log(JSON.stringify(await provider.scale.describe(gate, { group: "brokers", count: 1 }, errand)));
const authority = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/1";
const certificates = worldOf(aws, "acm-pca", CERTIFICATE_OPERATIONS, authority).calls;
const certificate = { CertificateAuthorityArn: authority, CertificateArn: `${authority}/certificate/1` };
await failureOf(certificates.send("acm-pca", (client) => client.send(new GetCertificateCommand(certificate))));
const records = worldOf(aws, "route53", DNS_OPERATIONS, "Z1/a.example.com").calls;
const record = { HostedZoneId: "Z1", StartRecordName: "a.example.com" };
await failureOf(records.send("route53", (client) => client.send(new ListResourceRecordSetsCommand(record))));
