/** What Azure's own logs would have of the calls: the Activity Log (changes through Resource Manager) and Key Vault's audit events, as JSON. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Made } from "./made.ts";
import { GROUP, SUBSCRIPTION, TENANT, type World } from "./world.ts";

function uuid(text: string): string {
  const digest = createHash("sha256").update(text).digest("hex");
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
}

/** `az monitor activity-log list`, one event a change; reads are not in it. */
function activity(made: Made, { identity }: World, moment: "Start" | "End"): object {
  const ok = made.status < 400;
  const time = new Date(made.at + (moment === "End" ? 1 : 0)).toISOString().replace("Z", "0000Z");
  return {
    authorization: { action: made.action, scope: made.scope },
    caller: identity.principal,
    channels: "Operation",
    claims: {
      aud: "https://management.azure.com",
      appid: identity.client,
      "http://schemas.microsoft.com/identity/claims/objectidentifier": identity.principal,
      "http://schemas.microsoft.com/identity/claims/tenantid": TENANT,
      xms_mirid: identity.resource,
    },
    correlationId: made.id,
    description: "",
    eventDataId: uuid(`${made.id} ${moment}`),
    eventName: { value: moment === "Start" ? "BeginRequest" : "EndRequest", localizedValue: moment },
    category: { value: "Administrative", localizedValue: "Administrative" },
    eventTimestamp: time,
    httpRequest: { clientRequestId: made.clientRequestId, clientIpAddress: "10.20.0.5", method: made.method },
    id: `${made.scope}/events/${uuid(`${made.id} ${moment}`)}/ticks/638000000000000000`,
    level: ok ? "Informational" : "Error",
    operationId: made.id,
    operationName: { value: made.action, localizedValue: made.action },
    resourceGroupName: GROUP,
    resourceId: made.scope,
    status: moment === "Start" ? { value: "Started" } : { value: ok ? "Succeeded" : "Failed" },
    subStatus:
      moment === "Start"
        ? { value: "" }
        : { value: ok ? "OK" : (made.error ?? "Error"), localizedValue: String(made.status) },
    submissionTimestamp: time,
    subscriptionId: SUBSCRIPTION,
    tenantId: TENANT,
    properties:
      moment === "Start" && made.body !== undefined
        ? { requestbody: JSON.stringify(made.body) }
        : { statusCode: String(made.status) },
  };
}

const NAMES: Readonly<Record<string, string>> = {
  "Microsoft.KeyVault/vaults/keys/read": "KeyGet",
  "Microsoft.KeyVault/vaults/keys/sign/action": "KeySign",
};

/** One of Key Vault's audit events ("Azure Key Vault logging"), as a storage account's container has them. */
function audit(made: Made, { identity }: World): object {
  const vault = made.scope.replace(/\/keys\/.*$/, "");
  return {
    time: new Date(made.at).toISOString(),
    category: "AuditEvent",
    operationName: NAMES[made.action],
    resultType: made.status < 400 ? "Success" : "Failure",
    resultSignature: made.status < 400 ? "OK" : "Forbidden",
    resultDescription: "",
    durationMs: "7",
    callerIpAddress: "10.20.0.5",
    correlationId: made.id,
    resourceId: vault.toUpperCase(),
    operationVersion: "2025-07-01",
    identity: {
      claim: {
        "http://schemas.microsoft.com/identity/claims/objectidentifier": identity.principal,
        appid: identity.client,
        xms_mirid: identity.resource,
      },
    },
    properties: {
      clientInfo: made.userAgent,
      httpStatusCode: made.status,
      requestUri: `https://prod-eu-1-ca.vault.azure.net${made.path}?api-version=2025-07-01`,
      id: `https://prod-eu-1-ca.vault.azure.net${made.path.replace(/\/sign$/, "")}`,
      tlsVersion: "TLS1_3",
    },
  };
}

/** Calls that never reached Azure are not in it, whatever the caller heard. */
export function writeTrail(folder: string, world: World): void {
  mkdirSync(join(folder, "vault"), { recursive: true });
  const reached = world.calls.filter(({ reached }) => reached);
  const changes = reached.filter(({ data, method, status }) => !data && method !== "GET" && status !== 401);
  const events = changes.flatMap((made) => [activity(made, world, "End"), activity(made, world, "Start")]);
  writeFileSync(join(folder, "activity.json"), JSON.stringify(events.reverse(), null, 2));
  // Without a token nobody called.
  const audits = reached
    .filter(({ data, status }) => data && status !== 401)
    .map((made) => JSON.stringify(audit(made, world)));
  writeFileSync(join(folder, "vault/PT1H.json"), audits.map((line) => `${line}\n`).join(""));
}
