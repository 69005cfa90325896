import type { WireAnswer, WireRequest } from "../transport.ts";
import { hostText } from "./endpoints.ts";

/** A request of the SDK, signed or about to be. */
export type SdkRequest = {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly method: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};
export type SdkResponse = {
  readonly response: {
    readonly statusCode: number;
    readonly reason: string;
    readonly headers: Record<string, string>;
    readonly body: Uint8Array;
  };
};

/** Where a request really goes, as the gate compares it. */
export function hostOf(request: SdkRequest): string {
  return hostText(request.protocol, request.hostname, request.port === undefined ? "" : String(request.port));
}

/** The same request as it travels. */
export function wireOf(request: SdkRequest): WireRequest {
  const { protocol, hostname, port, method, headers } = request;
  if (protocol !== "https:" && protocol !== "http:") throw new Error("the SDK made a request of another protocol");
  return { protocol, hostname, port: port ?? null, method, path: pathOf(request), headers, body: bodyOf(request.body) };
}

export function sdkResponse({ status, reason, headers, body }: WireAnswer): SdkResponse {
  return { response: { statusCode: status, reason, headers: { ...headers }, body } };
}

function bodyOf(body: unknown): Uint8Array | null {
  if (body === undefined || body instanceof Uint8Array) return body ?? null;
  if (typeof body === "string") return new TextEncoder().encode(body);
  throw new Error("the SDK made a body that is not bytes");
}

/** RFC 3986: the same escaping that the request was signed with. */
function pathOf({ path, query = {} }: SdkRequest): string {
  const pairs = Object.keys(query)
    .sort()
    .flatMap((key) => {
      const value = query[key];
      const values = value === null || value === undefined ? [null] : [value].flat();
      return values.map((each) => (each === null ? escaped(key) : `${escaped(key)}=${escaped(each)}`));
    });
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
