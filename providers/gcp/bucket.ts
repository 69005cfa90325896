import { createHash } from "node:crypto";
import type { GcsBucketConfig } from "../../agent/providerConfig/owner.ts";
import type { Bucket } from "../bucket.ts";
import { bucketOf, requestTo } from "../bucketStore.ts";
import type { Setting } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";

/** Access tokens that hold now. `current` throws CallFailed when there is none. */
type Tokens = { current(): Promise<string>; forget(token: string): void };

/**
 * The owner's folder in Google Cloud Storage, with the machine's service account. An object's generation tells one putting from the next,
 * and is what a write depends on. cloud.google.com, JSON API, objects: get, insert; request preconditions.
 */
export function gcsBucket(setting: Setting, config: GcsBucketConfig, tokens: Tokens): Bucket {
  const place = config.bucket;
  const base = new URL(config.endpoint ?? "https://storage.googleapis.com");
  const [bucket = "", ...prefix] = place.slice("gs://".length).split("/");
  const object = (name: string): string => encodeURIComponent([...prefix, name].join("/"));
  return bucketOf(setting, {
    place,
    base,
    permit: `Put it there, or let the account read and add below ${place}: reeve policy permissions FILE --owner ${place}.`,
    async ask(call) {
      const token = await tokens.current();
      const headers = { authorization: `Bearer ${token}`, "user-agent": `reeve/${setting.version}` };
      const request =
        call.method === "GET"
          ? requestTo(base, "GET", `/storage/v1/b/${bucket}/o/${object(call.name)}?alt=media`, headers, null)
          : requestTo(
              base,
              "POST",
              `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${object(call.name)}&ifGenerationMatch=${call.after ?? "0"}`,
              { ...headers, "content-type": "application/octet-stream", "x-goog-hash": `md5=${md5(call.body)}` },
              call.body,
            );
      return { request, forget: () => tokens.forget(token) };
    },
    mark: ({ headers }) => headers["x-goog-generation"] ?? "",
    marks: /^\d{1,20}$/,
    judge,
  });
}

/** The service compares the bytes with this sum before it keeps them; it takes no other one in a header than this and CRC32C. */
function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("base64");
}

function judge({ status }: WireAnswer): ReturnType<Parameters<typeof bucketOf>[1]["judge"]> {
  const said = `Cloud Storage answered ${status}`;
  if (status === 404) return { is: "absent", said };
  if (status === 412) return { is: "there", said };
  if (status === 401) return { is: "credentials", said };
  if (status === 403) return { is: "denied", said };
  return { is: status >= 500 || status === 429 || status === 408 ? "busy" : "other", said };
}
