/** Signature Version 4, as AWS documents it for every service but S3: made for the tests' own calls, judged for everyone else's. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Message } from "./codec.ts";

export type Secret = { readonly accessKey: string; readonly secretKey: string; readonly token: string | null };
export type Scope = {
  readonly accessKey: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
};

const ALGORITHM = "AWS4-HMAC-SHA256";
const SKEW_MILLISECONDS = 5 * 60_000;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
function percent(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Compares as UTF-8 does, which the canonical order of a query needs. */
function order(a: readonly [string, string], b: readonly [string, string]): number {
  const compared = Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0]));
  return compared !== 0 ? compared : Buffer.compare(Buffer.from(a[1]), Buffer.from(b[1]));
}

function canonical(message: Message, signed: readonly string[]): string {
  const [path = "", query = ""] = message.path.split("?");
  const pairs = [...new URLSearchParams(query)].map(([name, value]): [string, string] => [
    percent(name),
    percent(value),
  ]);
  return [
    message.method,
    path.split("/").map(percent).join("/"),
    pairs
      .sort(order)
      .map(([name, value]) => `${name}=${value}`)
      .join("&"),
    ...signed.map((name) => `${name}:${(message.headers[name] ?? "").trim().replace(/ +/g, " ")}`),
    "",
    signed.join(";"),
    sha256(message.body),
  ].join("\n");
}

function signatureOf(message: Message, signed: readonly string[], scope: Scope, secretKey: string): string {
  const { date, region, service } = scope;
  const time = message.headers["x-amz-date"] ?? "";
  const toSign = [ALGORITHM, time, `${date}/${region}/${service}/aws4_request`, sha256(canonical(message, signed))];
  const key = hmac(hmac(hmac(hmac(`AWS4${secretKey}`, date), region), service), "aws4_request");
  return hmac(key, toSign.join("\n")).toString("hex");
}

/** The message with the headers that authenticate it. Header names are lower case. */
export function sign(message: Message, host: string, secret: Secret, region: string, service: string): Message {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const headers = {
    ...message.headers,
    host,
    // As AWS's own clients do; without it moto judges a body of its own making.
    "x-amz-content-sha256": sha256(message.body),
    "x-amz-date": time,
    ...(secret.token === null ? {} : { "x-amz-security-token": secret.token }),
  };
  const signed = Object.keys(headers).sort();
  const scope = { accessKey: secret.accessKey, date: time.slice(0, 8), region, service };
  const signature = signatureOf({ ...message, headers }, signed, scope, secret.secretKey);
  const credential = `${scope.accessKey}/${scope.date}/${region}/${service}/aws4_request`;
  const authorization = `${ALGORITHM} Credential=${credential}, SignedHeaders=${signed.join(";")}, Signature=${signature}`;
  return { ...message, headers: { ...headers, authorization } };
}

/** Who says to have signed, and for where; null when nobody does. */
export function scopeOf(message: Message): Scope | null {
  const found = /Credential=([^/\s]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request/.exec(
    message.headers["authorization"] ?? "",
  );
  const [, accessKey, date, region, service] = found ?? [];
  if (accessKey === undefined || date === undefined || region === undefined || service === undefined) return null;
  return { accessKey, date, region, service };
}

/** Whether the signature is this secret's over exactly this message, not older than five minutes, and covers host and token. */
export function isSigned(message: Message, scope: Scope, secretKey: string): boolean {
  const header = message.headers["authorization"] ?? "";
  const signed = /SignedHeaders=([^,\s]+)/.exec(header)?.[1]?.split(";") ?? [];
  const given = /Signature=([0-9a-f]{64})/.exec(header)?.[1];
  const [, y, m, d, h, i, s] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(message.headers["x-amz-date"] ?? "") ?? [];
  const time = Date.parse(`${y}-${m}-${d}T${h}:${i}:${s}Z`);
  const needed = ["host", ...Object.keys(message.headers).filter((name) => name.startsWith("x-amz-"))];
  if (given === undefined || !(Math.abs(Date.now() - time) < SKEW_MILLISECONDS)) return false;
  if (needed.some((name) => !signed.includes(name))) return false;
  return timingSafeEqual(Buffer.from(given), Buffer.from(signatureOf(message, signed, scope, secretKey)));
}
