import { hash } from "node:crypto";
import type { Json } from "../wire/canonical.ts";
import type { Entry, Operation } from "./entry.ts";
import type { Asking, Intent } from "./filter.ts";
import { timeOf } from "./time.ts";

/**
 * Entries as events of OCSF 1.8.0: class API Activity (6003) with the profile security_control (schema.ocsf.io). A command's entry is one event, and so is
 * each cloud operation of its outcome. Entries about the agent itself (its process, policy, switch, keys) are no API activity and give none.
 */
export const OCSF_VERSION = "1.8.0";
export type OcsfEvent = { readonly [name: string]: Json };

const CLASS = 6003;
const CATEGORY = 6;
const ACTIVITIES = ["Unknown", "Create", "Read", "Update", "Delete"] as const;
type Activity = (typeof ACTIVITIES)[number];
const SEVERITIES = { Informational: 1, Medium: 3, High: 4, Critical: 5 } as const;
const STATUSES = { Unknown: 0, Success: 1, Failure: 2, Other: 99 } as const;
const DECISIONS = {
  allowed: { action: "Allowed", action_id: 1, disposition: "Allowed", disposition_id: 1 },
  denied: { action: "Denied", action_id: 2, disposition: "Blocked", disposition_id: 2 },
  seen: { action: "Observed", action_id: 3, disposition: "Logged", disposition_id: 17 },
  waits: { action: "Observed", action_id: 3, disposition: "Delayed", disposition_id: 14 },
} as const;

type About = Extract<
  Entry,
  { kind: "rejected" | "refused" | "considered" | "waiting" | "approval" | "intent" | "outcome" | "cancelled" | "gate" }
>;
type Said = {
  readonly activity: Activity;
  readonly severity: keyof typeof SEVERITIES;
  readonly status: keyof typeof STATUSES;
  readonly decision: keyof typeof DECISIONS;
  readonly code: string | null;
  readonly message: string;
};

/** The events of one entry; `line` is its bytes on disk, `intent` the one that an outcome names. */
export function ocsfEvents(entry: Entry, line: string, intent: Intent | null): OcsfEvent[] {
  if (!isAbout(entry)) return [];
  const asking = "asked" in entry ? entry : intent;
  const whole = {
    ...event(entry, asking, said(entry, asking), api(entry, asking), resourcesOf(entry, asking)),
    ...raw(line),
  };
  if (entry.kind !== "outcome") return [{ ...whole, metadata: metadata(entry, null) }];
  const began = intent === null ? {} : span(timeOf(intent.time), timeOf(entry.time));
  const operations = entry.operations.map((operation, number) => operationEvent(entry, intent, operation, number));
  return [{ ...whole, ...began, metadata: metadata(entry, null) }, ...operations];
}

function isAbout(entry: Entry): entry is About {
  return ABOUT.has(entry.kind);
}
const ABOUT: ReadonlySet<string> = new Set<About["kind"]>([
  "rejected",
  "refused",
  "considered",
  "waiting",
  "approval",
  "intent",
  "outcome",
  "cancelled",
  "gate",
]);

function said(entry: About, asking: Asking | null): Said {
  const activity = activityOf(asking);
  const wish = asking === null ? "a command" : wishOf(asking);
  const calm = { activity, severity: "Informational", code: null } as const;
  switch (entry.kind) {
    case "rejected":
      return {
        ...DENIED,
        activity: "Unknown",
        code: entry.code,
        message: `Rejected bytes that are no command: ${entry.code}`,
      };
    case "refused":
      return { ...DENIED, activity, code: entry.code, message: `Refused ${wish}: ${entry.because}` };
    case "gate":
      return {
        ...DENIED,
        activity,
        severity: "Critical",
        code: entry.code,
        message: `Stopped a call that no rule permits: ${entry.operation}`,
      };
    case "considered":
      return {
        ...calm,
        activity: "Read",
        status: "Success",
        decision: "seen",
        message: `Dry run, would be permitted: ${wish}`,
      };
    case "waiting":
      return { ...calm, status: "Other", decision: "waits", message: `Waits for approval: ${wish}` };
    case "approval":
      return entry.code === null
        ? { ...calm, activity: "Update", status: "Success", decision: "seen", message: `Approved ${entry.approves}` }
        : {
            ...DENIED,
            activity: "Update",
            code: entry.code,
            message: `An approval of ${entry.approves} does not count`,
          };
    case "intent":
      return { ...calm, status: "Other", decision: "allowed", message: `Permitted ${wish}` };
    case "cancelled":
      return { ...calm, status: "Other", decision: "seen", message: `Taken back: command ${entry.command}` };
    case "outcome": {
      const ended = OUTCOMES[entry.result];
      return { ...ended, activity, decision: "allowed", code: entry.code, message: `${ended.word}: ${wish}` };
    }
  }
}
const DENIED = { severity: "Medium", status: "Failure", decision: "denied" } as const;
const OUTCOMES = {
  succeeded: { word: "Succeeded", severity: "Informational", status: "Success" },
  failed: { word: "Failed", severity: "Medium", status: "Failure" },
  unknown: { word: "Not known what became of", severity: "High", status: "Unknown" },
} as const;

