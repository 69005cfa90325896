import { z } from "zod";
import { type Call, type Read, type Trail, TrailFault } from "./call.ts";
import { wishedOf } from "./cloudtrailWish.ts";
import { jsonOf, splitRecords } from "./records.ts";

/**
 * AWS CloudTrail's files as S3 holds them (CloudTrail User Guide, "record contents"): `{"Records": […]}`. AWS adds fields, so an event may
 * hold any; those used here must be of their form in each event by the role, else the file is refused.
 */

/** Whose calls are looked for. A role's name is unique in its account, whatever its path. */
export type Role = { readonly account: string; readonly name: string };

const ROLE_ARN = /^arn:aws[a-z-]*:iam::(\d{12}):role\/(?:[!-~]+\/)?([\w+=,.@-]{1,64})$/;

export function roleOfArn(arn: string): Role | null {
  const [, account, name] = ROLE_ARN.exec(arn) ?? [];
  return account === undefined || name === undefined ? null : { account, name };
}

const Identity = z.looseObject({
  type: z.string().optional(),
  arn: z.string().nullish(),
  principalId: z.string().nullish(),
  sessionContext: z.looseObject({ sessionIssuer: z.looseObject({ arn: z.string().nullish() }).nullish() }).nullish(),
});
const Envelope = z.looseObject({
  userIdentity: z.unknown().optional(),
  eventTime: z.string().nullish(),
  eventCategory: z.string().nullish(),
  eventType: z.string().nullish(),
  readOnly: z.unknown().optional(),
});
const Event = z.looseObject({
  eventID: z.string().min(1).max(128),
  eventTime: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  eventSource: z.string().min(1).max(256),
  eventName: z.string().min(1).max(256),
  awsRegion: z.string().max(64),
  sourceIPAddress: z.string().max(1024).nullish(),
  userAgent: z.string().max(8192).nullish(),
  requestID: z.string().max(256).nullish(),
  errorCode: z.string().max(256).nullish(),
  readOnly: z.boolean().nullish(),
  /** What is said anew of an event that was delivered before, or late. */
  addendum: z
    .looseObject({
      originalEventID: z.string().max(128).nullish(),
      originalRequestID: z.string().max(256).nullish(),
    })
    .nullish(),
});
const Digest = z.looseObject({
  digestStartTime: z.string(),
  digestEndTime: z.string(),
  logFiles: z.array(z.unknown()),
});

/** `region`: the config's; null where there is no config. */
export function cloudtrail(role: Role, region: string | null): Trail {
  return {
    splitter: () => splitRecords((document) => Digest.safeParse(document).success),
    read: (bytes) => readEvent(jsonOf(bytes), role, region),
  };
}

function readEvent(json: unknown, role: Role, region: string | null): Read {
  const envelope = Envelope.safeParse(json);
  if (!envelope.success) throw faultOf(envelope.error);
  const { userIdentity, eventTime, eventCategory, eventType, readOnly } = envelope.data;
  const about = { time: eventTime ?? null, reads: readOnly === true, call: null };
  if (eventCategory === "Insight" || eventType === "AwsCloudTrailInsight") return { ...about, is: "summary" };
  // Some events of services have no identity at all.
  if (userIdentity === undefined || userIdentity === null) return { ...about, is: "others" };
  const identity = Identity.safeParse(userIdentity);
  if (!identity.success) throw faultOf(identity.error);
  if (!isRole(identity.data, role)) return { ...about, is: "others" };
  const event = Event.safeParse(json);
  if (!event.success) throw faultOf(event.error);
  return { ...about, is: "ours", call: callOf(event.data, identity.data, region) };
}

function faultOf(error: z.ZodError): TrailFault {
  const field = error.issues[0]?.path.map(String).join(".").slice(0, 64);
  return new TrailFault(
    `an event's ${field === undefined || field === "" ? "form" : field} is not as CloudTrail writes it`,
  );
}

/** By the session's own name, or by the role that it was issued from. */
function isRole({ arn, sessionContext }: z.infer<typeof Identity>, role: Role): boolean {
  const [, account, name] = /^arn:aws[a-z-]*:sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn ?? "") ?? [];
  if (account === role.account && name === role.name) return true;
  return [arn, sessionContext?.sessionIssuer?.arn].some((one) => {
    const issuer = roleOfArn(one ?? "");
    return issuer?.account === role.account && issuer.name === role.name;
  });
}

function callOf(event: z.infer<typeof Event>, identity: z.infer<typeof Identity>, region: string | null): Call {
  const time = Temporal.Instant.from(event.eventTime).epochMilliseconds;
  const service = event.eventSource.replace(/\.amazonaws\.(?:com(?:\.cn)?|eu)$/, "");
  const subjects = subjectsOf(event["requestParameters"]);
  return {
    id: event.addendum?.originalEventID ?? event.eventID,
    requestId: event.requestID ?? event.addendum?.originalRequestID ?? null,
    time,
    operation: `${service}:${event.eventName}`,
    kind: event.readOnly === true ? "read" : event.readOnly === false ? "change" : "unsaid",
    subjects,
    principal: identity.arn ?? identity.principalId ?? "",
    userAgent: event.userAgent ?? "",
    error: event.errorCode ?? null,
    address: event.sourceIPAddress ?? "",
    region: event.awsRegion,
    place: placeOf(service, event.awsRegion, subjects, region),
    wished: wishedOf(event["requestParameters"]),
  };
}

/** One region of each partition signs and records for the whole of Route 53. */
const ROUTE53_REGIONS: readonly string[] = ["us-east-1", "us-gov-west-1", "cn-northwest-1", "eusc-de-east-1"];

function placeOf(service: string, shown: string, subjects: readonly string[], region: string | null): Call["place"] {
  if (service === "route53") return ROUTE53_REGIONS.includes(shown) ? "ours" : "other";
  const ofArn = /^arn:aws[a-z-]*:[a-z-]+:([a-z0-9-]+):/.exec(subjects[0] ?? "")?.[1];
  const ours = ofArn ?? region;
  if (ours === null) return "unsaid";
  return shown === ours ? "ours" : "other";
}

/** Only what names a resource of ours; of another form it is not shown, which is no fault: AWS writes each service's own way. */
const Parameters = z.looseObject({
  autoScalingGroupName: z.string().optional().catch(undefined),
  autoScalingGroupNames: z.array(z.string()).optional().catch(undefined),
  certificateAuthorityArn: z.string().optional().catch(undefined),
  hostedZoneId: z.string().optional().catch(undefined),
  changeBatch: z
    .looseObject({
      changes: z.array(z.looseObject({ resourceRecordSet: z.looseObject({ name: z.string() }) })),
    })
    .optional()
    .catch(undefined),
});

function subjectsOf(parameters: unknown): string[] {
  const read = Parameters.safeParse(parameters);
  if (!read.success) return [];
  const { autoScalingGroupName, autoScalingGroupNames, certificateAuthorityArn, hostedZoneId, changeBatch } = read.data;
  const zone = hostedZoneId?.replace(/^\/?hostedzone\//, "");
  const names = changeBatch?.changes.map(({ resourceRecordSet }) => resourceRecordSet.name.replace(/\.$/, "")) ?? [];
  const records = names.length === 0 ? [""] : names.map((name) => name.toLowerCase());
  return [
    ...(autoScalingGroupName === undefined ? [] : [autoScalingGroupName]),
    ...(autoScalingGroupNames ?? []),
    ...(certificateAuthorityArn === undefined ? [] : [certificateAuthorityArn]),
    ...(zone === undefined ? [] : records.map((name) => `${zone}/${name}`)),
  ];
}
