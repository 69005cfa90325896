import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { Entry, type EntryBody, type Operation } from "../../agent/audit/entry.ts";
import { TrailFault } from "../../agent/audit/reconcile/call.ts";
import { cloudtrail } from "../../agent/audit/reconcile/cloudtrail.ts";
import { addEvent, beginComparison, type Comparison, endComparison } from "../../agent/audit/reconcile/compare.ts";
import { addEntry, emptyLedger, type Period, type Tables } from "../../agent/audit/reconcile/ledger.ts";
import { timeText } from "../../agent/audit/time.ts";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import {
  CERTIFICATE_OPERATIONS,
  DNS_OPERATIONS,
  DOCTOR_OPERATIONS,
  IDENTITY_OPERATIONS,
  SCALE_OPERATIONS,
} from "../../providers/aws/operations.ts";
import { DIGEST } from "./world.ts";

/**
 * CloudTrail's files and a log beside them, as tests write both. Events have the form of AWS's own examples: "CloudTrail record contents",
 * "userIdentity element", and the examples of Auto Scaling, Private CA and Route 53 in their guides.
 */
export const ACCOUNT = "111122223333";
export const ROLE_ARN = `arn:aws:iam::${ACCOUNT}:role/reeve`;
export const GROUP = "prod-eu-1-brokers";
export const AUTHORITY = `arn:aws:acm-pca:eu-west-1:${ACCOUNT}:certificate-authority/11223344-1234-1122-2233-112233445566`;
export const ZONE = "Z0123456789ABCDEFGHIJ";
export const NAME = "b1.brokers.prod-eu-1.example.com";
export const VERSION = "0.1.0";
export const TABLES: Tables = {
  actions: {
    scale: SCALE_OPERATIONS,
    "issue-certificate": CERTIFICATE_OPERATIONS,
    "update-dns": DNS_OPERATIONS,
    deploy: AWS_OPERATIONS.deploy,
  },
  checks: IDENTITY_OPERATIONS,
  doctor: DOCTOR_OPERATIONS,
};
/** Milliseconds since 1970: when all of it begins. */
export const START = Date.UTC(2025, 10, 24, 9, 0, 0);
export const seconds = (count: number): number => START + count * 1000;

export const agentOf = (command: string, version = VERSION): string =>
  `reeve/${version} cmd/${command} ua/2.1 api/x#1 m/E`;

const IDENTITY = {
  type: "AssumedRole",
  principalId: "AROAIDPPEZS35WEXAMPLE:i-0abcdef1234567890",
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reeve/i-0abcdef1234567890`,
  accountId: ACCOUNT,
  accessKeyId: "ASIAIOSFODNN7EXAMPLE",
  sessionContext: {
    sessionIssuer: {
      type: "Role",
      principalId: "AROAIDPPEZS35WEXAMPLE",
      arn: `arn:aws:iam::${ACCOUNT}:role/service/reeve`,
      accountId: ACCOUNT,
      userName: "reeve",
    },
    attributes: { mfaAuthenticated: "false", creationDate: "2025-11-24T03:00:00Z" },
    ec2RoleDelivery: "2.0",
  },
};
/** As another role's session has it, under a name that begins like ours. */
export const SOMEBODY = {
  ...IDENTITY,
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reeve-admin/maria`,
  sessionContext: {
    ...IDENTITY.sessionContext,
    sessionIssuer: { ...IDENTITY.sessionContext.sessionIssuer, arn: `${ROLE_ARN}-admin`, userName: "reeve-admin" },
  },
};

export type Event = Record<string, unknown>;
const READS = /^(?:Describe|Get|List)/;

/** An event by the agent's role. `operation`: "autoscaling:SetDesiredCapacity". */
export function event(operation: string, request: string | null, at: number, more: Event = {}): Event {
  const [service = "", name = ""] = operation.split(":");
  return {
    eventVersion: "1.11",
    userIdentity: IDENTITY,
    eventTime: `${new Date(seconds(at)).toISOString().slice(0, 19)}Z`,
    eventSource: `${service}.amazonaws.com`,
    eventName: name,
    awsRegion: service === "route53" ? "us-east-1" : "eu-west-1",
    sourceIPAddress: "10.20.1.7",
    userAgent: agentOf("01932a2f-0000-7000-8000-000000000000"),
    requestParameters: PARAMETERS[operation] ?? null,
    responseElements: null,
    requestID: request,
    eventID: crypto.randomUUID(),
    readOnly: READS.test(name),
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: "Management",
    tlsDetails: { tlsVersion: "TLSv1.3", cipherSuite: "TLS_AES_128_GCM_SHA256" },
    ...more,
  };
}

/** As an intent holds it, and as it is sent. Its bytes are only compared. */
const CSR = Buffer.from("a request for a certificate, whose bytes are compared and never parsed").toString("base64");
const CSR_PEM = `-----BEGIN CERTIFICATE REQUEST-----\n${CSR.slice(0, 64)}\n${CSR.slice(64)}\n-----END CERTIFICATE REQUEST-----\n`;