function activityOf(asking: Asking | null): Activity {
  switch (asking?.action) {
    case "scale":
    case "deploy":
      return "Update";
    case "issue-certificate":
      return "Create";
    case "update-dns":
      return CHANGES[String(asking.asked["change"])] ?? "Unknown";
    default:
      return "Unknown";
  }
}
const CHANGES: Readonly<Record<string, Activity>> = { create: "Create", replace: "Update", delete: "Delete" };

function wishOf({ action, asked }: Asking): string {
  const words = Object.entries(asked).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : value}`,
  );
  return `${action} ${words.join(" ")}`;
}

/** What every event has; metadata is put in by the caller. */
function event(entry: About, asking: Asking | null, what: Said, call: Json, resources: readonly Json[]): OcsfEvent {
  const activity = ACTIVITIES.indexOf(what.activity);
  return {
    activity_id: activity,
    activity_name: what.activity,
    actor: actor(entry, asking),
    api: call,
    category_name: "Application Activity",
    category_uid: CATEGORY,
    class_name: "API Activity",
    class_uid: CLASS,
    message: what.message,
    resources,
    severity: what.severity,
    severity_id: SEVERITIES[what.severity],
    src_endpoint: { name: entry.cluster, svc_name: "reeve" },
    status: what.status,
    status_id: STATUSES[what.status],
    ...(what.code === null ? {} : { status_code: what.code }),
    ...(entry.kind === "refused" ? { status_detail: entry.because } : {}),
    time: timeOf(entry.time) ?? 0,
    timezone_offset: 0,
    type_name: `API Activity: ${what.activity}`,
    type_uid: CLASS * 100 + activity,
    ...DECISIONS[what.decision],
    ...policyOf(entry, asking),
    unmapped: unmapped(entry),
  };
}

/** The key is verified; name and reason are only the vendor's word, and stand under `says` in `unmapped` too. */
function actor(entry: About, asking: Asking | null): Json {
  if (entry.kind === "approval") {
    const person = entry.person ?? (entry.key === null ? "nobody" : "a key of nobody's");
    return { user: { credential_uid: entry.key ?? "none", name: person, type: "User", type_id: 1 } };
  }
  if (asking === null) return { app_name: "not known" };
  const { key, says } = asking.by;
  return { user: { credential_uid: key, name: says.operator, type: "Other", type_id: 99 } };
}

function policyOf(entry: About, asking: Asking | null): { readonly [name: string]: Json } {
  const from = "allowed" in entry || entry.kind === "refused" ? entry : asking;
  if (from === null) return {};
  if (from.kind !== "refused") {
    const { policy, rule } = from.allowed;
    return { policy: { is_applied: true, name: rule, uid: policy } };
  }
  if (from.policy === null) return {};
  return { policy: { is_applied: true, name: from.rule ?? "no rule", uid: from.policy } };
}

function api(entry: About, asking: Asking | null): Json {
  const service = { name: "reeve" };
  if (entry.kind === "approval") return { operation: "approve", request: { uid: entry.approves }, service };
  const uid = "command" in entry ? entry.command : entry.digest;
  const operation = entry.kind === "gate" ? entry.operation : (asking?.action ?? entry.kind);
  const request = asking === null ? { uid } : { data: asking.asked, uid };
  const code = "code" in entry ? entry.code : null;
  return { operation, request, service, ...(code === null ? {} : { response: { error: code } }) };
}

function resourcesOf(entry: About, asking: Asking | null): Json[] {
  if (entry.kind === "gate") return [{ name: entry.resource, role: "Target", role_id: 1 }];
  const name = asking === null ? undefined : subjectOf(asking);
  if (asking === null || name === undefined) return [];
  return [{ name, role: "Target", role_id: 1, type: KINDS[asking.action] ?? asking.action }];
}
const KINDS: Readonly<Record<string, string>> = {
  scale: "group",
  "issue-certificate": "authority",
  "update-dns": "zone",
  deploy: "group",
};

function subjectOf({ action, asked }: Asking): string | undefined {
  const name = asked[KINDS[action] ?? ""];
  return typeof name === "string" && name !== "" ? name : undefined;
}

/** What OCSF has no field for. */
function unmapped(entry: About): Json {
  const { epoch } = entry;
  switch (entry.kind) {
    case "refused":
      return {
        epoch,
        field: entry.field,
        first: entry.first,
        found: entry.found,
        hint: entry.hint,
        limit: entry.limit,
        says: entry.by.says,
      };
    case "considered":
      return { dry_run: true, epoch, found: entry.found, says: entry.by.says };
    case "waiting":
      return {
        approval: entry.approval,
        epoch,
        found: entry.found,
        rule: entry.sentence,
        says: entry.by.says,
        until: entry.until,
      };
    case "intent":
      return { approved: entry.approved ?? [], epoch, found: entry.found, says: entry.by.says };
    case "outcome":
      return { changed: entry.changed, details: entry.details, epoch, intent: entry.intent, known_by: entry.known_by };
    case "rejected":
      return { bytes: entry.bytes, digest: entry.digest, epoch };
    default:
      return { epoch };
  }
}

function operationEvent(
  entry: Extract<Entry, { kind: "outcome" }>,
  intent: Intent | null,
  operation: Operation,
  number: number,
): OcsfEvent {
  const good = operation.status === "ok";
  const activity = operation.changes ? activityOf(intent) : "Read";
  const service = operation.operation.includes(":") ? operation.operation.split(":", 1)[0] : "local";
  const what: Said = {
    activity,
    severity: good ? "Informational" : "Medium",
    status: good ? "Success" : "Failure",
    decision: "allowed",
    code: good ? null : operation.status,
    message: `${operation.operation} on ${operation.resource}: ${operation.status}`,
  };
  const call = {
    operation: operation.operation,
    // OCSF requires an id of a request; where the place answers with none, the command's stands in.
    request: { uid: operation.request ?? entry.command },
    ...(good ? {} : { response: { error: operation.status } }),
    service: { name: service ?? "local" },
  };
  const resources = [{ name: operation.resource, role: "Target", role_id: 1 }];
  return {
    ...event(entry, intent, what, call, resources),
    duration: operation.milliseconds,
    metadata: metadata(entry, number),
    unmapped: { changes: operation.changes, epoch: entry.epoch, number, request_id: operation.request },
  };
}

/** `uid` names the entry in every log of the cluster, and a number after it the operation of an outcome. */
function metadata(entry: About, operation: number | null): Json {
  const log = `${entry.cluster}/epoch/${entry.epoch}`;
  const correlation = "command" in entry ? entry.command : entry.kind === "approval" ? entry.approves : null;
  return {
    ...(correlation === null ? {} : { correlation_uid: correlation }),
    event_code: entry.kind,
    log_name: log,
    log_provider: "reeve",
    log_version: String(entry.v),
    original_time: entry.time,
    product: { name: "reeve", vendor_name: "reeve" },
    profiles: ["security_control"],
    sequence: entry.index,
    uid: `${log}/entry/${entry.index}${operation === null ? "" : `/operation/${operation}`}`,
    version: OCSF_VERSION,
  };
}

function span(from: number | null, to: number | null): { readonly [name: string]: Json } {
  return from === null || to === null ? {} : { duration: to - from, end_time: to, start_time: from };
}

/** The entry as it lies in the log, so that an event can be held to the log that vouches for it. */
function raw(line: string): { readonly [name: string]: Json } {
  const digest = hash("sha256", line, "hex");
  return {
    raw_data: line,
    raw_data_hash: { algorithm: "SHA-256", algorithm_id: 3, value: digest },
    raw_data_size: Buffer.byteLength(line),
  };
}
