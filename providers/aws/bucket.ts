import { createHash } from "node:crypto";
import type { AwsConfig } from "../../agent/providerConfig/aws.ts";
import type { S3BucketConfig } from "../../agent/providerConfig/owner.ts";
import type { Bucket } from "../bucket.ts";
import { bucketOf, requestTo } from "../bucketStore.ts";
import type { Setting } from "../provider.ts";
import type { WireAnswer } from "../transport.ts";
import type { CredentialSource } from "./call.ts";
import { DOMAIN } from "./endpoints.ts";
import { signedForS3 } from "./sign.ts";

/** In place of a command's id: for the identity proof. */
const ERRAND = "owner-folder";
const OF_CREDENTIALS = /^(?:ExpiredToken|InvalidToken|InvalidAccessKeyId|TokenRefreshRequired)$/;
/** 409: another conditional write was under way. */
const THERE = /^(?:PreconditionFailed|ConditionalRequestConflict)$/;

/**
 * The owner's folder in S3, with the machine's role. Buckets are named by the path, so that a bucket's name never becomes part of a host
 * whose certificate is checked. docs.aws.amazon.com, GetObject and PutObject with conditional requests.
 */
export function s3Bucket(
  setting: Setting,
  aws: Pick<AwsConfig, "partition">,
  config: S3BucketConfig,
  credentials: CredentialSource,
): Bucket {
  const { host, version } = setting;
  const place = config.bucket;
  const base = new URL(config.endpoint ?? `https://s3.${config.region}.${DOMAIN[aws.partition]}`);
  const root = `/${place.slice("s3://".length)}`;
  return bucketOf(setting, {
    place,
    base,
    permit: `Put it there, or let the role read and add below ${place}: reeve policy permissions FILE --owner ${place}.`,
    async ask(call) {
      const given = await credentials.current(ERRAND);
      const headers = { ...(call.method === "GET" ? {} : headersOf(call)), "user-agent": `reeve/${version}` };
      const request = requestTo(
        base,
        call.method,
        `${root}/${call.name}`,
        headers,
        call.method === "GET" ? null : call.body,
      );
      const at = { region: config.region, credentials: given, now: host.clock.now() };
      return { request: await signedForS3(request, at), forget: () => credentials.forget(given) };
    },
    // The version tells apart what was put twice in one second with the same bytes.
    mark: ({ headers }) =>
      `${headers["etag"] ?? ""} ${headers["x-amz-version-id"] ?? ""} ${headers["last-modified"] ?? ""}`,
    marks: /^"[\x21\x23-\x7e]+" [\x21-\x7e]* [\x20-\x7e]*$/,
    judge,
  });
}

function headersOf({ body, after }: { readonly body: Uint8Array; readonly after: string | null }) {
  return {
    ...(after === null ? { "if-none-match": "*" } : { "if-match": after.slice(0, after.indexOf(" ")) }),
    // S3 compares the bytes with this sum before it stores them; a bucket with Object Lock takes nothing without.
    "x-amz-sdk-checksum-algorithm": "SHA256",
    "x-amz-checksum-sha256": createHash("sha256").update(body).digest("base64"),
  };
}

function judge({ status, body }: WireAnswer): ReturnType<Parameters<typeof bucketOf>[1]["judge"]> {
  const text = new TextDecoder().decode(body.subarray(0, 4096));
  // A short stable word of S3's; nothing else of its answer is taken.
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? "";
  const said = `S3 answered ${status} ${code}`.trim();
  if (code === "NoSuchKey") return { is: "absent", said };
  if (status === 412 || THERE.test(code)) return { is: "there", said };
  if (OF_CREDENTIALS.test(code)) return { is: "credentials", said };
  if (status === 403) return { is: "denied", said };
  return { is: status >= 500 || status === 429 ? "busy" : "other", said };
}
