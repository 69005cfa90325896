/**
 * Cloud Audit Logs as a sink to a bucket or `gcloud logging read --format json` gives them: a LogEntry on each line. Admin Activity is always
 * written; Data Access (reads) only where it was turned on. A long-running operation has two entries: one as it begins, one as it ends.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Structure } from "./discovery.ts";
import { type Made, rpcCode } from "./made.ts";

const NEWER = "google.cloud.security.privateca.v1.CertificateAuthorityService";
const METHOD: Readonly<Record<string, string>> = {
  "privateca.projects.locations.caPools.fetchCaCerts": `${NEWER}.FetchCaCerts`,
  "privateca.projects.locations.caPools.certificates.create": `${NEWER}.CreateCertificate`,
  "privateca.projects.locations.caPools.certificates.get": `${NEWER}.GetCertificate`,
};

/** As the audit log names the method: of Compute Engine with its version, of Cloud DNS without. */
export function methodName({ service, operation }: Pick<Made, "service" | "operation">): string {
  return METHOD[operation] ?? (service === "compute" ? `v1.${operation}` : operation);
}

function isWrite({ operation }: Made): boolean {
  return /\.(?:resize|create|delete)$/.test(operation);
}

function requestOf({ service, operation, parts, query, body }: Made): Structure {
  if (service === "compute")
    return {
      "@type": `type.googleapis.com/${operation}`,
      ...(query["size"] === undefined ? {} : { size: query["size"] }),
      ...(query["requestId"] === undefined ? {} : { requestId: query["requestId"] }),
    };
  if (service === "privateca") {
    const parent = `projects/${parts["projectsId"]}/locations/${parts["locationsId"]}/caPools/${parts["caPoolsId"]}`;
    if (!operation.endsWith(".create")) return { name: parent };
    return {
      parent,
      certificateId: query["certificateId"] ?? "",
      requestId: query["requestId"] ?? "",
      certificate: body,
    };
  }
  return {
    project: parts["project"] ?? "",
    managedZone: parts["managedZone"] ?? "",
    ...(operation.endsWith(".create") ? { change: body } : {}),
  };
}

function entries(made: Made, project: string): readonly Structure[] {
  const write = isWrite(made);
  const log = write ? "activity" : "data_access";
  const timestamp = new Date(made.at).toISOString();
  const operation = made.longRunning === null ? null : { id: made.longRunning, producer: "compute.googleapis.com" };
  const base = {
    logName: `projects/${project}/logs/cloudaudit.googleapis.com%2F${log}`,
    resource: {
      type: made.service === "compute" ? "gce_instance_group_manager" : "audited_resource",
      labels: { project_id: project },
    },
    severity: made.error === null ? "NOTICE" : "ERROR",
  };
  const payload = {
    "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
    serviceName: `${made.service}.googleapis.com`,
    methodName: methodName(made),
    resourceName: made.about,
    authenticationInfo: { principalEmail: made.principal ?? "" },
    requestMetadata: { callerIp: "10.20.0.5", callerSuppliedUserAgent: `${made.userAgent},gzip(gfe)` },
    authorizationInfo: made.permissions.map(([permission, resource]) => ({
      permission,
      resource,
      granted: made.http !== 403,
    })),
  };
  const status = made.error === null ? {} : { status: { code: rpcCode(made.http), message: made.message ?? "" } };
  const first: Structure = {
    ...base,
    insertId: made.id,
    timestamp,
    receiveTimestamp: timestamp,
    protoPayload: { ...payload, ...status, request: requestOf(made) },
    ...(operation === null ? {} : { operation: { ...operation, first: true } }),
  };
  if (operation === null) return [first];
  const last: Structure = {
    ...base,
    insertId: `${made.id}-1`,
    timestamp,
    receiveTimestamp: timestamp,
    protoPayload: { ...payload, request: { "@type": `type.googleapis.com/${made.operation}` } },
    operation: { ...operation, last: true },
  };
  return [first, last];
}

/** One file a kind of log and a service, below the folders that a sink to a bucket makes. `reads`: Data Access was turned on. */
export function writeTrail(folder: string, calls: readonly Made[], project: string, reads: boolean): readonly string[] {
  const audited = calls.filter(
    (made) => made.reached && made.service !== "cloudresourcemanager" && (reads || isWrite(made)),
  );
  const files = new Map<string, string[]>();
  for (const made of audited) {
    const day = new Date(made.at).toISOString().slice(0, 10).replaceAll("-", "/");
    const kind = isWrite(made) ? "activity" : "data_access";
    const path = join(folder, `cloudaudit.googleapis.com/${kind}/${day}/${made.service}.json`);
    files.set(path, [...(files.get(path) ?? []), ...entries(made, project).map((entry) => JSON.stringify(entry))]);
  }
  for (const [path, lines] of files) {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, `${lines.join("\n")}\n`);
  }
  return [...files.keys()];
}
