import { createHash } from "node:crypto";
import type { AzureBucketConfig } from "../../agent/providerConfig/owner.ts";
import type { Bucket } from "../bucket.ts";
import { bucketOf, requestTo } from "../bucketStore.ts";
import type { Setting } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";

/** Access tokens for Storage that hold now. `current` throws CallFailed when there is none. */
export type StorageTokens = { current(): Promise<string>; forget(token: string): void };

const VERSION = "2023-11-03";
const THERE = /^(?:BlobAlreadyExists|ConditionNotMet|TargetConditionNotMet)$/;

/**
 * The owner's folder in Azure Blob Storage, with the machine's managed identity. `suffix`: of the cloud's storage hosts. An ETag is
 * another one after each write. learn.microsoft.com, Put Blob, Get Blob, conditional headers.
 */
export function azureBucket(
  setting: Setting,
  suffix: string,
  config: AzureBucketConfig,
  tokens: StorageTokens,
): Bucket {
  const place = config.bucket;
  const [account = "", ...path] = place.slice("azblob://".length).split("/");
  const base = new URL(config.endpoint ?? `https://${account}.blob.${suffix}`);
  // An emulator's endpoint has no host for each account: its path begins with the account.
  const root = config.endpoint === undefined || base.hostname.startsWith(`${account}.`) ? path : [account, ...path];
  return bucketOf(setting, {
    place,
    base,
    permit: `Put it there, or let the identity read and add below ${place}: reeve policy permissions FILE --owner ${place}.`,
    async ask(call) {
      const token = await tokens.current();
      const headers = {
        authorization: `Bearer ${token}`,
        "user-agent": `reeve/${setting.version}`,
        "x-ms-version": VERSION,
        ...(call.method === "GET" ? {} : headersOf(call)),
      };
      const body = call.method === "GET" ? null : call.body;
      const request = requestTo(base, call.method, `/${[...root, call.name].join("/")}`, headers, body);
      return { request, forget: () => tokens.forget(token) };
    },
    mark: ({ headers }) => headers["etag"] ?? "",
    marks: /^(?:W\/)?"?[\x21\x23-\x7e]+"?$/,
    judge,
  });
}

function headersOf({ body, after }: { readonly body: Uint8Array; readonly after: string | null }) {
  return {
    ...(after === null ? { "if-none-match": "*" } : { "if-match": after }),
    "x-ms-blob-type": "BlockBlob",
    "content-type": "application/octet-stream",
    // The service compares the bytes with this sum before it keeps them.
    "content-md5": createHash("md5").update(body).digest("base64"),
  };
}

function judge({ status, headers }: WireAnswer): ReturnType<Parameters<typeof bucketOf>[1]["judge"]> {
  const code = /^[A-Za-z0-9]{1,64}$/.exec(headers["x-ms-error-code"] ?? "")?.[0] ?? "";
  const said = `Blob Storage answered ${status} ${code}`.trim();
  if (status === 404 && code !== "ContainerNotFound") return { is: "absent", said };
  if (status === 412 || THERE.test(code)) return { is: "there", said };
  if (status === 401) return { is: "credentials", said };
  if (status === 403) return { is: "denied", said };
  return { is: status >= 500 || status === 429 ? "busy" : "other", said };
}
