import { isAddress6 } from "../agent/host/socket.ts";

/** What travels, before it does. */
export type WireRequest = {
  readonly protocol: "https:" | "http:";
  /** A name, or an address; an IPv6 one with or without its brackets. */
  readonly hostname: string;
  /** Null: the protocol's own. */
  readonly port: number | null;
  readonly method: string;
  /** With the query, escaped as it was signed. */
  readonly path: string;
  /** `host` may be there, as it was signed: then it must be this request's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** Null: none. */
  readonly body: Uint8Array | null;
};

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
const PATH = /^\/[\x21\x22\x24-\x7e]*$/;
const VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/;
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;
/** The connection's own matters, which nobody else decides. */
const OURS = new Set(["connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]);

/** Host and port to connect to. */
export function addressOf({ protocol, hostname, port }: WireRequest): { readonly host: string; readonly port: number } {
  if (protocol !== "https:" && protocol !== "http:") throw new TypeError(`no such protocol: ${String(protocol)}`);
  const host = /^\[.*\]$/.test(hostname) ? hostname.slice(1, -1) : hostname;
  if (!isAddress6(host) && (!NAME.test(host) || host !== hostname)) throw new TypeError("a host's name that is none");
  const to = port ?? (protocol === "https:" ? 443 : 80);
  if (!Number.isInteger(to) || to < 1 || to > 65535) throw new TypeError("a port that is none");
  return { host, port: to };
}

/** The `Host` field, without the protocol's own port. */
export function hostField(request: WireRequest): string {
  const { host, port } = addressOf(request);
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (request.protocol === "https:" ? 443 : 80) ? name : `${name}:${port}`;
}

/**
 * The request's bytes. Throws TypeError, our own mistake, for what would be another request on the wire than it is here: characters that
 * end a line, another host, a length that is not the body's, the same field twice, a field of the connection itself.
 */
export function requestBytes(request: WireRequest): Uint8Array {
  const { method, path, headers, body } = request;
  if (!METHODS.has(method)) throw new TypeError("a method that is none");
  if (!PATH.test(path)) throw new TypeError("a path that is none");
  const host = hostField(request);
  const length = body === null && (method === "GET" || method === "HEAD") ? null : String(body?.length ?? 0);
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, "Connection: close"];
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!TOKEN.test(name) || OURS.has(lower) || lower.startsWith("proxy-") || seen.has(lower))
      throw new TypeError(`a header that may not be sent: ${JSON.stringify(name)}`);
    if (!VALUE.test(value)) throw new TypeError(`a header that cannot be sent: ${name}`);
    seen.add(lower);
    if (
      lower === "host" &&
      value.toLowerCase() !== host.toLowerCase() &&
      value !== `${host}:${addressOf(request).port}`
    )
      throw new TypeError("a header that names another host");
    if (lower === "content-length" && value !== (length ?? "0")) throw new TypeError("another length than the body's");
    if (lower !== "host" && lower !== "content-length") lines.push(`${name}: ${value}`);
  }
  if (length !== null) lines.push(`Content-Length: ${length}`);
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return body === null ? head : Buffer.concat([head, body]);
}
