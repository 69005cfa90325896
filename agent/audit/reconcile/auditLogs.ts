import { z } from "zod";
import { wishedOf } from "./auditLogsWish.ts";
import { type Call, type Read, type Trail, TrailFault } from "./call.ts";
import { splitLines } from "./lines.ts";
import { jsonOf } from "./records.ts";

/**
 * Cloud Audit Logs as a sink to a bucket writes them: a LogEntry a line, whose payload is an AuditLog. Google adds fields, so an entry may hold any;
 * those used here must be of their form in each entry by the service account, else the file is refused.
 */

/** Whose calls are looked for, and where. */
export type Account = { readonly email: string; readonly project: string; readonly region: string | null };

const Envelope = z.looseObject({
  timestamp: z.string().nullish(),
  logName: z.string().max(512).nullish(),
  operation: z.looseObject({ first: z.boolean().nullish(), last: z.boolean().nullish() }).nullish(),
  protoPayload: z
    .looseObject({ authenticationInfo: z.looseObject({ principalEmail: z.string().nullish() }).nullish() })
    .nullish(),
});
const Entry = z.looseObject({
  insertId: z.string().min(1).max(256),
  timestamp: z.string(),
  logName: z.string().max(512),
  protoPayload: z.looseObject({
    methodName: z.string().min(1).max(256),
    resourceName: z.string().max(2048).nullish(),
    requestMetadata: z
      .looseObject({ callerIp: z.string().max(128).nullish(), callerSuppliedUserAgent: z.string().max(8192).nullish() })
      .nullish(),
    authorizationInfo: z.array(z.looseObject({ permissionType: z.string().nullish() })).nullish(),
    status: z.looseObject({ code: z.number().int().nullish() }).nullish(),
    request: z.unknown().optional(),
  }),
});
type Entry = z.infer<typeof Entry>;

export function auditLogs(account: Account): Trail {
  return {
    splitter: splitLines,
    read: (bytes) => readEntry(jsonOf(bytes), account),
  };
}

function readEntry(json: unknown, account: Account): Read {
  const envelope = Envelope.safeParse(json);
  if (!envelope.success) throw faultOf(envelope.error);
  const { timestamp, logName, operation, protoPayload } = envelope.data;
  const reads = /%2Fdata_access$/.test(logName ?? "");
  const about = { time: secondsOf(timestamp), reads, call: null };
  // Another log of the project's, or a service's entry of nobody.
  if (protoPayload === undefined || protoPayload === null) return { ...about, is: "others" };
  if (protoPayload.authenticationInfo?.principalEmail !== account.email) return { ...about, is: "others" };
  // How a long operation ended: that it began is an entry of its own, which says what was asked.
  if (operation?.last === true && operation.first !== true) return { ...about, is: "summary" };
  const entry = Entry.safeParse(json);
  if (!entry.success) throw faultOf(entry.error);
  return { ...about, is: "ours", call: callOf(entry.data, account) };
}

function faultOf(error: z.ZodError): TrailFault {
  const field = error.issues[0]?.path.map(String).join(".").slice(0, 64);
  return new TrailFault(
    `an entry's ${field === undefined || field === "" ? "form" : field} is not as Cloud Audit Logs write it`,
  );
}

function instantOf(text: string): Temporal.Instant {
  try {
    return Temporal.Instant.from(text);
  } catch (error) {
    if (error instanceof RangeError) throw new TrailFault("an entry's timestamp is not as Cloud Audit Logs write it");
    throw error;
  }
}

function secondsOf(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : instantOf(text).round("second").toString();
}

const AUTHORITY = /^google\.cloud\.security\.privateca\.v1\.CertificateAuthorityService\.(\w+)$/;
const AUTHORITY_CALLS: Readonly<Record<string, string>> = {
  FetchCaCerts: "privateca.caPools.fetchCaCerts",
  GetCertificate: "privateca.certificates.get",
  CreateCertificate: "privateca.certificates.create",
};

