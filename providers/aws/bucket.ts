import { createHash } from "node:crypto";
import type { AwsConfig } from "../../agent/providerConfig/aws.ts";
import type { S3BucketConfig } from "../../agent/providerConfig/owner.ts";
import { type Bucket, BucketFailed, type BucketName } from "../bucket.ts";
import { CallFailed, type Setting } from "../provider.ts";
import { NoAnswer, transport, type WireAnswer, type WireRequest } from "../transport.ts";
import type { CredentialSource } from "./call.ts";
import { DOMAIN } from "./endpoints.ts";
import { BUCKET_CALL_TIMEOUT_MS, MAX_BUCKET_OBJECT_BYTES, MAX_ERROR_BYTES } from "./limits.ts";
import { signedForS3 } from "./sign.ts";

/** In place of a command's id: what the identity proof and S3's own log show. */
const ERRAND = "owner-folder";

/**
 * The owner's folder in S3, with the machine's role. Buckets are named by the path, so that a bucket's name never becomes part of a host
 * whose certificate is checked. The role needs s3:GetObject on `owner/*` and `log/*`, s3:PutObject on `log/*`, and nothing else.
 */
export function s3Bucket(
  { host, version, dial }: Setting,
  aws: Pick<AwsConfig, "partition">,
  config: S3BucketConfig,
  credentials: CredentialSource,
): Bucket {
  const place = config.bucket;
  const base = new URL(config.endpoint ?? `https://s3.${config.region}.${DOMAIN[aws.partition]}`);
  const root = `/${place.slice("s3://".length)}`;

  async function once({ method, name, headers, body, max }: Call) {
    const given = await credentials.current(ERRAND);
    const request: WireRequest = {
      protocol: base.protocol as "https:" | "http:",
      hostname: base.hostname,
      port: base.port === "" ? null : Number(base.port),
      method,
      path: `${root}/${name}`,
      headers: { ...headers, "user-agent": `reeve/${version}` },
      body,
    };
    const signed = await signedForS3(request, { region: config.region, credentials: given, now: host.clock.now() });
    const send = transport(dial, { timeoutMs: BUCKET_CALL_TIMEOUT_MS, maxBytes: Math.max(max, MAX_ERROR_BYTES) });
    return { given, answer: await send(signed, () => undefined) };
  }

  async function call(one: Call, signal: AbortSignal): Promise<WireAnswer> {
    if (signal.aborted) throw new BucketFailed("unreachable", "it did not answer in time", reach(base));
    try {
      const { given, answer } = await once(one);
      if (answer.status === 200) return answer;
      throw failure(place, base, answer, () => credentials.forget(given));
    } catch (error) {
      throw inBucketsWords(error, base);
    }
  }

  async function get(name: string, signal: AbortSignal, max: number) {
    try {
      const { body, headers } = await call({ method: "GET", name, headers: {}, body: null, max }, signal);
      if (body.length > max) throw new BucketFailed("too-large", `over ${max} bytes`, "Make it smaller.");
      const version = headers["x-amz-version-id"] ?? "";
      return { bytes: body, mark: `${headers["etag"] ?? ""} ${version} ${headers["last-modified"] ?? ""}` };
    } catch (error) {
      if (error instanceof Absent) return "absent";
      throw error;
    }
  }

  async function put(name: string, bytes: Uint8Array, headers: Record<string, string>, signal: AbortSignal) {
    const sum = createHash("sha256").update(bytes).digest("base64");
    // S3 compares the bytes with this sum before it stores them; a bucket with Object Lock takes nothing without.
    const sums = { ...headers, "x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": sum };
    const answer = await call({ method: "PUT", name, headers: sums, body: bytes, max: 0 }, signal);
    const stored = answer.headers["x-amz-checksum-sha256"];
    if (stored !== undefined && stored !== sum)
      throw new BucketFailed("there", "the bucket stored other bytes than were sent", "Look at who else writes there.");
  }

  return {
    place,
    get: (name, max, signal) => get(name, signal, max),
    async add(name: BucketName, bytes, signal) {
      await put(name, bytes, { "if-none-match": "*" }, signal).catch(theirs);
      // What lies there is read back: ours of now, or of an earlier try that was not heard of.
      const found = await get(name, signal, MAX_BUCKET_OBJECT_BYTES);
      if (found === "absent" || Buffer.compare(found.bytes, bytes) !== 0)
        throw new BucketFailed("there", `${place}/${name} holds other bytes`, "Look at who else writes there.");
    },
    async putHead(bytes, after, signal) {
      const condition = after === null ? { "if-none-match": "*" } : { "if-match": etagOf(after) };
      const refused = await put("log/head", bytes, condition, signal).then(() => false, theirs);
      const found = await get("log/head", signal, MAX_BUCKET_OBJECT_BYTES);
      if (found !== "absent" && Buffer.compare(found.bytes, bytes) === 0) return found.mark;
      const how = refused ? "another agent wrote it" : "it was written over at once";
      throw new BucketFailed(
        "there",
        `${place}/log/head is not as it was left: ${how}`,
        "Look at who else writes there.",
      );
    },
  };
}

type Call = {
  readonly method: "GET" | "PUT";
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  /** Of the answer. */
  readonly max: number;
};

class Absent extends Error {}
class There extends Error {}

/** S3 says that another object lies there. What lies there is then looked at. */
function theirs(error: unknown): true {
  if (error instanceof There) return true;
  throw error;
}

function etagOf(mark: string): string {
  return mark.slice(0, mark.indexOf(" "));
}

function reach(base: URL): string {
  return `See that ${base.host} can be reached from this machine.`;
}

function failure(place: string, base: URL, answer: WireAnswer, forget: () => void): Error {
  const text = new TextDecoder().decode(answer.body.subarray(0, 4096));
  // A short stable word of S3's; nothing else of its answer is taken.
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? `HTTP ${answer.status}`;
  const said = `S3 answered ${answer.status} ${code}`;
  if (code === "NoSuchKey") return new Absent();
  // 409: another conditional write was under way.
  if (answer.status === 412 || code === "ConditionalRequestConflict") return new There();
  if (/^(?:ExpiredToken|InvalidToken|InvalidAccessKeyId|TokenRefreshRequired)$/.test(code)) {
    forget();
    return new BucketFailed(
      "unreachable",
      `${said}: the role's credentials`,
      "They are read anew; see that the role is there.",
    );
  }
  if (answer.status === 403)
    return new BucketFailed(
      "denied",
      `${said}, as it does for a missing object too where the role may not list`,
      `Put it there, or let the role read and add below ${place}: reeve policy permissions.`,
    );
  if (answer.status >= 500 || answer.status === 429) return new BucketFailed("unreachable", said, reach(base));
  return new BucketFailed("refused", said, `Compare ${place} and its region with the config.`);
}

function inBucketsWords(error: unknown, base: URL): unknown {
  if (error instanceof NoAnswer && error.status === "answer-too-long")
    return new BucketFailed("too-large", "the object is too large", "Make it smaller.");
  if (error instanceof NoAnswer) return new BucketFailed("unreachable", `no answer (${error.status})`, reach(base));
  if (error instanceof CallFailed)
    return new BucketFailed("unreachable", `no credentials of the role (${error.status})`, "reeve doctor says more.");
  return error;
}