const PARAMETERS: Readonly<Record<string, unknown>> = {
  "autoscaling:SetDesiredCapacity": { autoScalingGroupName: GROUP, desiredCapacity: 4, honorCooldown: false },
  "autoscaling:DescribeAutoScalingGroups": { autoScalingGroupNames: [GROUP] },
  "acm-pca:IssueCertificate": {
    certificateAuthorityArn: AUTHORITY,
    csr: { hb: [...Buffer.from(CSR_PEM)], offset: 0, isReadOnly: false },
    signingAlgorithm: "SHA256WITHECDSA",
    templateArn: "arn:aws:acm-pca:::template/EndEntityServerAuthCertificate/V1",
    validityNotBefore: { value: seconds(-39) / 1000, type: "ABSOLUTE" },
    validity: { value: seconds(-39) / 1000 + 3599, type: "ABSOLUTE" },
  },
  "acm-pca:GetCertificate": { certificateAuthorityArn: AUTHORITY, certificateArn: `${AUTHORITY}/certificate/0123` },
  "route53:ChangeResourceRecordSets": {
    hostedZoneId: ZONE,
    changeBatch: {
      changes: [
        {
          action: "CREATE",
          resourceRecordSet: { name: `${NAME}.`, type: "A", ttl: 60, resourceRecords: [{ value: "10.20.3.4" }] },
        },
      ],
    },
  },
  "route53:ListResourceRecordSets": { hostedZoneId: ZONE, startRecordName: NAME },
  "route53:GetChange": { id: "/change/C2682N5HXP0BZ4" },
};

export const fileOf = (...records: Event[]): string => JSON.stringify({ Records: records });

/** Where S3 has it, and packed as it is there. */
export function writeTrail(folder: string, text: string, number = 1, region = "eu-west-1"): string {
  const day = "2025/11/24";
  const name = `${ACCOUNT}_CloudTrail_${region}_20251124T09${String(number).padStart(2, "0")}Z_Mu0KsOhtH1ar15ZZ.json.gz`;
  const path = join(folder, "AWSLogs", ACCOUNT, "CloudTrail", region, day, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, gzipSync(text));
  return path;
}

export const COMMANDS = {
  scale: "01932a2f-1111-7000-8000-000000000001",
  certificate: "01932a2f-1111-7000-8000-000000000002",
  dns: "01932a2f-1111-7000-8000-000000000003",
  refused: "01932a2f-1111-7000-8000-000000000004",
} as const;

type Ask = Pick<Extract<EntryBody, { kind: "intent" }>, "action" | "asked" | "resource">;
export const ASKED: Readonly<Record<"scale" | "certificate" | "dns", Ask>> = {
  scale: { action: "scale", asked: { group: GROUP, count: 4 }, resource: `group:${GROUP}` },
  certificate: {
    action: "issue-certificate",
    asked: { authority: AUTHORITY, usages: ["server"], validity: 3600 },
    resource: `authority:${AUTHORITY}`,
  },
  dns: {
    action: "update-dns",
    asked: { zone: ZONE, name: NAME, type: "A", change: "create", values: ["10.20.3.4"], ttl: 60 },
    resource: `record:${ZONE}/${NAME}`,
  },
};

function asking(command: string, { action, asked }: Pick<Ask, "action" | "asked">) {
  const by = { key: "cmd-1", says: { operator: "maria", why: "INC-1" } };
  return { action, asked, by, command, digest: DIGEST, exp: seconds(3600) / 1000 };
}

export function intentOf(command: string, ask: Ask): EntryBody {
  const allowed = { policy: DIGEST, rule: "brokers" };
  const { resource } = ask;
  return {
    ...asking(command, ask),
    kind: "intent",
    allowed,
    found: { count: 3 },
    resource,
    signed: "a.b.c",
    csr: ask.action === "issue-certificate" ? CSR : null,
  };
}

export function refusedOf(command: string, ask: Pick<Ask, "action" | "asked">, first: number | null = null): EntryBody {
  return {
    ...asking(command, ask),
    kind: "refused",
    code: first === null ? "policy.change.up" : "verify.replayed",
    because: "the rule allows 1 more",
    hint: "Ask for less.",
    rule: "brokers",
    field: "change",
    found: "3",
    limit: "1",
    policy: DIGEST,
    first,
  };
}

export function operation(name: string, resource: string, request: string | null, status = "ok"): Operation {
  return {
    operation: name,
    resource,
    request,
    status,
    milliseconds: 12,
    changes: !READS.test(name.split(":")[1] ?? ""),
  };
}

type OutcomeWish = {
  readonly known_by?: "answer" | "token" | "change id" | "state" | "nothing";
  readonly result?: "succeeded" | "unknown";
};
export function outcomeOf(
  command: string,
  intent: number,
  operations: readonly Operation[],
  wish: OutcomeWish = {},
): EntryBody {
  return {
    kind: "outcome",
    command,
    intent,
    result: wish.result ?? "succeeded",
    code: null,
    known_by: wish.known_by ?? "answer",
    changed: [],
    operations: [...operations],
    certificate: null,
    details: null,
  };
}

