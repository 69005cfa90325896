/** What CloudTrail would have of the calls that really reached AWS, in the files and the form that it delivers to a bucket. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { GLOBAL_REGION } from "./admin.ts";
import type { Structure, Value } from "./codec.ts";
import type { Made } from "./made.ts";

const READS = /^(?:Describe|Get|List)/;

/** CloudTrail begins every parameter's name with a small letter, and shows bytes as the buffer that held them. */
function lowered(value: Value, name = ""): unknown {
  if (name === "Csr" && typeof value === "string") {
    const bytes = Buffer.from(value, "base64");
    return {
      hb: [...bytes],
      offset: 0,
      isReadOnly: false,
      bigEndian: true,
      position: bytes.length,
      limit: bytes.length,
    };
  }
  if (Array.isArray(value)) return value.map((item: Value) => lowered(item));
  if (typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value as Structure).flatMap(([key, item]) =>
      item === undefined ? [] : [[`${key.charAt(0).toLowerCase()}${key.slice(1)}`, lowered(item, key)]],
    ),
  );
}

function identity({ principal, accessKey }: Made): unknown {
  if (principal === null) return { type: "Unknown", accessKeyId: accessKey };
  const { account, arn, role, roleId, session } = principal;
  return {
    type: "AssumedRole",
    principalId: `${roleId}:${session}`,
    arn,
    accountId: account,
    accessKeyId: accessKey,
    sessionContext: {
      sessionIssuer: {
        type: "Role",
        principalId: roleId,
        arn: `arn:aws:iam::${account}:role/${role}`,
        accountId: account,
        userName: role,
      },
      attributes: { creationDate: "2026-01-01T00:00:00Z", mfaAuthenticated: "false" },
      ec2RoleDelivery: "2.0",
    },
  };
}

/** One record of version 1.10. `eventID` is drawn from the call's id, so that the same call has the same one in two deliveries. */
export function eventOf(made: Made, account: string): Readonly<Record<string, unknown>> {
  const digest = createHash("sha256").update(made.id).digest("hex");
  const readOnly = READS.test(made.operation);
  return {
    eventVersion: "1.10",
    userIdentity: identity(made),
    eventTime: new Date(made.at).toISOString().replace(/\.\d+/, ""),
    eventSource: `${made.service}.amazonaws.com`,
    eventName: made.operation,
    awsRegion: made.service === "route53" ? GLOBAL_REGION : made.region,
    sourceIPAddress: "10.20.0.5",
    userAgent: made.userAgent,
    ...(made.error === null ? {} : { errorCode: made.error, errorMessage: made.message ?? "" }),
    requestParameters: lowered(made.params),
    responseElements: readOnly || made.error !== null || made.result === null ? null : lowered(made.result),
    requestID: made.id,
    eventID: `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}`,
    readOnly,
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: account,
    eventCategory: "Management",
  };
}

/**
 * Writes `FOLDER/AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/….json.gz`, at most `size` events a file; returns the files' paths.
 * Calls that never reached AWS are not in it, whatever the caller heard.
 */
export function writeTrail(folder: string, calls: readonly Made[], account: string, size = 50): readonly string[] {
  const byPlace = new Map<string, unknown[]>();
  for (const made of calls.filter(({ reached }) => reached)) {
    const region = made.service === "route53" ? GLOBAL_REGION : made.region;
    const day = new Date(made.at).toISOString().slice(0, 10).replaceAll("-", "/");
    const place = `AWSLogs/${account}/CloudTrail/${region}/${day}`;
    byPlace.set(place, [...(byPlace.get(place) ?? []), eventOf(made, account)]);
  }
  return [...byPlace].flatMap(([place, events]) => {
    mkdirSync(join(folder, place), { recursive: true });
    const pages = Array.from({ length: Math.ceil(events.length / size) }, (_, n) =>
      events.slice(n * size, (n + 1) * size),
    );
    return pages.map((Records, n) => {
      const bytes = gzipSync(JSON.stringify({ Records }));
      const unique = createHash("sha256").update(bytes).digest("base64url").replace(/[-_]/g, "x").slice(0, 16);
      const [, , , region = ""] = place.split("/");
      const day = place.split("/").slice(4).join("");
      const path = join(
        folder,
        place,
        `${account}_CloudTrail_${region}_${day}T${String(n).padStart(2, "0")}00Z_${unique}.json.gz`,
      );
      writeFileSync(path, bytes);
      return path;
    });
  });
}
