import { z } from "zod";
import { AZURE_OPERATIONS } from "../../../policy/permissions/azure/operations.ts";
import { splitAzure } from "./azureFiles.ts";
import { NOTHING_WISHED, wishedIn } from "./azureWish.ts";
import { type Call, type Read, type Trail, TrailFault } from "./call.ts";
import { jsonOf } from "./records.ts";

/**
 * Azure's two logs: the Activity Log as `az monitor activity-log list` prints it, which has changes through Resource Manager and no reads, and
 * Key Vault's audit events as a diagnostic setting writes them to a storage account, which has both. Azure adds fields, so an event may hold
 * any; those used here must be of their form in each event by the identity, else the file is refused.
 */

/** Whose calls are looked for, and where: the identity's object id. */
export type Principal = { readonly id: string; readonly subscription: string; readonly resourceGroup: string };

const Word = z.union([z.string(), z.looseObject({ value: z.string().nullish() })]).nullish();
const OID = "http://schemas.microsoft.com/identity/claims/objectidentifier";
/** An event of the Activity Log. */
const Activity = z.looseObject({
  eventTimestamp: z.string(),
  operationName: z.looseObject({ value: z.string().min(1).max(256) }),
  correlationId: z.string().min(1).max(128),
  operationId: z.string().min(1).max(128),
  resourceId: z.string().max(2048),
  caller: z.string().nullish(),
  claims: z.record(z.string(), z.string()).nullish(),
  status: Word,
  subStatus: Word,
  httpRequest: z
    .looseObject({ clientRequestId: z.string().max(128).nullish(), clientIpAddress: z.string().max(128).nullish() })
    .nullish(),
  properties: z.unknown().optional(),
});
type Activity = z.infer<typeof Activity>;
/** An audit event of a key vault. */
const Vault = z.looseObject({
  time: z.string(),
  category: z.literal("AuditEvent"),
  operationName: z.string().min(1).max(256),
  correlationId: z.string().max(128),
  resultType: z.string().max(64).nullish(),
  resultSignature: z.string().max(256).nullish(),
  callerIpAddress: z.string().max(128).nullish(),
  identity: z.looseObject({ claim: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  properties: z.looseObject({
    clientInfo: z.string().max(8192).nullish(),
    requestUri: z.string().max(4096).nullish(),
    httpStatusCode: z.number().nullish(),
  }),
});

/** The events that a call is said in share this. Whose it is, is looked at later. */
function keyOf(event: unknown): string | null {
  const read = Activity.safeParse(event);
  if (read.success) return `${read.data.operationId} ${read.data.operationName.value.toLowerCase()}`;
  if (Vault.safeParse(event).success) return null;
  if (z.looseObject({ category: z.string() }).safeParse(event).success) return null;
  throw new TrailFault("an event that is neither of the Activity Log nor of a key vault's audit log");
}

export function azureTrail(principal: Principal): Trail {
  return {
    splitter: () => splitAzure(keyOf),
    read: (bytes) => readGroup(jsonOf(bytes), principal),
    // The Activity Log has no reads at all.
    holdsReads: (operation) => operation.startsWith("Microsoft.KeyVault/"),
  };
}

function readGroup(events: unknown, principal: Principal): Read {
  if (!Array.isArray(events) || events.length === 0) throw new TrailFault("no event");
  const activities = events.map((one) => Activity.safeParse(one).data);
  if (activities.every((one) => one !== undefined)) return ofActivity(activities, principal);
  const vault = Vault.safeParse(events[0]);
  // Another category of the same vault: metrics, policy evaluations.
  if (!vault.success) return { is: "summary", call: null, time: null, reads: false };
  return ofVault(vault.data, principal);
}

function timeOf(text: string): { readonly ms: number; readonly text: string } {
  try {
    const ms = Temporal.Instant.from(text).epochMilliseconds;
    return { ms, text: Temporal.Instant.fromEpochMilliseconds(Math.floor(ms / 1000) * 1000).toString() };
  } catch (error) {
    if (error instanceof RangeError) throw new TrailFault("an event's time is not as Azure writes it");
    throw error;
  }
}

function wordOf(word: z.infer<typeof Word>): string {
  return typeof word === "string" ? word : (word?.value ?? "");
}

/** By its name in the table, whose case the Activity Log does not keep. */
const NAMES: ReadonlyMap<string, string> = new Map(
  Object.values(AZURE_OPERATIONS)
    .flat()
    .map(({ operation }) => [operation.toLowerCase(), operation]),
);

function ofActivity(activities: readonly Activity[], principal: Principal): Read {
  const [first] = activities as [Activity, ...Activity[]];
  const times = activities.map(({ eventTimestamp }) => timeOf(eventTimestamp)).sort((a, b) => a.ms - b.ms);
  const began = times[0] ?? timeOf(first.eventTimestamp);
  const about = { time: began.text, reads: false, call: null };
  const who = activities.flatMap(({ caller, claims }) => [caller, claims?.[OID]]);
  if (!who.includes(principal.id)) return { ...about, is: "others" };
  const said = activities.map((one) => [wordOf(one.status), wordOf(one.subStatus)] as const);
  const done = said.some(([status]) => status === "Accepted" || status === "Succeeded");
  const refused = said.find(([status]) => status === "Failed");
  const id = activities.map(({ httpRequest }) => httpRequest?.clientRequestId).find((one) => typeof one === "string");
  const operation = NAMES.get(first.operationName.value.toLowerCase()) ?? first.operationName.value;
  const place = placeOf(first.resourceId, principal);
  const call: Call = {
    ...{
      id: `${first.operationId} ${operation}`,
      requestId: first.correlationId,
      time: began.ms,
      operation,
      kind: "change",
    },
    subjects: place.subject === null ? [] : [place.subject],
    ...{ principal: principal.id, userAgent: "", command: commandIn(id) },
    error: done || refused === undefined ? null : refused[1] || "Failed",
    address: first.httpRequest?.clientIpAddress ?? "",
    ...{ region: place.subscription, place: place.ours ? "ours" : "other" },
    wished: wishedIn(
      operation,
      place.subject,
      activities.map(({ properties }) => properties),
    ),
  };
  return { ...about, is: "ours", call };
}

function commandIn(id: string | null | undefined): string | null {
  return typeof id === "string" && /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id)
    ? id
    : null;
}

const RESOURCE = /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/(.+)$/i;

/** What the call was about in the words of an operation of the log; of another place, its whole id. */
function placeOf(
  resourceId: string,
  principal: Principal,
): { readonly subject: string | null; readonly subscription: string; readonly ours: boolean } {
  const [, subscription = "", group = "", rest = ""] = RESOURCE.exec(resourceId) ?? [];
  const ours =
    subscription.toLowerCase() === principal.subscription &&
    group.toLowerCase() === principal.resourceGroup.toLowerCase();
  if (!ours) return { subject: resourceId === "" ? null : resourceId, subscription, ours };
  const [provider = "", kind = "", name = "", type = "", relative = ""] = rest.split("/");
  const named = `${provider}/${kind}`.toLowerCase();
  if (named === "microsoft.compute/virtualmachinescalesets") return { subject: name, subscription, ours };
  if (named !== "microsoft.network/dnszones") return { subject: resourceId, subscription, ours };
  const zone = name.toLowerCase();
  const record = type === "" ? `${zone}/` : `${zone}/${relative === "@" ? zone : `${relative.toLowerCase()}.${zone}`}`;
  return { subject: record, subscription, ours };
}

const KEY_NAMES: Readonly<Record<string, string>> = {
  KeyGet: "Microsoft.KeyVault/vaults/keys/read",
  KeySign: "Microsoft.KeyVault/vaults/keys/sign/action",
};

function ofVault(event: z.infer<typeof Vault>, principal: Principal): Read {
  const time = timeOf(event.time);
  const reads = /^[A-Za-z]+(?:Get|List|GetVersions|ListVersions)$/.test(event.operationName);
  const about = { time: time.text, reads, call: null };
  if (event.identity?.claim?.[OID] !== principal.id) return { ...about, is: "others" };
  const { requestUri, clientInfo, httpStatusCode } = event.properties;
  // What a vault says before it knows the caller: its client asks for the challenge without a token.
  const subject = keyIn(requestUri ?? "");
  const failed = event.resultType === "Failure" || (httpStatusCode ?? 200) >= 400;
  const call: Call = {
    ...{
      id: `${event.correlationId} ${event.time} ${event.operationName}`,
      requestId: event.correlationId || null,
      time: time.ms,
    },
    operation: KEY_NAMES[event.operationName] ?? `Microsoft.KeyVault/${event.operationName}`,
    kind: reads ? "read" : "change",
    subjects: subject === null ? [] : [subject],
    ...{ principal: principal.id, userAgent: clientInfo ?? "" },
    error: failed ? (event.resultSignature ?? "Failure") : null,
    ...{ address: event.callerIpAddress ?? "", region: "", place: "ours", wished: NOTHING_WISHED },
  };
  return { ...about, is: "ours", call };
}

/** VAULT/KEY, out of the URL of a request. */
function keyIn(uri: string): string | null {
  if (!URL.canParse(uri)) return null;
  const url = new URL(uri);
  const [, key] = /^\/keys\/([^/]+)(?:\/|$)/.exec(url.pathname) ?? [];
  return key === undefined ? null : `${url.hostname.split(".")[0]}/${key}`;
}