export const startedNow: EntryBody = {
  kind: "started",
  version: VERSION,
  process: "01932a2f-0000-7000-8000-000000000001",
  runtime: "bun",
};

/** A log of a minute: a process, and one command of each action with its calls, at seconds of the minute. */
export type Written = readonly (readonly [at: number, body: EntryBody])[];
export const LOG: Written = [
  [0, startedNow],
  [10, intentOf(COMMANDS.scale, ASKED.scale)],
  [
    14,
    outcomeOf(COMMANDS.scale, 1, [
      operation("autoscaling:SetDesiredCapacity", GROUP, "req-scale"),
      operation("autoscaling:DescribeAutoScalingGroups", GROUP, "req-groups"),
    ]),
  ],
  [20, intentOf(COMMANDS.certificate, ASKED.certificate)],
  [
    24,
    outcomeOf(COMMANDS.certificate, 3, [
      operation("acm-pca:IssueCertificate", AUTHORITY, "req-issue"),
      operation("acm-pca:GetCertificate", AUTHORITY, "req-get"),
    ]),
  ],
  [30, intentOf(COMMANDS.dns, ASKED.dns)],
  [
    34,
    outcomeOf(COMMANDS.dns, 5, [
      operation("route53:ChangeResourceRecordSets", `${ZONE}/${NAME}`, "req-change"),
      operation("route53:GetChange", `${ZONE}/${NAME}`, "req-insync"),
    ]),
  ],
  [40, refusedOf(COMMANDS.refused, ASKED.scale)],
];

/** CloudTrail's side of LOG. */
export const TRAIL: readonly Event[] = [
  event("autoscaling:DescribeAutoScalingGroups", "req-before", 9, { userAgent: agentOf(COMMANDS.scale) }),
  event("autoscaling:SetDesiredCapacity", "req-scale", 11, { userAgent: agentOf(COMMANDS.scale) }),
  event("autoscaling:DescribeAutoScalingGroups", "req-groups", 12, { userAgent: agentOf(COMMANDS.scale) }),
  event("acm-pca:IssueCertificate", "req-issue", 21, { userAgent: agentOf(COMMANDS.certificate) }),
  event("acm-pca:GetCertificate", "req-get", 22, { userAgent: agentOf(COMMANDS.certificate), readOnly: undefined }),
  event("route53:ListResourceRecordSets", "req-list", 29, { userAgent: agentOf(COMMANDS.dns) }),
  event("route53:ChangeResourceRecordSets", "req-change", 31, { userAgent: agentOf(COMMANDS.dns) }),
  event("route53:GetChange", "req-insync", 33, { userAgent: agentOf(COMMANDS.dns) }),
  event("autoscaling:DescribeAutoScalingGroups", "req-refused", 39, { userAgent: agentOf(COMMANDS.refused) }),
  event("sts:GetCallerIdentity", "req-who", 8, { userAgent: agentOf(COMMANDS.scale) }),
];

/** The entries as a log holds them. */
export function entriesOf(written: Written): Entry[] {
  return written.map(([at, body], index) =>
    Entry.parse({ ...body, v: 1, index, time: timeText(seconds(at)), cluster: "prod-eu-1", epoch: 1 }),
  );
}

export const ALWAYS: Period = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
/** Long after. */
export const LATER = seconds(86_400);

/** A file's bytes, in pieces of a length, through what the command itself uses. Returns what the file was, or why it was refused. */
export function readFile(
  bytes: Uint8Array,
  take: (event: Uint8Array) => void = () => undefined,
  pieceLength = bytes.length,
): "events" | "digest" | { readonly fault: string } {
  const splitter = cloudtrail({ account: ACCOUNT, name: "reeve" }, "eu-west-1").splitter();
  try {
    for (let at = 0; at < bytes.length; at += pieceLength) splitter.push(bytes.subarray(at, at + pieceLength), take);
    return splitter.end(() => undefined);
  } catch (error) {
    if (error instanceof TrailFault) return { fault: error.because };
    throw error;
  }
}

/** A log and events, compared. */
export function compared(
  written: Written,
  events: readonly Event[],
  period: Period = ALWAYS,
  now: number = LATER,
): Comparison {
  const ledger = emptyLedger();
  for (const entry of entriesOf(written)) if (!addEntry(ledger, entry, period)) throw new Error("too many entries");
  const progress = beginComparison(ledger, TABLES, period);
  const { read } = cloudtrail({ account: ACCOUNT, name: "reeve" }, "eu-west-1");
  const file = Buffer.from(fileOf(...events));
  const is = readFile(file, (bytes) => {
    if (!addEvent(progress, read(bytes))) throw new Error("too many events");
  });
  if (is !== "events") throw new Error(`the file is refused: ${JSON.stringify(is)}`);
  return endComparison(progress, now);
}