/** In the words of the operations table. */
function operationOf(methodName: string): string {
  const [, call = ""] = AUTHORITY.exec(methodName) ?? [];
  return AUTHORITY_CALLS[call] ?? methodName.replace(/^v1\./, "");
}

function callOf(entry: Entry, account: Account): Call {
  const { methodName, resourceName, requestMetadata, status, request } = entry.protoPayload;
  const userAgent = requestMetadata?.callerSuppliedUserAgent ?? "";
  const time = instantOf(entry.timestamp).epochMilliseconds;
  const place = placeOf(resourceName ?? "", request, account);
  return {
    id: entry.insertId,
    // Google answers with no id that its log keeps: each call of the agent's brings one of its own.
    requestId: / call\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=[\s,]|$)/.exec(userAgent)?.[1] ?? null,
    time,
    operation: operationOf(methodName),
    kind: kindOf(entry),
    subjects: place.subjects,
    principal: account.email,
    // Google's front end adds its own words after a comma.
    userAgent: userAgent.replaceAll(",", " "),
    error: status?.code === undefined || status.code === null || status.code === 0 ? null : `code ${status.code}`,
    address: requestMetadata?.callerIp ?? "",
    region: place.region,
    place: place.ours === null ? "unsaid" : place.ours ? "ours" : "other",
    wished: wishedOf(request, Math.floor(time / 1000)),
  };
}

/** Admin Activity is changes alone. Data Access has reads, and writes of data too: there the permission's own type tells. */
function kindOf({ logName, protoPayload }: Entry): Call["kind"] {
  const types = (protoPayload.authorizationInfo ?? []).flatMap(({ permissionType }) => permissionType ?? []);
  if (/%2Factivity$/.test(logName) || types.some((type) => type.endsWith("_WRITE"))) return "change";
  return types.length > 0 && types.every((type) => type.endsWith("_READ")) ? "read" : "unsaid";
}

type PlaceOf = { readonly subjects: readonly string[]; readonly region: string; readonly ours: boolean | null };

const GROUP = /^projects\/([^/]+)\/(zones|regions)\/([^/]+)\/(\w+)(?:\/([^/]+))?/;
const POOL = /^(projects\/([^/]+)\/locations\/([^/]+)\/caPools\/[^/]+)/;
const Names = z.array(z.looseObject({ name: z.string() })).default([]);
const Change = z.looseObject({ change: z.looseObject({ additions: Names, deletions: Names }) });

/** What the call was about, in the words that an operation of the log names its resource with. */
function placeOf(resourceName: string, request: unknown, { project, region }: Account): PlaceOf {
  const inRegion = (where: string): boolean | null =>
    region === null ? null : where === region || where.replace(/-[a-z]$/, "") === region;
  const [, of, kind, where = "", what, name = ""] = GROUP.exec(resourceName) ?? [];
  if (of !== undefined) {
    const ours = of === project ? inRegion(where) : false;
    const group = kind === "regions" ? name : `${where}/${name}`;
    // An operation or an autoscaler does not say of which group it is.
    return { subjects: what === "instanceGroupManagers" ? [group] : [], region: where, ours };
  }
  const [, pool, owner, location = ""] = POOL.exec(resourceName) ?? [];
  if (pool !== undefined)
    return { subjects: [pool], region: location, ours: owner === project ? inRegion(location) : false };
  const [, zone] = /^(?:projects\/[^/]+\/)?managedZones\/([^/]+)/.exec(resourceName) ?? [];
  if (zone === undefined) return { subjects: resourceName === "" ? [] : [resourceName], region: "", ours: null };
  const read = Change.safeParse(request);
  const records = read.success ? [...read.data.change.deletions, ...read.data.change.additions] : [];
  const names = records.map((record) => `${zone}/${record.name.replace(/\.$/, "").toLowerCase()}`);
  return { subjects: names.length === 0 ? [`${zone}/`] : names, region: "global", ours: true };
}
